import { expect, test } from "bun:test";
import { Handle } from "../core/handle.ts";
import { below, type Random, SeededRandom } from "../core/random.ts";
import { openMemory } from "../memory/open-memory.ts";
import { LEAF_BIT } from "./page-numbers.ts";
import { TAG } from "./pampd.ts";
import type { Pool } from "./pool.ts";
import { LOCAL_CLIENT, Tmem } from "./tmem.ts";

const OPTIONS = { persistent: true, storeWhole: false };

/** An index, and what its store and a holder of some pages would know of the numbers of pages. */
class World {
  readonly tmem: Tmem;
  readonly pool: Pool;
  /** By place, which is different for each put: the number of the page. */
  readonly numbers = new Map<number, number>();
  /** The places of pages whose numbers others know. */
  readonly fixed = new Set<number>();
  readonly handle = new Handle();
  moves = 0;
  private lastPlace = 0;

  constructor(options: { pageCountMax?: number; pinnedPages?: number } = {}) {
    const sizes = { pageCountMax: 100_000, objectCountMax: 1000, ...options };
    this.tmem = new Tmem(openMemory(), sizes, {
      free: (page) => this.forget(page),
      mayRenumber: (page) => {
        return this.tmem.tag(page) !== TAG.NONE && !this.fixed.has(this.tmem.place(page));
      },
      renumbered: (page) => {
        const place = this.tmem.place(page);
        expect(this.fixed.has(place)).toBe(false);
        expect(this.numbers.get(place)).not.toBe(page);
        this.numbers.set(place, page);
        this.moves += 1;
      },
    });
    const pool = this.tmem.newPool(LOCAL_CLIENT, OPTIONS);
    if (pool === null) throw new Error("no pool");
    this.pool = pool;
  }

  at(index: number, oid = 0): Handle {
    return this.handle.set(this.pool.id, [BigInt(oid), 2n, 3n], index);
  }

  /** @returns the place of the new page, or 0. */
  put(index: number, oid = 0): number {
    const page = this.tmem.claim(this.pool, this.at(index, oid), this.tmem.nextVersion());
    if (page === 0) return 0;
    this.lastPlace += 1;
    this.tmem.describe(page, TAG.LOCAL, this.lastPlace, 100, 1);
    this.numbers.set(this.lastPlace, page);
    return this.lastPlace;
  }

  find(index: number, oid = 0): number {
    return this.tmem.find(this.pool, this.at(index, oid));
  }

  flush(index: number, oid = 0): boolean {
    const page = this.find(index, oid);
    if (page !== 0) this.tmem.flush(page);
    return page !== 0;
  }

  /** The number of the page cannot change. */
  fix(index: number, oid = 0): void {
    this.fixed.add(this.tmem.place(this.find(index, oid)));
  }

  isInLeaf(index: number): boolean {
    return (this.find(index) & LEAF_BIT) !== 0;
  }

  /** Bytes of singles, leaves and buckets for one page, apart from what an empty index has. */
  get bytesPerPage(): number {
    return (this.tmem.usedBytes - new World().tmem.usedBytes) / this.tmem.pageCount;
  }

  verify(): void {
    let count = 0;
    this.tmem.verify((page) => {
      expect(this.numbers.get(this.tmem.place(page))).toBe(page);
      count += 1;
    });
    expect(this.numbers.size).toBe(count);
  }

  private forget(page: number): void {
    if (this.tmem.tag(page) === TAG.NONE) return;
    const place = this.tmem.place(page);
    expect(this.numbers.get(place)).toBe(page);
    this.numbers.delete(place);
    this.fixed.delete(place);
  }
}

