/**
 * A store in kept memory whose process is killed at any write. Its successor has what was
 * acknowledged. The page of the operation that was cut is as it was before or after, or lost where
 * there was no room to keep both.
 */
import { expect, test } from "bun:test";
import { CrashingBytes, Killed } from "../../harness/kept/crashing-bytes.ts";
import { CODEC, type Codec, codecName } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { RamsterError } from "../core/errors.ts";
import { Handle } from "../core/handle.ts";
import { PERSISTENT } from "../core/kind.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { emptyZpage } from "../core/zpage.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import type { KeptMemory } from "../memory/kept-memory.ts";
import { TAKEN_MAX } from "../placement/placement.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Pool } from "../tmem/pool.ts";
import { LOCAL_CLIENT } from "../tmem/tmem.ts";
import { Zcache } from "./zcache.ts";

const base = new HeapMemory();
const lz4 = await Lz4.load(base);
/** A store that is always full, and one with room for all pages. */
const SMALL = 48;
const LARGE = 400;
const INDEXES = 160;
const OBJECTS = 3;
/** The pools: persistent and ephemeral. */
const KINDS = [true, false] as const;

/** A page made from a number, so that a short zpage can name it. Some are of one word. */
function pageOf(content: number): Uint8Array {
  const random = new SeededRandom(content);
  const page = new Uint8Array(PAGE_BYTES);
  const kind = below(random, 10);
  const randomBytes = kind === 0 ? 0 : kind === 1 ? PAGE_BYTES : below(random, 3300);
  for (let i = 0; i < randomBytes; i += 1) page[i] = random.u32();
  if (kind > 0) new DataView(page.buffer).setUint32(PAGE_BYTES - 4, content);
  return page;
}

/** Cold pages: a zpage that is the number of the page, and as many bytes as it likes. */
class Numbered implements Codec {
  readonly id = CODEC.ZSTD;
  readonly name = codecName(CODEC.ZSTD);
  readonly library = null;

  compress(): number {
    return 0;
  }

  decompress(
    source: Uint8Array,
    at: number,
    _byteCount: number,
    target: Uint8Array,
    targetAt: number,
  ): boolean {
    target.set(pageOf(new DataView(source.buffer, source.byteOffset).getUint32(at)), targetAt);
    return true;
  }
}

/** By pool and index: the numbers of the contents that a get may find, or one of the following. */
type Truth = Map<string, readonly number[]>;
const NONE = -1;
const LOST = -2;
/** The page is remote. */
const AWAY = -3;

/** The store cannot be made again. */
class Refused extends Error {
  override readonly name = "Refused";
}

class Process {
  readonly zcache: Zcache;
  private readonly random: SeededRandom;
  private readonly truth: Truth;
  private readonly bytes = new Uint8Array(2 * PAGE_BYTES);
  private readonly handle = new Handle();
  /** The version of the last page that was put. */
  newest = 0;

  private readonly frames: number;

  constructor(memory: KeptMemory, random: SeededRandom, truth: Truth, frames: number) {
    this.frames = frames;
    this.random = random;
    this.truth = truth;
    this.zcache = new Zcache(
      {
        memory,
        codec: lz4,
        codecs: [new Raw(base), lz4, new Numbered()],
        remote: { free: () => {} },
        seed: 7,
      },
      {
        frameCountMax: frames,
        placement: "blocks",
        order: "lru",
        highMarkPercent: 90,
        lowMarkPercent: 80,
        pageCountMax: 2000,
        objectCountMax: 100,
        persZpageBytesMax: 3584,
        persZpageMeanBytes: 2560,
      },
    );
    const { isSucceeding } = memory;
    memory.start();
    if (isSucceeding && !this.zcache.restore(() => true)) throw new Refused();
  }

  poolFor(persistent: boolean): Pool {
    const { tmem } = this.zcache;
    const pool = tmem.poolsOf(LOCAL_CLIENT).find((it) => it.persistent === persistent);
    return pool ?? tmem.newPool(LOCAL_CLIENT, { persistent, storeWhole: persistent }) ?? fail();
  }

  step(): void {
    const { random } = this;
    const kind = below(random, 20);
    if (kind < 11) this.put();
    else if (kind < 13) this.flush();
    else if (kind === 13) this.flushObject();
    else if (kind === 14) this.replace();
    else if (kind === 15) this.leaveAndReturn();
    else if (kind === 16) this.awayAndBack();
    else if (kind === 17) this.zcache.compact();
    else if (kind === 18) this.check(below(random, 2) === 0, below(random, INDEXES));
    else if (below(random, 20) === 0) this.destroyPool();
    else this.zcache.frames.trim();
  }

