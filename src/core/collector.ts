/**
 * Collector: bounds the garbage of a node.
 *
 * JavaScriptCore collects once the heap has grown by a share of its size, and counts what is mapped
 * for frames and tables as heap. Those are gigabytes, so what is left of connections and messages
 * could grow by hundreds of MiB before it is collected. Therefore the heap is checked four times
 * a second:
 *
 * - Objects lie in blocks, and a block is free once nothing in it is alive. All objects are
 *   collected when the blocks have grown by OBJECT_GARBAGE_BYTES_MIN, or by half of what was
 *   alive. With 10 MiB of objects that takes about 10 ms.
 * - Sockets give each read a buffer of its own, which lives for one turn. New objects alone are
 *   collected when buffers have grown by BUFFER_GARBAGE_BYTES_MAX. That takes about 3 ms.
 * - A buffer that was in use during such a collection counts as old from then on, and no collection
 *   of new objects frees it. All objects are collected when these leave OLD_BUFFER_BYTES_MAX more
 *   than the last collection of all objects did.
 */
import type { Clock } from "./clock.ts";
import { Timers } from "./timers.ts";

/** The heap of the runtime. */
export interface RuntimeHeap {
  use(): HeapUse;
  /** Collects the garbage among the objects made since the last collection, now. */
  collectNew(): void;
  /** Collects all garbage, now. */
  collectAll(): void;
}

export interface HeapUse {
  /** Bytes of the blocks that objects lie in. */
  readonly blockBytes: number;
  /** Bytes of the objects that were alive at the last collection, without what they point at. */
  readonly objectBytes: number;
  /** Bytes of buffers, alive or not, and of all that is mapped. */
  readonly bufferBytes: number;
}

const CHECK_MS = 250;
const MIB = 1024 * 1024;
export const OBJECT_GARBAGE_BYTES_MIN = 8 * MIB;
export const BUFFER_GARBAGE_BYTES_MAX = 16 * MIB;
export const OLD_BUFFER_BYTES_MAX = 32 * MIB;
const ALIVE_PART = 2;

export class Collector {
  private readonly heap: RuntimeHeap;
  private readonly timers: Timers;
  /** The least since all objects were collected. Blocks are freed a while after that. */
  private blockBytes: number;
  /** The least since a collection. */
  private bufferBytes: number;
  /** The least since all objects were collected. */
  private oldBufferBytes: number;
  /** How much blocks may grow. */
  private growthBytes: number;

  constructor(clock: Clock, heap: RuntimeHeap) {
    this.heap = heap;
    this.timers = new Timers(clock);
    const { blockBytes, objectBytes, bufferBytes } = heap.use();
    this.blockBytes = blockBytes;
    this.bufferBytes = bufferBytes;
    this.oldBufferBytes = bufferBytes;
    this.growthBytes = growthFor(objectBytes);
  }

  start(): void {
    this.timers.every("check", CHECK_MS, CHECK_MS, () => this.check());
  }

  stop(): void {
    this.timers.stop();
  }

  private check(): void {
    const { heap } = this;
    // The runtime may have collected by itself.
    const { blockBytes, bufferBytes } = heap.use();
    this.blockBytes = Math.min(this.blockBytes, blockBytes);
    this.bufferBytes = Math.min(this.bufferBytes, bufferBytes);
    this.oldBufferBytes = Math.min(this.oldBufferBytes, bufferBytes);
    if (blockBytes - this.blockBytes >= this.growthBytes) {
      this.collectAll();
    } else if (bufferBytes - this.bufferBytes >= BUFFER_GARBAGE_BYTES_MAX) {
      heap.collectNew();
      this.bufferBytes = heap.use().bufferBytes;
      if (this.bufferBytes - this.oldBufferBytes >= OLD_BUFFER_BYTES_MAX) this.collectAll();
    }
  }

  private collectAll(): void {
    this.heap.collectAll();
    const { blockBytes, objectBytes, bufferBytes } = this.heap.use();
    this.blockBytes = blockBytes;
    this.bufferBytes = bufferBytes;
    this.oldBufferBytes = bufferBytes;
    this.growthBytes = growthFor(objectBytes);
  }
}

function growthFor(objectBytes: number): number {
  return Math.max(OBJECT_GARBAGE_BYTES_MIN, objectBytes / ALIVE_PART);
}
