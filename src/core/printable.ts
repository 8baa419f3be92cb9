/**
 * Makes text from outside fit for a log and a terminal: without line ends, and without sequences
 * that move the cursor, colour, or change the direction of writing.
 */

/** How much is shown of a text that another program sent. */
const FOREIGN_TEXT_LENGTH_MAX = 300;

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** Whether the text has nothing that `oneLine` would replace. */
export function isPrintable(text: string): boolean {
  return oneLine(text) === text;
}

/** The whole text on one line. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, " ");
}

/** The text on one line, of bounded length. */
export function printable(text: string): string {
  return oneLine(text).slice(0, FOREIGN_TEXT_LENGTH_MAX);
}

/** A copy of a JSON value in which every text is on one line. */
export function allOneLine<T>(value: T): T {
  if (typeof value === "string") return oneLine(value) as T;
  if (Array.isArray(value)) return value.map(allOneLine) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, it]) => [oneLine(name), allOneLine(it)]);
  return Object.fromEntries(entries) as T;
}