  private at(pool: Pool, index: number): Handle {
    return this.handle.set(pool.id, [BigInt(index % OBJECTS), 0n, 0n], Math.floor(index / OBJECTS));
  }

  private put(): void {
    const persistent = below(this.random, 4) > 0;
    const index = below(this.random, INDEXES);
    const pool = this.poolFor(persistent);
    const content = 1 + below(this.random, 100_000);
    const key = `${persistent} ${index}`;
    const before = this.truth.get(key) ?? [NONE];
    // Where there is no room for both, the old page goes first, and is lost until the put ends.
    const full = this.frames === SMALL ? [NONE, LOST] : [];
    this.truth.set(key, [...before, content, ...full]);
    const status = this.zcache.put(pool, this.at(pool, index), pageOf(content), 0);
    this.newest = this.zcache.tmem.newestVersion;
    this.truth.set(key, status === STATUS.OK ? this.mayVanish(persistent, [content]) : [NONE]);
  }

  private mayVanish(persistent: boolean, contents: readonly number[]): number[] {
    return persistent ? [...contents] : [...contents, NONE];
  }

  private flush(): void {
    const persistent = below(this.random, 2) === 0;
    const index = below(this.random, INDEXES);
    const pool = this.poolFor(persistent);
    const key = `${persistent} ${index}`;
    this.truth.set(key, [...(this.truth.get(key) ?? []), NONE]);
    this.zcache.flushPage(pool, this.at(pool, index));
    this.truth.set(key, [NONE]);
  }

  private flushObject(): void {
    const persistent = below(this.random, 2) === 0;
    const object = below(this.random, OBJECTS);
    const pool = this.poolFor(persistent);
    const keys = this.keysOf(persistent).filter(([, index]) => index % OBJECTS === object);
    for (const [key] of keys) this.truth.set(key, [...(this.truth.get(key) ?? []), NONE]);
    const { tmem } = this.zcache;
    if (below(this.random, 2) === 0) tmem.flushObject(pool, this.at(pool, object));
    else if (tmem.pagesUnder(pool, this.at(pool, object)) > 0) {
      this.reap(tmem.detachObject(pool, this.at(pool, object)));
    }
    for (const [key] of keys) this.truth.set(key, [NONE]);
  }

  private destroyPool(): void {
    const persistent = below(this.random, 2) === 0;
    const pool = this.poolFor(persistent);
    const keys = this.keysOf(persistent);
    for (const [key] of keys) this.truth.set(key, [...(this.truth.get(key) ?? []), NONE]);
    const { tmem } = this.zcache;
    if (below(this.random, 2) === 0) this.reap(tmem.detach(pool));
    else {
      tmem.removePool(pool);
      if (pool.pageCount > 0) this.reap(pool);
    }
    for (const [key] of keys) this.truth.set(key, [NONE]);
  }

  private reap(doomed: Pool): void {
    while (doomed.pageCount > 0) this.zcache.tmem.flushSome(doomed, 3);
    this.zcache.tmem.forget(doomed);
  }

  private keysOf(persistent: boolean): Array<[string, number]> {
    return Array.from({ length: INDEXES }, (_, index) => [`${persistent} ${index}`, index]);
  }

  /** A page that the cold tier has compressed again. */
  private replace(): void {
    const { zcache, bytes } = this;
    const index = below(this.random, INDEXES);
    const pool = this.poolFor(true);
    const page = zcache.tmem.find(pool, this.at(pool, index));
    if (page === 0 || zcache.tmem.tag(page) !== TAG.LOCAL) return;
    if (zcache.tmem.codec(page) === CODEC.ZSTD || zcache.tmem.zpageBytes(page) < 20) return;
    const [content] = this.truth.get(`true ${index}`) ?? [];
    new DataView(bytes.buffer).setUint32(0, content ?? 0);
    const zpageBytes = 8 + below(this.random, zcache.tmem.zpageBytes(page) - 16);
    if (zpageBytes < PAGE_BYTES - 200) zcache.replaceZpage(page, bytes, 0, zpageBytes, CODEC.ZSTD);
  }

