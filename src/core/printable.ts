/**
 * Text that another program may have made, fit for a log and a terminal: no line end in it, and no
 * sequence that moves the cursor, paints, or turns the direction of writing.
 */

/** Of a text that another program sent, this much is shown. */
const FOREIGN_TEXT_LENGTH_MAX = 300;

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** All of it, on one line. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, " ");
}

/** Likewise, of bounded length. */
export function printable(text: string): string {
  return oneLine(text).slice(0, FOREIGN_TEXT_LENGTH_MAX);
}

/** A copy of a value as JSON has them, in which all texts are on one line. */
export function allOneLine<T>(value: T): T {
  if (typeof value === "string") return oneLine(value) as T;
  if (Array.isArray(value)) return value.map(allOneLine) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, it]) => [oneLine(name), allOneLine(it)]);
  return Object.fromEntries(entries) as T;
}
