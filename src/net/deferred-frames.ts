/**
 * DeferredFrames: requests that were received but must wait. Either the other side does not take
 * its replies, or there is no memory for more of them.
 *
 * This path is rare. Each frame is copied out of its chunk and put behind the earlier ones. A
 * framer of its own serves it later.
 */
import type { BufferPool } from "../core/buffer-pool.ts";
import { HEADER_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { type Frame, Framer, type FrameSink } from "../wire/framer.ts";
import { HEADER } from "../wire/header.ts";
import { Lane } from "./lane.ts";

export class DeferredFrames {
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

  /** Keeps a copy. @returns false when too many bytes wait already. */
  push(frame: Frame): boolean {
    const frameBytes = HEADER_BYTES + frame.bodyBytes;
    if (!this.lane.reserve(frameBytes)) return false;
    this.memory.copy(this.lane.bytes, this.lane.tail, frame.bytes, frame.at, frameBytes);
    this.lane.append(frameBytes);
    this.count += 1;
    return true;
  }

  /** The header of the oldest frame, if there is one. */
  get nextView(): DataView {
    return this.lane.view;
  }

  get nextAt(): number {
    return this.lane.head;
  }

  /** Gives the oldest frame to the sink. */
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

  /** Drops all frames for good. A frame that is being served is dropped when that is done. */
  clear(): void {
    this.count = 0;
    this.isCleared = true;
    if (this.isServing) return;
    this.framer.close();
    this.lane.close();
  }
}
