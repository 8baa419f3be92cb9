/**
 * Arguments: what programs pass to the library, checked before anything is sent. Programs need not
 * have types, so each may be anything.
 */
import { quoted, RamsterError } from "../core/errors.ts";
import type { CallOptions } from "./signal.ts";

const U16_END = 2 ** 16;
const U32_END = 2 ** 32;
const BYTES_TAG = "[object Uint8Array]";

/** For an argument that cannot be used. */
export function badArgument(message: string): RamsterError {
  return new RamsterError("BAD_CONFIG", message);
}

/** Any value, within quotes, for a message. Some values have no text. */
export function display(value: unknown): string {
  try {
    return quoted(String(value));
  } catch {
    return quoted(typeof value);
  }
}

export function isU16(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < U16_END;
}

export function isU32(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < U32_END;
}

/** Whether it is a Uint8Array, maybe one of another realm: of a frame, or of a vm context. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === BYTES_TAG;
}

/** The list, if it is one. Throws RamsterError BAD_CONFIG otherwise, as all that follow. */
export function listOf<T>(items: readonly T[], name: string): readonly T[] {
  if (Array.isArray(items)) return items;
  throw badArgument(`Cannot use ${name} ${display(items)}: not an array`);
}

/** What is no string is not shown: it may be a key file. */
export function checkString(value: string, name: string): void {
  if (typeof value === "string") return;
  throw badArgument(`Cannot use ${name}: ${typeof value}, not a string`);
}

export function checkBoolean(value: boolean, name: string): void {
  if (typeof value === "boolean") return;
  throw badArgument(`Cannot use ${name} ${display(value)}: neither true nor false`);
}

export function checkObject(value: object, name: string): void {
  if (typeof value === "object" && value !== null) return;
  throw badArgument(`Cannot use ${name} ${display(value)}: not an object`);
}

export function checkCallOptions(options: CallOptions): void {
  checkObject(options, "options");
  const { signal, timeoutMs } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw badArgument(`Cannot use signal ${display(signal)}: not an AbortSignal`);
  }
  if (timeoutMs !== undefined && (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs))) {
    throw badArgument(`Cannot use timeoutMs ${display(timeoutMs)}: not a number`);
  }
}
