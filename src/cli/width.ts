/** The width of a terminal, and text that is broken at its words. */

/** Text for programs, and for wider terminals, has at most these columns. */
export const COLUMNS_MAX = 80;
/** Nothing is broken into narrower lines. */
const COLUMNS_MIN = 20;

/** The columns for text on this stream: those of a terminal that is narrow. */
export function columnsOf(stream: {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}): number {
  if (stream.isTTY !== true) return COLUMNS_MAX;
  return Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, stream.columns ?? COLUMNS_MAX));
}

/** Fills lines with words. A word that is longer than a line has one of its own. */
export function wrapWords(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}

/** The text with long lines broken at their words. Rows of tables, and whole words, stay. */
export function wrapText(text: string, columns: number): string {
  if (columns >= COLUMNS_MAX) return text;
  const lines = text.split("\n").flatMap((line) => {
    if (line.length <= columns || / {2}/.test(line)) return [line];
    const [first = "", ...rest] = wrapWords(line.split(" "), columns - INDENT.length);
    return [first, ...rest.map((it) => INDENT + it)];
  });
  return lines.join("\n");
}

/** Exactly that many columns: cut, or filled with spaces. Text may have colours, or be wide. */
export function fitText(text: string, columns: number, side: "left" | "right" = "left"): string {
  const cut = Bun.sliceAnsi(text, 0, columns);
  // A character of two columns may be half inside.
  const part = Bun.stringWidth(cut) > columns ? Bun.sliceAnsi(text, 0, columns - 1) : cut;
  const fill = " ".repeat(Math.max(0, columns - Bun.stringWidth(part)));
  return side === "left" ? part + fill : fill + part;
}

const INDENT = "  ";
