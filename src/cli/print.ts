/**
 * Print: writes a whole text to stdout before a command ends, and lines to stderr.
 *
 * console.error is not used, since it always colours what it writes to a terminal.
 */
import { writeSync } from "node:fs";
import { RamsterError } from "../core/errors.ts";

/**
 * Writes `text` as it is. A reader that leaves early, such as head(1), is no error. @returns
 * whether the reader is still there.
 */
export async function print(text: string): Promise<boolean> {
  try {
    await Bun.write(Bun.stdout, text);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "EPIPE") return false;
    if (code === null) throw error;
    throw new RamsterError("OUTPUT_FAILED", `Cannot write to standard output: ${code}`);
  }
}

/** What a command has to say, for a person and for a program. */
export interface Answer {
  /** Without a line feed at the end. */
  readonly text: string;
  readonly json: unknown;
}

export async function printAnswer({ text, json }: Answer, as: { json: boolean }): Promise<void> {
  await print(`${as.json ? JSON.stringify(json, null, 2) : text}\n`);
}

const STDERR = 2;

/** Writes a line at once. It is dropped on a full disk or a closed pipe. */
export function printError(line: string): void {
  try {
    writeSync(STDERR, `${line}\n`);
  } catch {
    // The error cannot be reported anywhere.
  }
}
