/**
 * Requests that were read but must wait: the other side does not take its replies, or there is no
 * memory for more of them.
 *
 * The rare path: each frame is copied out of the chunk that it came in, behind those before it, and
 * served later by a framer of its own.
 */
import type { BufferPool } from "../core/buffer-pool.ts";
import { HEADER_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { type Frame, Framer, type FrameSink } from "../wire/framer.ts";
import { HEADER } from "../wire/header.ts";
import { Lane } from "./lane.ts";

export class HeldFrames {
  count = 0;
  private readonly lane: Lane;
  private readonly memory: Memory;
  private readonly framer: Framer;
  private isServing = false;
  private isCleared = false;

  constructor(sink: FrameSink, memory: Memory, pool: BufferPool) {
    this.lane = new Lane(pool);
    this.memory = memory;
    this.framer = new Framer(sink, memory, pool);
  }

  /** Keeps a copy. @returns false when too much is held already. */
  push(frame: Frame): boolean {
    const frameBytes = HEADER_BYTES + frame.bodyBytes;
    if (!this.lane.reserve(frameBytes)) return false;
    this.memory.copy(this.lane.bytes, this.lane.tail, frame.bytes, frame.at, frameBytes);
    this.lane.append(frameBytes);
    this.count += 1;
    return true;
  }

  /** The header of the oldest, if there is one. */
  get nextView(): DataView {
    return this.lane.view;
  }

  get nextAt(): number {
    return this.lane.head;
  }

  /** Gives the oldest to the sink. */
  serveNext(): void {
    if (this.count === 0) return;
    const { lane } = this;
    const frameBytes = HEADER_BYTES + lane.view.getUint32(lane.head + HEADER.BODY_BYTES);
    this.count -= 1;
    this.isServing = true;
    this.framer.push(lane.bytes.subarray(lane.head, lane.head + frameBytes));
    this.isServing = false;
    if (this.isCleared) this.clear();
    else lane.sent(frameBytes);
  }

  /** For good. A frame that is being served stays until it is. */
  clear(): void {
    this.count = 0;
    this.isCleared = true;
    if (this.isServing) return;
    this.framer.close();
    this.lane.close();
  }
}
