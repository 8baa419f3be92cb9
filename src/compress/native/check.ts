/**
 * Checks a codec of a library before it is used: on real pages, against another codec of the same
 * format, and with zpages that are damaged. The arrays around a page and its zpage must not change.
 *
 * A library that crashes ends the process, so the check runs in a process of its own:
 * src/cli/library-check.ts.
 */
import { PAGE_BYTES } from "../../core/limits.ts";
import type { Codec } from "../codec.ts";

const FENCE = 0xa5;
/** In front of page and zpage: odd, and different. */
const PAGE_AT = 13;
const ZPAGE_AT = 71;
const ROOM_BYTES = 3 * PAGE_BYTES;
const FENCES = new Uint8Array(ROOM_BYTES).fill(FENCE);

/** Damaged zpages for each page. */
const DAMAGED_EACH = 16;
/** A prime near the golden part of a page: damage falls everywhere. */
const DAMAGE_STEP = 2531;

/**
 * @returns what is wrong with the codec, or null. `reference` has the same format; it may be the
 * codec itself. `pages` are whole pages.
 */
export function faultOf(codec: Codec, reference: Codec, pages: Uint8Array): string | null {
  for (let at = 0; at < pages.byteLength; at += PAGE_BYTES) {
    const page = pages.subarray(at, at + PAGE_BYTES);
    const fault = faultWith(codec, reference, page);
    if (fault !== null) return `${fault}, page ${at / PAGE_BYTES} of its check`;
  }
  return null;
}

function faultWith(codec: Codec, reference: Codec, page: Uint8Array): string | null {
  const own = zpageOf(codec, page);
  const other = zpageOf(reference, page);
  if (own === null || other === null) return "it writes outside of the target";
  if (own.length === 0) return "it cannot compress a page";
  if (!restores(codec, own, page)) return "a page does not come back";
  if (!restores(reference, own, page)) return "its zpage is not in the format";
  if (!restores(codec, other, page)) return "it refuses a zpage of its format";
  if (!refusesRoom(codec, page, own.length)) return "it writes more than it may";
  for (const length of [1, own.length >> 1, own.length - 1]) {
    if (length >= own.length) continue;
    const isRefused = decompress(codec, own.subarray(0, length)) === null;
    if (!isRefused) return "it accepts a zpage that is cut off";
  }
  if (!survivesDamage(codec, own)) return "a damaged zpage makes it write elsewhere";
  return restores(codec, own, page) ? null : "it fails after a damaged zpage";
}

/** Null: bytes outside of the zpage have changed. */
function zpageOf(codec: Codec, page: Uint8Array): Uint8Array | null {
  const source = fenced(page, PAGE_AT);
  const target = FENCES.slice();
  const byteCount = codec.compress(source, PAGE_AT, target, ZPAGE_AT, 2 * PAGE_BYTES);
  if (byteCount < 0 || byteCount > 2 * PAGE_BYTES) return null;
  if (!isFenced(target, ZPAGE_AT, 2 * PAGE_BYTES)) return null;
  if (Buffer.compare(source, fenced(page, PAGE_AT)) !== 0) return null;
  return target.slice(ZPAGE_AT, ZPAGE_AT + byteCount);
}

/** Whether a page is refused, and nothing written, when there is no room for its zpage. */
function refusesRoom(codec: Codec, page: Uint8Array, zpageBytes: number): boolean {
  const target = FENCES.slice();
  return (
    codec.compress(page, 0, target, ZPAGE_AT, zpageBytes - 1) === 0 &&
    isFenced(target, ZPAGE_AT, 0) &&
    codec.compress(page, 0, target, ZPAGE_AT, zpageBytes) === zpageBytes &&
    isFenced(target, ZPAGE_AT, zpageBytes)
  );
}

function restores(codec: Codec, zpage: Uint8Array, page: Uint8Array): boolean {
  const restored = decompress(codec, zpage);
  return restored instanceof Uint8Array && Buffer.compare(restored, page) === 0;
}

function survivesDamage(codec: Codec, zpage: Uint8Array): boolean {
  for (let round = 0; round < DAMAGED_EACH; round += 1) {
    const damaged = zpage.slice();
    const at = (round * DAMAGE_STEP) % zpage.length;
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (round & 7));
    // Some are zpages of another page. The checksum finds those.
    if (decompress(codec, damaged) === "wrote elsewhere") return false;
  }
  return true;
}

/** Null: the zpage was refused, and nothing was written. */
function decompress(codec: Codec, zpage: Uint8Array): Uint8Array | "wrote elsewhere" | null {
  const source = fenced(zpage, ZPAGE_AT);
  const target = FENCES.slice();
  const isWhole = codec.decompress(source, ZPAGE_AT, zpage.length, target, PAGE_AT);
  const isUntouched = isFenced(target, PAGE_AT, isWhole ? PAGE_BYTES : 0);
  if (!isUntouched || Buffer.compare(source, fenced(zpage, ZPAGE_AT)) !== 0) {
    return "wrote elsewhere";
  }
  return isWhole ? target.slice(PAGE_AT, PAGE_AT + PAGE_BYTES) : null;
}

/** The bytes at `at` in an array that is filled otherwise. */
function fenced(bytes: Uint8Array, at: number): Uint8Array {
  const array = FENCES.slice();
  array.set(bytes, at);
  return array;
}

function isFenced(array: Uint8Array, at: number, byteCount: number): boolean {
  const end = at + byteCount;
  const before = Buffer.compare(array.subarray(0, at), FENCES.subarray(0, at));
  return before === 0 && Buffer.compare(array.subarray(end), FENCES.subarray(end)) === 0;
}
