/**
 * The hex of fixtures/wire: two digits a byte, any spaces, and `#` starts a comment. A run such as
 * `5ax4096` is the byte 5a 4096 times. So a page is one word and not 128 lines.
 */
import { RamsterError } from "../../src/core/errors.ts";

/** The bytes of a fixture or a field. Throws RamsterError BAD_CONFIG. */
export function parseHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const line of text.split("\n")) {
    for (const word of line.replace(/#.*/, "").split(/\s+/)) {
      if (word !== "") bytes.push(...bytesOf(word));
    }
  }
  return new Uint8Array(bytes);
}

/** Text for parseHex, with long runs of one byte in the short form. */
export function formatHex(bytes: Uint8Array): string {
  const words: string[] = [];
  let plain = "";
  for (let at = 0; at < bytes.length; ) {
    const digits = (bytes[at] ?? 0).toString(16).padStart(2, "0");
    let end = at + 1;
    while (end < bytes.length && bytes[end] === bytes[at]) end += 1;
    if (end - at < RUN_MIN) {
      plain += digits.repeat(end - at);
    } else {
      words.push(plain, `${digits}x${end - at}`);
      plain = "";
    }
    at = end;
  }
  words.push(plain);
  return words.filter((word) => word !== "").join(" ");
}

/** Shorter runs are easier to read in full. */
const RUN_MIN = 16;

function bytesOf(word: string): number[] {
  const run = /^([0-9a-f]{2})x(\d{1,7})$/.exec(word);
  if (run !== null)
    return new Array<number>(Number(run[2])).fill(Number.parseInt(run[1] ?? "", 16));
  if (!/^([0-9a-f]{2})+$/.test(word)) {
    throw new RamsterError(
      "BAD_CONFIG",
      `Cannot read hex "${word}": neither bytes nor a run of one byte`,
    );
  }
  return (word.match(/../g) ?? []).map((digits) => Number.parseInt(digits, 16));
}
