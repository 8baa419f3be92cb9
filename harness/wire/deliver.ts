/**
 * Gives bytes to a Framer and checks every frame as a channel does. For tests and fuzzers of
 * src/wire.
 */
import { BufferPool } from "../../src/core/buffer-pool.ts";
import { WireError } from "../../src/core/errors.ts";
import { HEADER_BYTES } from "../../src/core/limits.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { type Frame, Framer } from "../../src/wire/framer.ts";
import { FLAG_REPLY } from "../../src/wire/header.ts";
import { invalidReply, invalidRequest, MESSAGE } from "../../src/wire/messages.ts";
import { decodeFrame, type JsonFrame } from "./json-frame.ts";

export interface DeliveredFrame {
  readonly bytes: Uint8Array;
  /** Why the frame is invalid, or null. */
  readonly reason: string | null;
  /** The content of the frame. Null when it is invalid or its type is not defined. */
  readonly json: JsonFrame | null;
}

export interface Delivery {
  readonly frames: readonly DeliveredFrame[];
  /** Why the framer refused the stream, or null. */
  readonly error: string | null;
}

const DEFINED_TYPES: ReadonlySet<number> = new Set(Object.values(MESSAGE));

/** Pushes the chunks in sequence. Throws any error other than WireError. */
export function deliver(...chunks: Uint8Array[]): Delivery {
  const frames: DeliveredFrame[] = [];
  const framer = new Framer(
    { onFrame: (frame) => frames.push(judge(frame)) },
    new HeapMemory(),
    new BufferPool(),
  );
  try {
    for (const chunk of chunks) framer.push(chunk);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { frames, error: error.message };
  }
  return { frames, error: null };
}

/** A copy that ends where its buffer ends. So a view that reads too far throws a RangeError. */
export function atEndOfBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const before = 13; // An offset that ignores the start of the chunk becomes visible.
  const buffer = new ArrayBuffer(before + bytes.length);
  const copy = new Uint8Array(buffer, before, bytes.length);
  copy.set(bytes);
  return copy;
}

/** The chunks of `bytes` when cut at the given positions, in rising order. */
export function cutAt(bytes: Uint8Array, ...places: number[]): Uint8Array[] {
  const ends = [...places, bytes.length];
  return ends.map((end, i) => atEndOfBuffer(bytes.subarray(ends[i - 1] ?? 0, end)));
}

function judge(frame: Frame): DeliveredFrame {
  const bytes = frame.bytes.slice(frame.at, frame.at + HEADER_BYTES + frame.bodyBytes);
  const isReply = (frame.flags & FLAG_REPLY) !== 0;
  const reason = isReply ? invalidReply(frame) : invalidRequest(frame);
  const isReadable = reason === null && DEFINED_TYPES.has(frame.type);
  return { bytes, reason, json: isReadable ? decodeFrame(frame) : null };
}
