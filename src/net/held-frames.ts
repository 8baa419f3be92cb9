/**
 * Requests that were read but must wait: the other side does not take its replies, so none may be
 * added.
 *
 * The rare path: each frame is copied out of the chunk that it came in, and served later by a
 * framer of its own.
 */
import { HEADER_BYTES, LANE_BYTES_MAX } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { type Frame, Framer, type FrameSink } from "../wire/framer.ts";

export class HeldFrames {
  private readonly frames: Uint8Array[] = [];
  private readonly framer: Framer;
  private heldBytes = 0;

  constructor(sink: FrameSink, memory: Memory) {
    this.framer = new Framer(sink, memory);
  }

  get count(): number {
    return this.frames.length;
  }

  /** Keeps a copy. @returns false when too much is held already. */
  push(frame: Frame): boolean {
    const frameBytes = HEADER_BYTES + frame.bodyBytes;
    if (this.heldBytes + frameBytes > LANE_BYTES_MAX) return false;
    this.frames.push(frame.bytes.slice(frame.at, frame.at + frameBytes));
    this.heldBytes += frameBytes;
    return true;
  }

  /** Gives the oldest to the sink. */
  serveNext(): void {
    const bytes = this.frames.shift();
    if (bytes === undefined) return;
    this.heldBytes -= bytes.byteLength;
    this.framer.push(bytes);
  }

  clear(): void {
    this.frames.length = 0;
    this.heldBytes = 0;
  }
}
