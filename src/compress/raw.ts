/**
 * raw: the codec of pages that do not compress. The zpage is the page.
 */
import { PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { CODEC, type Codec, codecName } from "./codec.ts";

/** See Codec. A zpage must be PAGE_BYTES long. */
export class Raw implements Codec {
  readonly id = CODEC.RAW;
  readonly name = codecName(CODEC.RAW);
  readonly library = null;
  private readonly memory: Memory;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    if (targetBytesMax < PAGE_BYTES) return 0;
    this.memory.copy(target, targetOffset, source, sourceOffset, PAGE_BYTES);
    return PAGE_BYTES;
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    if (sourceBytes !== PAGE_BYTES) return false;
    this.memory.copy(target, targetOffset, source, sourceOffset, PAGE_BYTES);
    return true;
  }
}
