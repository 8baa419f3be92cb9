/** Keys: what the bytes of a terminal in raw mode ask `ramster top` to do. */

export type Key =
  | ("quit" | "suspend" | "redraw" | "members" | "exports" | "pools" | "next-table")
  | ("sort" | "reverse" | "pause" | "up" | "down" | "page-up" | "page-down");

/** Longer sequences come first, since Escape alone begins all of them. */
const SEQUENCES: ReadonlyArray<readonly [string, Key]> = [
  ["\u001b[5~", "page-up"],
  ["\u001b[6~", "page-down"],
  ["\u001b[A", "up"],
  ["\u001b[B", "down"],
  ["\u001bOA", "up"],
  ["\u001bOB", "down"],
  ["\u0003", "quit"],
  ["\u001a", "suspend"],
  ["\u000c", "redraw"],
  ["\t", "next-table"],
  [" ", "pause"],
  ["q", "quit"],
  ["m", "members"],
  ["e", "exports"],
  ["p", "pools"],
  ["s", "sort"],
  ["r", "reverse"],
  ["k", "up"],
  ["j", "down"],
];

/** A sequence of another key: ECMA-48, 5.4. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it begins with Escape.
const UNKNOWN = /^(?:\u001b(?:\[[0-?]*[ -/]*[@-~]?|O.?|.)?|.)/su;

/** The keys in `text`, in order. What has no meaning is left out. Letters may be capital. */
export function keysOf(text: string): Key[] {
  const keys: Key[] = [];
  let rest = text;
  while (rest !== "") {
    const known = SEQUENCES.find(([bytes]) => isPrefix(bytes, rest));
    if (known !== undefined) keys.push(known[1]);
    rest = rest.slice(known?.[0].length ?? UNKNOWN.exec(rest)?.[0].length ?? 1);
  }
  return keys;
}

function isPrefix(bytes: string, text: string): boolean {
  if (bytes.length > 1) return text.startsWith(bytes);
  return text.slice(0, 1).toLowerCase() === bytes;
}
