/** Mutations of bytes, for the fuzzers of byte formats. */
import { below, type Random } from "../../src/core/random.ts";

/** Values at the edges of fields, one, two and four bytes wide. */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x1001, 0xffff, 0x7fff_ffff, 0xffff_ffff];

export function randomBytes(random: Random, byteCount: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteCount);
  for (let at = 0; at < byteCount; at += 1) bytes[at] = random.u32();
  return bytes;
}

/** A copy with bits flipped, fields at their edges, pieces cut out, repeated or put in. */
export function mutate(random: Random, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let result = bytes.slice();
  for (let left = 1 + below(random, 4); left > 0; left -= 1) result = mutateOnce(random, result);
  return result;
}

function mutateOnce(random: Random, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return randomBytes(random, below(random, 8));
  const at = placeIn(random, bytes.length);
  const byteCount = 1 + below(random, Math.min(64, bytes.length - at));
  switch (below(random, 7)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
      return bytes;
    case 1:
      bytes[at] = random.u32();
      return bytes;
    case 2:
    case 3:
      return setEdge(random, bytes, at);
    case 4:
      return concat(bytes.subarray(0, at), bytes.subarray(at + byteCount));
    case 5:
      return concat(bytes.subarray(0, at + byteCount), bytes.subarray(at));
    default:
      return concat(bytes.subarray(0, at), randomBytes(random, byteCount), bytes.subarray(at));
  }
}

/** Half of all positions are near the front, where headers and first entries are. */
function placeIn(random: Random, byteCount: number): number {
  return below(random, below(random, 2) === 0 ? Math.min(80, byteCount) : byteCount);
}

function setEdge(
  random: Random,
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
): Uint8Array<ArrayBuffer> {
  const value = EDGES[below(random, EDGES.length)] ?? 0;
  const width = [1, 2, 4][below(random, 3)] ?? 1;
  for (let i = 0; i < width && at + i < bytes.length; i += 1) {
    bytes[at + i] = value >>> (8 * (width - 1 - i));
  }
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
