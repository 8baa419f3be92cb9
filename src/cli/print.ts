/** Print: text to stdout, all of it, before a command ends. */

/** Writes `text` as it is. A reader that has left, as `head` does, has seen what it wanted. */
export async function print(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}
