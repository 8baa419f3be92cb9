/**
 * Reads a text file that an operator names. The path may name anything, so size and content are
 * checked.
 */
import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { fileReason } from "./system-error.ts";

const LINE_FEED = 0x0a;

/** Throws an error of one line, which says why the file cannot be read, or what is wrong with it. */
export function readTextFile(path: string, bytesMax: number): string {
  const file = asReason(() => openSync(path, constants.O_RDONLY));
  try {
    return textIn(file, bytesMax);
  } finally {
    closeSync(file);
  }
}

/**
 * As `readTextFile`, for a process that must not wait. A pipe is refused, since somebody would have
 * to write to it again: to open one waits for that as well, without O_NONBLOCK. An empty file is
 * refused, too. It is probably being written.
 */
export function readTextAgain(path: string, bytesMax: number): string {
  const file = asReason(() => openSync(path, AGAIN_FLAGS));
  try {
    const seen = fstatSync(file);
    if (seen.isDirectory()) throw new Error("it is a directory");
    if (!seen.isFile()) throw new Error("it is no regular file, which cannot be read again");
    if (seen.size === 0) throw new Error("it is empty");
    return textIn(file, bytesMax);
  } finally {
    closeSync(file);
  }
}

const AGAIN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Whether it is there and is no regular file. The text of a pipe comes once. */
export function comesOnce(path: string): boolean {
  try {
    return !statSync(path).isFile();
  } catch {
    return false; // Whoever reads it is told why.
  }
}

/** The text from where the file stands to its end. */
function textIn(file: number, bytesMax: number): string {
  const bytes = new Uint8Array(bytesMax + 1);
  let byteCount = 0;
  for (;;) {
    const free = bytes.byteLength - byteCount;
    const count = asReason(() => readSync(file, bytes, byteCount, free, null));
    byteCount += count;
    if (byteCount > bytesMax) throw new Error(`it is longer than ${bytesMax} bytes`);
    if (count === 0) return textOf(bytes.subarray(0, byteCount));
  }
}

/** Makes an error of the operating system one with the reason alone. */
function asReason<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(fileReason(error), { cause: error });
  }
}

/** Characters that are not text, or look like other text. A line may end in CR LF. */
const NO_TEXT = /\r(?!\n)|(?![\t\r\n])[\p{Cc}\p{Zl}\p{Zp}\ufeff]/u;

function textOf(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Error(`line ${firstUndecoded(bytes)} is not UTF-8 text`);
  }
  const found = NO_TEXT.exec(text);
  if (found === null) return text;
  const line = text.slice(0, found.index).split("\n").length;
  const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  throw new Error(`line ${line} has the character U+${code}, which is not text`);
}

/** The number of the first line that is not UTF-8, from 1. */
function firstUndecoded(bytes: Uint8Array): number {
  let line = 1;
  for (let at = 0; ; line += 1) {
    const end = bytes.indexOf(LINE_FEED, at);
    const part = bytes.subarray(at, end < 0 ? undefined : end);
    if (end < 0 || !isUtf8(part)) return line;
    at = end + 1;
  }
}
