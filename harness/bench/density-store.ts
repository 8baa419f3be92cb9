/**
 * A store that pages of a corpus go through: the real zcache, with index, checksum, placement and
 * frames. Only compression is left out. Each page is compressed once, before the bench, and the
 * codec of the store copies the zpage that it made then.
 *
 * The memory of the store's tables is measured, not computed: the pages of it that are resident.
 */
import { ptr } from "bun:ffi";
import { closeSync, openSync, readSync } from "node:fs";
import { CODEC, type Codec } from "../../src/compress/codec.ts";
import { Lz4 } from "../../src/compress/lz4.ts";
import { assert } from "../../src/core/assert.ts";
import { FRAME_BYTES, PAGE_BYTES, PERS_ZPAGE_BYTES_MAX_DEFAULT } from "../../src/core/limits.ts";
import type { Memory, Region, ReserveOptions } from "../../src/core/memory.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import type { PlacementName } from "../../src/placement/placement.ts";
import type { Zcache } from "../../src/zcache/zcache.ts";
import { PagePath } from "./page-path.ts";

/** Pages of one corpus, and the zpage of each. */
export interface Zpages {
  readonly name: string;
  readonly pages: Uint8Array;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  /** 0: it does not compress to less than a persistent page may have, and is stored whole. */
  readonly sizes: Int32Array;
}

export function compressAll(codec: Codec, name: string, pages: Uint8Array): Zpages {
  const count = Math.floor(pages.length / PAGE_BYTES);
  const starts = new Int32Array(count);
  const sizes = new Int32Array(count);
  const bytes = new Uint8Array(pages.length);
  let at = 0;
  for (let page = 0; page < count; page += 1) {
    const max = PERS_ZPAGE_BYTES_MAX_DEFAULT;
    starts[page] = at;
    sizes[page] = codec.compress(pages, page * PAGE_BYTES, bytes, at, max);
    at += sizes[page] ?? 0;
  }
  return { name, pages, count, bytes: bytes.slice(0, at), starts, sizes };
}

/** Bytes of the pages, divided by those of their zpages and of the pages that are kept whole. */
export function codecRatio({ count, sizes }: Zpages): number {
  const stored = sizes.reduce((sum, size) => sum + (size === 0 ? PAGE_BYTES : size), 0);
  return (count * PAGE_BYTES) / stored;
}

/** Compresses by looking the zpage up. Decompresses in earnest. */
class RecordedCodec implements Codec {
  readonly id = CODEC.LZ4;
  readonly name = "recorded";
  readonly library = null;
  zpages: Zpages | null = null;
  private readonly memory: Memory;
  private readonly codec: Codec;

  constructor(memory: Memory, codec: Codec) {
    this.memory = memory;
    this.codec = codec;
  }

  compress(source: Uint8Array, at: number, target: Uint8Array, targetAt: number): number {
    const { zpages } = this;
    assert(zpages !== null && zpages.pages === source);
    const page = at / PAGE_BYTES;
    const size = zpages.sizes[page] ?? 0;
    if (size > 0) this.memory.copy(target, targetAt, zpages.bytes, zpages.starts[page] ?? 0, size);
    return size;
  }

  decompress(
    source: Uint8Array,
    at: number,
    byteCount: number,
    target: Uint8Array,
    targetAt: number,
  ): boolean {
    return this.codec.decompress(source, at, byteCount, target, targetAt);
  }
}

/** Memory that knows its regions, to tell how much of them is resident. */
class MeasuredMemory implements Memory {
  readonly journal = null;
  private readonly memory = openMemory();
  private readonly regions = new Set<Region>();

  reserve(byteCount: number, options?: ReserveOptions): Region {
    const region = this.memory.reserve(byteCount, options);
    const close = region.close.bind(region);
    this.regions.add(region);
    region.close = () => {
      this.regions.delete(region);
      close();
    };
    return region;
  }

  copy(target: Uint8Array, to: number, source: Uint8Array, from: number, byteCount: number): void {
    this.memory.copy(target, to, source, from, byteCount);
  }

  /** Resident bytes of all regions, but those of at least `framesBytes`: the frames. */
  tableBytes(framesBytes: number): number {
    const file = openSync("/proc/self/pagemap", "r");
    let bytes = 0;
    for (const region of this.regions) {
      if (region.byteCount < framesBytes) bytes += residentBytes(file, region);
    }
    closeSync(file);
    return bytes;
  }
}

/** proc_pid_pagemap(5): 8 bytes a page, whose highest bit means "resident". */
function residentBytes(pagemap: number, region: Region): number {
  const first = Math.floor(ptr(region.words()) / FRAME_BYTES);
  const entries = new Uint32Array((2 * region.byteCount) / FRAME_BYTES);
  const read = readSync(pagemap, new Uint8Array(entries.buffer), 0, entries.byteLength, first * 8);
  assert(read === entries.byteLength);
  let count = 0;
  for (let at = 1; at < entries.length; at += 2) count += (entries[at] ?? 0) >>> 31;
  return count * FRAME_BYTES;
}

interface StoreParts {
  readonly lz4: Codec;
  readonly memory: MeasuredMemory;
  readonly coldCodecs: readonly Codec[];
}

export class DensityStore {
  readonly zcache: Zcache;
  private readonly memory: MeasuredMemory;
  private readonly codec: RecordedCodec;
  private readonly path: PagePath;
  private readonly framesBytes: number;

  private constructor(parts: StoreParts, placement: PlacementName, pages: number) {
    const { lz4, memory, coldCodecs } = parts;
    this.memory = memory;
    this.codec = new RecordedCodec(memory, lz4);
    this.framesBytes = pages * FRAME_BYTES;
    const counts = { frameCountMax: pages, pageCountMax: pages + 1 };
    this.path = new PagePath({ ...counts, codec: this.codec, coldCodecs, placement, memory });
    this.zcache = this.path.zcache;
  }

  /** `codecs`: by id, those that decompress. Default: lz4-wasm. */
  static async open(
    placement: PlacementName,
    pages: number,
    codecs: readonly Codec[] = [],
  ): Promise<DensityStore> {
    const memory = new MeasuredMemory();
    const lz4 = codecs[CODEC.LZ4] ?? (await Lz4.load(memory));
    const coldCodecs = codecs.slice(CODEC.ZSTD);
    return new DensityStore({ lz4, memory, coldCodecs }, placement, pages);
  }

  put(number: number, zpages: Zpages, page: number): void {
    this.codec.zpages = zpages;
    this.path.putPage(number, zpages.pages, page * PAGE_BYTES);
  }

  get(number: number): void {
    this.path.getPage(number);
  }

  has(number: number): boolean {
    return this.path.has(number);
  }

  flush(number: number): void {
    this.path.flush(number);
  }

  get pageCount(): number {
    return this.zcache.tmem.pageCount;
  }

  /** Resident memory of index and placement. */
  get metadataBytes(): number {
    return this.memory.tableBytes(this.framesBytes);
  }

  /** Bytes of the pages, divided by those of frames and metadata. */
  get effectiveRatio(): number {
    const frames = this.zcache.frames.framesUsed * FRAME_BYTES;
    return (this.pageCount * PAGE_BYTES) / (frames + this.metadataBytes);
  }

  /** How much of the frames zpages take, without their headers. */
  get occupancy(): number {
    const { zbytes } = this.zcache.placement.counters;
    return (zbytes[0] + zbytes[1]) / (this.zcache.frames.framesUsed * FRAME_BYTES);
  }

  close(): void {
    this.zcache.close();
  }
}
