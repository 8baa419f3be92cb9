/**
 * Collector: bounds the garbage of a node.
 *
 * JavaScriptCore collects once the heap has grown by a share of its size, and counts what is mapped
 * for frames and tables as heap. Those are gigabytes, so what is left of connections and messages
 * could grow by hundreds of MiB before it is collected. The objects alone are therefore looked at
 * once a second. A full collection is asked for when they have grown by COLLECT_BYTES_MIN, or by
 * half of what was alive. One with 10 MiB of objects takes about 10 ms.
 */
import type { Clock } from "./clock.ts";
import { Timers } from "./timers.ts";

/** The heap of the runtime. */
export interface ObjectHeap {
  /** Bytes of objects, alive or not, without the memory that they point at. */
  byteCount(): number;
  /** Collects all garbage, now. */
  collect(): void;
}

const LOOK_MS = 1000;
export const COLLECT_BYTES_MIN = 4 * 1024 * 1024;
const ALIVE_PART = 2;

export class Collector {
  private readonly heap: ObjectHeap;
  private readonly timers: Timers;
  /** After the last collection; at the start. */
  private aliveBytes: number;

  constructor(clock: Clock, heap: ObjectHeap) {
    this.heap = heap;
    this.timers = new Timers(clock);
    this.aliveBytes = heap.byteCount();
  }

  start(): void {
    this.timers.every("look", LOOK_MS, LOOK_MS, () => this.look());
  }

  stop(): void {
    this.timers.stop();
  }

  private look(): void {
    const { heap } = this;
    const bytes = heap.byteCount();
    // The runtime may have collected by itself.
    this.aliveBytes = Math.min(this.aliveBytes, bytes);
    const mayGrowBy = Math.max(COLLECT_BYTES_MIN, this.aliveBytes / ALIVE_PART);
    if (bytes - this.aliveBytes < mayGrowBy) return;
    heap.collect();
    this.aliveBytes = heap.byteCount();
  }
}