  /** The oldest zpages leave, and stay. */
  private leaveAndReturn(): void {
    const { placement, tmem } = this.zcache;
    if (!placement.hasLive(PERSISTENT)) return;
    const pages = new Int32Array(TAKEN_MAX);
    const count = placement.takeOldest(PERSISTENT, pages);
    for (let i = 0; i < count; i += 1) {
      placement.putBack(tmem.place(pages[i] ?? 0), i === 0 ? "oldest" : "newest");
    }
  }

  /** A page turns remote, and comes home. */
  private awayAndBack(): void {
    const { zcache, bytes } = this;
    const { tmem } = zcache;
    const index = below(this.random, INDEXES);
    const pool = this.poolFor(true);
    const page = tmem.find(pool, this.at(pool, index));
    if (page === 0 || tmem.tag(page) !== TAG.LOCAL) return;
    const zpage = { ...emptyZpage(bytes, 64), ...zcache.readZpage(page, bytes, 64) };
    const key = `true ${index}`;
    const before = this.truth.get(key) ?? [];
    this.truth.set(key, [...before, AWAY]);
    zcache.turnRemote(page, 1);
    if (zcache.localify(page, zpage)) {
      this.truth.set(key, before);
      return;
    }
    this.truth.set(key, [AWAY, NONE]);
    tmem.flush(page);
    this.truth.set(key, [NONE]);
  }

  /** The page is one of those that it may be. It is that one from now on. */
  check(persistent: boolean, index: number): void {
    const { zcache, bytes } = this;
    const pool = this.poolFor(persistent);
    const page = zcache.tmem.find(pool, this.at(pool, index));
    const key = `${persistent} ${index}`;
    const allowed = this.truth.get(key) ?? [NONE];
    let found: number | undefined = NONE;
    if (page !== 0 && zcache.tmem.tag(page) === TAG.LOST) found = LOST;
    else if (page !== 0 && zcache.tmem.tag(page) === TAG.REMOTE) found = AWAY;
    else if (page !== 0) {
      const status = zcache.deliver(page, this.at(pool, index), bytes, 8);
      expect(status).toBe(STATUS.OK);
      const is = (content: number): boolean =>
        content >= 0 && Buffer.compare(pageOf(content), bytes.subarray(8, 8 + PAGE_BYTES)) === 0;
      found = allowed.find(is);
    }
    if (found === undefined || !allowed.includes(found)) {
      throw new Error(`${key} is ${found}, not one of ${allowed.join()}`);
    }
    this.truth.set(key, this.mayVanish(persistent, [found]));
    if (found !== AWAY) return;
    // No holder gives it back in this test.
    this.truth.set(key, [AWAY, NONE]);
    zcache.tmem.flush(page);
    this.truth.set(key, [NONE]);
  }

  /** What a get of the persistent page finds. */
  outcome(index: number): "right" | "lost" | "wrong" {
    const { zcache, bytes } = this;
    const pool = this.poolFor(true);
    const page = zcache.tmem.find(pool, this.at(pool, index));
    const allowed = this.truth.get(`true ${index}`) ?? [NONE];
    if (page === 0) {
      if (zcache.missed(pool) === STATUS.LOST) return "lost";
      return allowed.includes(NONE) ? "right" : "wrong";
    }
    const tag = zcache.tmem.tag(page);
    if (tag === TAG.LOST || tag === TAG.REMOTE) return "lost";
    if (zcache.deliver(page, this.at(pool, index), bytes, 8) !== STATUS.OK) return "lost";
    const got = bytes.subarray(8, 8 + PAGE_BYTES);
    const is = (content: number): boolean =>
      content > 0 && Buffer.compare(pageOf(content), got) === 0;
    return allowed.some(is) ? "right" : "wrong";
  }

  overwrite(index: number): void {
    const pool = this.poolFor(true);
    this.zcache.put(pool, this.at(pool, index), pageOf(index + 1), 0);
  }

  checkAll(): void {
    for (const persistent of KINDS) {
      for (let index = 0; index < INDEXES; index += 1) this.check(persistent, index);
    }
  }
}

function fail(): never {
  throw new Error("no pool");
}

