/** A file that an operator names, as text. It may be anything: no more than is fit is read. */
import { closeSync, openSync, readSync } from "node:fs";

/** Throws an error of one line, of the system's or on what the file is. */
export function readTextFile(path: string, bytesMax: number): string {
  const bytes = new Uint8Array(bytesMax + 1);
  const file = openSync(path, "r");
  let byteCount = 0;
  try {
    for (;;) {
      const count = readSync(file, bytes, byteCount, bytes.byteLength - byteCount, null);
      byteCount += count;
      if (byteCount > bytesMax) throw new Error(`it is longer than ${bytesMax} bytes`);
      if (count === 0) break;
    }
  } finally {
    closeSync(file);
  }
  return textOf(bytes.subarray(0, byteCount));
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error("it is no text in UTF-8");
  }
}