test("the eighth page of a group makes a leaf, and the sixth but one undoes it", () => {
  const world = new World();
  for (const index of [6, 3, 0, 1, 7, 4, 5]) world.put(index);
  expect([world.isInLeaf(3), world.moves]).toEqual([false, 0]);
  world.put(2);
  expect(world.isInLeaf(3)).toBe(false); // Pages put in order end at the first or the last of four.
  world.put(12);
  world.put(7);
  for (const index of [0, 1, 2, 3, 4, 5, 6, 7, 12]) expect(world.isInLeaf(index)).toBe(true);
  world.put(32);
  expect([world.isInLeaf(32), world.moves]).toEqual([false, 8]);
  world.verify();
  world.flush(0);
  world.flush(5);
  expect(world.isInLeaf(12)).toBe(true);
  world.flush(7);
  for (const index of [1, 2, 3, 4, 6, 12]) expect(world.isInLeaf(index)).toBe(false);
  expect([world.find(0), world.find(5), world.tmem.pageCount]).toEqual([0, 0, 7]);
  world.verify();
});

test("pages that are put in order, up or down, are in leaves from the eighth on", () => {
  for (const indexAt of [(i: number) => i, (i: number) => 31 - i]) {
    const world = new World();
    for (let i = 0; i < 32; i += 1) {
      world.put(indexAt(i));
      expect(world.isInLeaf(indexAt(i))).toBe(i >= 7);
    }
    expect(world.moves).toBe(7);
    world.verify();
  }
});

test("groups of other objects, and on both sides of index 2^31, have leaves of their own", () => {
  const world = new World();
  for (const first of [0, 2 ** 31 - 32, 2 ** 31, 2 ** 32 - 32]) {
    for (let i = 0; i < 32; i += 1) {
      world.put(first + i, 1);
      world.put(first + i, 2);
    }
  }
  world.verify();
  for (const first of [0, 2 ** 31 - 32, 2 ** 31, 2 ** 32 - 32]) {
    for (const oid of [1, 2]) {
      const page = world.find(first + 31, oid);
      expect([page & LEAF_BIT, page & 31]).toEqual([LEAF_BIT, 31]);
      world.tmem.readHandle(page, world.handle);
      expect(world.handle.index).toBe(first + 31);
    }
  }
});

test("a page whose number others know stays, and moves when it is put again", () => {
  const world = new World();
  for (let index = 0; index < 4; index += 1) {
    world.put(index);
    world.fix(index);
  }
  for (let index = 4; index < 8; index += 1) world.put(index);
  expect(world.isInLeaf(7)).toBe(false); // Four may move.
  for (let index = 8; index < 16; index += 1) world.put(index);
  expect([3, 4, 15].map((index) => world.isInLeaf(index))).toEqual([false, true, true]);
  world.verify();
  world.put(3);
  expect([2, 3].map((index) => world.isInLeaf(index))).toEqual([false, true]);
  world.fix(15);
  for (let index = 4; index < 14; index += 1) world.flush(index);
  expect([3, 14, 15].map((index) => world.isInLeaf(index))).toEqual([true, true, true]);
  world.verify();
});

test("an index with pinned pages falls back to singles when its leaves are in use", () => {
  const world = new World({ pinnedPages: 64 });
  for (let group = 0; group < 4; group += 1) {
    for (let i = 0; i < 8; i += 1) expect(world.put(group * 32 + i)).not.toBe(0);
  }
  expect([0, 32, 64, 96].map((index) => world.isInLeaf(index))).toEqual([true, true, false, false]);
  world.verify();
});

test("a full index takes no page, also where a leaf has a free slot", () => {
  const world = new World({ pageCountMax: 40 });
  for (let index = 0; index < 40; index += 1) expect(world.put(index)).not.toBe(0);
  expect(world.put(40)).toBe(0);
  world.flush(3);
  expect(world.put(40)).not.toBe(0);
  expect([world.put(3), world.tmem.pageCount]).toEqual([0, 40]);
  world.verify();
});

test("a walk visits each page once, however leaves come and go meanwhile", () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const world = new World();
    const random = new SeededRandom(seed);
    for (let i = 0; i < 400; i += 1) world.put(below(random, 200), below(random, 3));
    const version = world.tmem.newestVersion;
    const before = world.tmem.pageCount;
    const walk = world.tmem.beginWalk(world.pool, null, version);
    let removed = 0;
    while (walk.page !== 0) {
      world.tmem.walks.step(walk, 1 + below(random, 20));
      for (let i = 0; i < 5; i += 1) {
        const index = below(random, 200);
        const oid = below(random, 3);
        const page = world.find(index, oid);
        const isOld = page !== 0 && world.tmem.version(page) <= version;
        if (below(random, 3) === 0) world.put(index, oid);
        else world.flush(index, oid);
        if (isOld) removed += 1;
      }
      world.verify();
    }
    expect(walk.freed + removed).toBe(before);
    world.tmem.verify((page) => expect(world.tmem.version(page)).toBeGreaterThan(version));
  }
});