test("an ephemeral page that was lost and about to be flushed is gone", () => {
  const random = new SeededRandom(1);
  const bytes = new CrashingBytes(random);
  const truth: Truth = new Map();
  const before = new Process(bytes.newMemory(), random, truth, LARGE);
  for (const persistent of KINDS) {
    const pool = before.poolFor(persistent);
    const handle = new Handle().set(pool.id, [1n, 0n, 0n], 7);
    before.zcache.put(pool, handle, pageOf(5), 0);
    const { tmem } = before.zcache;
    tmem.describe(tmem.find(pool, handle), TAG.LOST, 0, 0, CODEC.RAW);
  }
  const after = new Process(bytes.newMemory(), random, truth, LARGE);
  const found = KINDS.map((persistent) => {
    const pool = after.poolFor(persistent);
    return after.zcache.tmem.find(pool, new Handle().set(pool.id, [1n, 0n, 0n], 7)) !== 0;
  });
  expect(found).toEqual([true, false]);
  after.zcache.verify();
});

/** What is read under each handle after a takeover: "right", "lost" or "wrong". */
function outcomes(process: Process): Set<string> {
  const found = new Set<string>();
  for (let index = 0; index < INDEXES; index += 1) found.add(process.outcome(index));
  return found;
}

test("a flipped bit loses pages, and never makes a read wrong or ends the successor", () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 250; seed += 1) {
    const random = new SeededRandom(seed);
    const bytes = new CrashingBytes(random);
    const truth: Truth = new Map();
    const before = new Process(bytes.newMemory(), random, truth, LARGE);
    for (let step = 0; step < 300; step += 1) before.step();
    const where = bytes.flipBit();
    const after = succeed(() => new Process(bytes.newMemory(), random, truth, LARGE));
    const results = after === null ? new Set(["refused"]) : outcomes(after);
    if (results.has("wrong")) throw new Error(`wrong after ${where}, seed ${seed}`);
    for (const result of results) seen.set(result, (seen.get(result) ?? 0) + 1);
    after?.zcache.verify();
    for (let index = 0; index < INDEXES; index += 1) after?.overwrite(index);
    after?.zcache.verify();
  }
  expect([...seen.keys()].sort()).toEqual(["lost", "refused", "right"]);
  expect(seen.get("refused")).toBeLessThan(100);
});

test("a flipped bit in the word of a same-filled page loses the page", () => {
  const random = new SeededRandom(1);
  for (let bit = 0; bit < 32; bit += 1) {
    const bytes = new CrashingBytes(random);
    const before = new Process(bytes.newMemory(), random, new Map(), LARGE);
    const pool = before.poolFor(true);
    const handle = new Handle().set(pool.id, [1n, 0n, 0n], 7);
    before.zcache.put(pool, handle, new Uint8Array(PAGE_BYTES).fill(0x5a), 0);
    const { tmem } = before.zcache;
    const page = tmem.find(pool, handle);
    expect(tmem.tag(page)).toBe(TAG.SAME_FILLED);
    tmem.setPlace(page, tmem.place(page) ^ (1 << bit));
    const { tmem: after } = new Process(bytes.newMemory(), random, new Map(), LARGE).zcache;
    const [kept] = after.poolsOf(LOCAL_CLIENT);
    expect(after.tag(after.find(kept ?? fail(), handle))).toBe(TAG.LOST);
  }
});

/** Null: the kept memory is refused. */
function succeed(open: () => Process): Process | null {
  try {
    return open();
  } catch (error) {
    if (error instanceof Refused) return null;
    if (error instanceof RamsterError && error.code === "BAD_KEPT_MEMORY") return null;
    throw error;
  }
}

const STORES = [
  { frames: SMALL, seed: 1 },
  { frames: LARGE, seed: 2 },
  { frames: SMALL, seed: 3 },
  { frames: LARGE, seed: 4 },
];

test.each(STORES)(
  "a successor has what was acknowledged (frames: $frames, seed: $seed)",
  ({ frames, seed }) => {
    const random = new SeededRandom(seed);
    const bytes = new CrashingBytes(random);
    const truth: Truth = new Map();
    let kills = 0;
    let newest = 0;
    while (kills < 300) {
      const process = new Process(bytes.newMemory(), random, truth, frames);
      // No version is used twice.
      expect(process.zcache.tmem.newestVersion).toBeGreaterThanOrEqual(newest);
      process.zcache.verify();
      expect(process.zcache.tmem.isDamaged).toBe(false);
      process.checkAll();
      bytes.killAfter(below(random, 12) === 0 ? 20_000 : below(random, 600));
      try {
        for (;;) process.step();
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        kills += 1;
        newest = process.newest;
      }
    }
  },
);
