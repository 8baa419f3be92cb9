/**
 * A store for benches: the real zcache. With a codec that only copies, everything but the codec is
 * measured.
 */
import { CODEC, type Codec } from "../../src/compress/codec.ts";
import { Raw } from "../../src/compress/raw.ts";
import { assert } from "../../src/core/assert.ts";
import { Handle } from "../../src/core/handle.ts";
import { PAGE_BYTES, PERS_ZPAGE_BYTES_MAX_DEFAULT } from "../../src/core/limits.ts";
import type { Memory } from "../../src/core/memory.ts";
import { STATUS } from "../../src/core/status.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import type { PlacementName } from "../../src/placement/placement.ts";
import { NEVER_REMOTE } from "../../src/ramster/foreign/foreign.ts";
import type { Pool } from "../../src/tmem/pool.ts";
import { LOCAL_CLIENT } from "../../src/tmem/tmem.ts";
import { Zcache } from "../../src/zcache/zcache.ts";

/** A codec that copies a part of the page instead of compressing it. */
class CopyCodec implements Codec {
  readonly id = CODEC.LZ4;
  readonly name = "copy";
  readonly library = null;
  private readonly memory: Memory;
  private readonly zpageBytes: number;

  constructor(memory: Memory, zpageBytes: number) {
    this.memory = memory;
    this.zpageBytes = zpageBytes;
  }

  compress(source: Uint8Array, at: number, target: Uint8Array, targetAt: number): number {
    this.memory.copy(target, targetAt, source, at, this.zpageBytes);
    return this.zpageBytes;
  }

  decompress(
    source: Uint8Array,
    at: number,
    byteCount: number,
    target: Uint8Array,
    targetAt: number,
  ): boolean {
    this.memory.copy(target, targetAt, source, at, byteCount);
    return true;
  }
}

interface PagePathOptions {
  readonly frameCountMax: number;
  readonly pageCountMax: number;
  /** The codec, or the bytes of each zpage of one that only copies. */
  readonly codec: Codec | number;
  /** By id, from CODEC.ZSTD on: the codecs of cold pages. */
  readonly coldCodecs?: readonly Codec[];
  /** Zbud by default. */
  readonly placement?: PlacementName;
  readonly memory?: Memory;
}

export class PagePath {
  readonly zcache: Zcache;
  readonly pool: Pool;
  private readonly handle = new Handle();
  private readonly page = new Uint8Array(PAGE_BYTES);
  private readonly target = new Uint8Array(PAGE_BYTES);

  constructor(options: PagePathOptions) {
    const { codec: given, memory = openMemory() } = options;
    const codec = typeof given === "number" ? new CopyCodec(memory, given) : given;
    const codecs = [new Raw(memory), codec, ...(options.coldCodecs ?? [])];
    this.zcache = new Zcache(
      { memory, codec, codecs, remote: NEVER_REMOTE, seed: 1 },
      {
        frameCountMax: options.frameCountMax,
        pageCountMax: options.pageCountMax,
        placement: options.placement ?? "zbud",
        order: "lru",
        highMarkPercent: 100,
        lowMarkPercent: 100,
        objectCountMax: 1024,
        persZpageBytesMax: PERS_ZPAGE_BYTES_MAX_DEFAULT,
        persZpageMeanBytes: PAGE_BYTES,
      },
    );
    const pool = this.zcache.tmem.newPool(LOCAL_CLIENT, { persistent: true, storeWhole: true });
    assert(pool !== null);
    this.pool = pool;
    // Spread over 256 objects, as the pages of an export are (src/exports/export.ts).
    this.handle.pool = pool.id;
    for (let i = 0; i < PAGE_BYTES; i += 1) this.page[i] = i * 7;
  }

  put(number: number): void {
    this.page[0] = number;
    this.page[1] = number >> 8;
    this.page[2] = number >> 16;
    this.putPage(number, this.page, 0);
  }

  get(number: number): void {
    this.getPage(number);
    assert(this.target[0] === (number & 0xff));
  }

  putPage(number: number, source: Uint8Array, at: number): void {
    this.name(number);
    const status = this.zcache.put(this.pool, this.handle, source, at);
    assert(status === STATUS.OK, "a put of the bench was refused");
  }

  getPage(number: number): void {
    this.name(number);
    const page = this.zcache.tmem.find(this.pool, this.handle);
    const status = this.zcache.deliver(page, this.handle, this.target, 0);
    assert(status === STATUS.OK, "a get of the bench failed");
  }

  has(number: number): boolean {
    this.name(number);
    return this.zcache.tmem.find(this.pool, this.handle) !== 0;
  }

  flush(number: number): void {
    this.name(number);
    this.zcache.flushPage(this.pool, this.handle);
  }

  private name(number: number): void {
    this.handle.oid0lo = objectOf(number);
    this.handle.index = indexOf(number);
  }
}

/** The object of a page, from 0. There are 256, and 32 neighbours are in the same one. */
export function objectOf(number: number): number {
  return (number >>> 5) & 0xff;
}

export function indexOf(number: number): number {
  return ((number >>> 13) << 5) | (number & 31);
}

/** The same with the numbers in order, as in a sweep over memory or a swapoff. */
export function nsPerCallInOrder(range: number, work: (number: number) => void): number {
  const started = Bun.nanoseconds();
  for (let number = 0; number < range; number += 1) work(number);
  return (Bun.nanoseconds() - started) / range;
}

/** Nanoseconds a call of `work`, over `count` calls with random numbers of the range. */
export function nsPerCall(count: number, range: number, work: (number: number) => void): number {
  let state = 12345;
  const started = Bun.nanoseconds();
  for (let i = 0; i < count; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    work(Math.floor((state / 4294967296) * range));
  }
  return (Bun.nanoseconds() - started) / count;
}