/** Indexes in the order in which they are put, of which some repeat. */
const PATTERNS: Record<string, (random: Random, i: number) => number> = {
  "in order": (_, i) => i,
  "in order, from the end": (_, i) => 20_000 - i,
  "at random and dense": (random) => below(random, 3000),
  "at random and sparse": (random) => below(random, 200_000),
  "one in 32": (_, i) => i * 32,
  "four in 32": (_, i) => Math.floor(i / 4) * 32 + (i % 4) * 8,
  "seven in 32": (_, i) => Math.floor(i / 7) * 32 + (i % 7),
  "eight in 32": (_, i) => Math.floor(i / 8) * 32 + (i % 8),
};

test.each(Object.entries(PATTERNS))("pages %s take at most 60 bytes each", (_, indexAt) => {
  const world = new World();
  const random = new SeededRandom(1);
  for (let i = 0; i < 10_000; i += 1) world.put(indexAt(random, i));
  world.verify();
  expect(world.bytesPerPage).toBeLessThan(60);
});

test("dense pages take 13 bytes each", () => {
  const world = new World();
  for (let index = 0; index < 32 * 1024; index += 1) world.put(index);
  expect(world.bytesPerPage).toBeLessThan(13);
});

test("the singles that leaves took in are used again, and so are the leaves that went", () => {
  const world = new World();
  for (let round = 0; round < 5; round += 1) {
    for (let index = 0; index < 32 * 64; index += 1) world.put(index);
    const dense = world.tmem.usedBytes;
    for (let index = 0; index < 32 * 64; index += 1) if (index % 32 !== round) world.flush(index);
    expect(world.tmem.pageCount).toBe(64);
    // One single for each leaf that is left, while others become singles in turn.
    expect(world.tmem.usedBytes - dense).toBeLessThan(80 * 36);
    world.verify();
  }
});

test.each([1, 2, 3, 4])(
  "agrees with a plain Map while pages are fixed and free, seed %d",
  (seed) => {
    const random = new SeededRandom(seed);
    const world = new World({
      pageCountMax: 1000,
      ...(seed % 2 === 0 ? { pinnedPages: 500 } : {}),
    });
    const model = new Map<string, number>();
    const anyIndex = (): number => {
      const dice = below(random, 4);
      if (dice === 0) return below(random, 64);
      return dice === 1 ? below(random, 100_000) : 32 * below(random, 40) + below(random, 12);
    };
    for (let step = 0; step < 60_000; step += 1) {
      const index = anyIndex();
      const oid = below(random, 3);
      const key = `${oid}/${index}`;
      const dice = below(random, 1000);
      if (dice < 450) {
        const place = world.put(index, oid);
        if (place === 0) model.delete(key);
        else model.set(key, place);
        expect(place !== 0 || world.tmem.pageCount === 1000).toBe(true);
      } else if (dice < 600) {
        const page = world.find(index, oid);
        expect(page === 0 ? undefined : world.tmem.place(page)).toBe(model.get(key));
      } else if (dice < 900) {
        expect(world.flush(index, oid)).toBe(model.delete(key));
      } else if (dice < 950) {
        if (world.find(index, oid) !== 0) world.fix(index, oid);
      } else if (dice < 997) {
        for (const place of world.fixed) {
          world.fixed.delete(place);
          break;
        }
      } else {
        world.tmem.flushObject(world.pool, world.at(0, oid));
        for (const name of [...model.keys()]) if (name.startsWith(`${oid}/`)) model.delete(name);
      }
      if (step % 500 === 0) world.verify();
    }
    expect(world.tmem.pageCount).toBe(model.size);
    world.verify();
    expect(world.moves).toBeGreaterThan(100);
  },
);
