import { expect, test } from "bun:test";
import { Handle, type Oid } from "../core/handle.ts";
import { below, SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { openMemory } from "../memory/open-memory.ts";
import { TAG } from "./pampd.ts";
import { Pool } from "./pool.ts";
import { LOCAL_CLIENT, Tmem } from "./tmem.ts";

const PERSISTENT = { persistent: true, storeWhole: false };
const EPHEMERAL = { persistent: false, storeWhole: false };

/** A tmem over pretended storage: `place` is any number, and `freed` records what is freed. */
function makeTmem(options: { pageCountMax?: number; objectCountMax?: number } = {}) {
  const freed: number[] = [];
  const tmem = new Tmem(
    openMemory(),
    { pageCountMax: 1000, objectCountMax: 1000, ...options },
    {
      free(page) {
        if (tmem.tag(page) !== TAG.NONE) freed.push(tmem.place(page));
      },
      mayRenumber: (page) => tmem.tag(page) !== TAG.NONE,
      renumbered: () => {},
    },
  );
  return { tmem, freed };
}

function newPool(tmem: Tmem, options = PERSISTENT): Pool {
  const pool = tmem.newPool(LOCAL_CLIENT, options);
  if (pool === null) throw new Error("no pool");
  return pool;
}

function at(pool: Pool, oid: Oid, index: number): Handle {
  return new Handle().set(pool.id, oid, index);
}

function put(tmem: Tmem, pool: Pool, handle: Handle, place: number): number {
  const page = tmem.claim(pool, handle, tmem.nextVersion());
  if (page !== 0) tmem.describe(page, TAG.LOCAL, place, 100, 1);
  return page;
}

test("tmem.find() finds a page by pool, oid and index and nothing else", () => {
  const { tmem } = makeTmem();
  const a = newPool(tmem);
  const b = newPool(tmem);
  const page = put(tmem, a, at(a, [1n, 2n, 3n], 7), 11);
  expect(tmem.find(a, at(a, [1n, 2n, 3n], 7))).toBe(page);
  expect(tmem.find(a, at(a, [1n, 2n, 3n], 8))).toBe(0);
  expect(tmem.find(a, at(a, [3n, 2n, 1n], 7))).toBe(0);
  expect(tmem.find(b, at(b, [1n, 2n, 3n], 7))).toBe(0);
  expect(tmem.place(page)).toBe(11);
  expect(tmem.zpageBytes(page)).toBe(100);
  tmem.verify(() => {});
});

test("tmem keeps all 64 bits of an oid word and all 32 of an index", () => {
  const { tmem } = makeTmem();
  const pool = newPool(tmem);
  const oid: Oid = [0xffff_ffff_0000_0001n, 0x8000_0000_0000_0000n, 1n];
  const page = put(tmem, pool, at(pool, oid, 0xffff_ffff), 1);
  put(tmem, pool, at(pool, [1n, 0x8000_0000_0000_0000n, 1n], 0xffff_ffff), 2);
  const handle = new Handle();
  tmem.readHandle(page, handle);
  expect(handle).toEqual(at(pool, oid, 0xffff_ffff));
  expect(tmem.objectCount).toBe(2);
});

test("tmem.claim() frees the page under the handle and gives a new version", () => {
  const { tmem, freed } = makeTmem();
  const pool = newPool(tmem);
  const handle = at(pool, [1n, 1n, 1n], 1);
  const first = put(tmem, pool, handle, 11);
  const version = tmem.version(first);
  const second = put(tmem, pool, handle, 12);
  expect(freed).toEqual([11]);
  expect(tmem.version(second)).toBeGreaterThan(version);
  expect(tmem.place(tmem.find(pool, handle))).toBe(12);
  expect(tmem.pageCount).toBe(1);
});

test("a put that is refused after claim() leaves nothing, not even the old page", () => {
  const { tmem, freed } = makeTmem();
  const pool = newPool(tmem);
  const handle = at(pool, [1n, 1n, 1n], 1);
  put(tmem, pool, handle, 11);
  tmem.remove(tmem.claim(pool, handle, tmem.nextVersion()));
  expect(freed).toEqual([11]);
  expect(tmem.find(pool, handle)).toBe(0);
  expect(tmem.objectCount).toBe(0);
  tmem.verify(() => {});
});

test("tmem.claim() while frozen is a flush", () => {
  const { tmem, freed } = makeTmem();
  const pool = newPool(tmem);
  const handle = at(pool, [1n, 1n, 1n], 1);
  put(tmem, pool, handle, 11);
  tmem.frozen = true;
  expect(put(tmem, pool, handle, 12)).toBe(0);
  expect(freed).toEqual([11]);
  expect(tmem.find(pool, handle)).toBe(0);
});

test("tmem.claim() returns 0 when pages or objects run out, and leaves no empty object", () => {
  const { tmem } = makeTmem({ pageCountMax: 3, objectCountMax: 2 });
  const pool = newPool(tmem);
  put(tmem, pool, at(pool, [1n, 0n, 0n], 1), 1);
  put(tmem, pool, at(pool, [2n, 0n, 0n], 1), 2);
  expect(put(tmem, pool, at(pool, [3n, 0n, 0n], 1), 3)).toBe(0);
  put(tmem, pool, at(pool, [1n, 0n, 0n], 2), 4);
  tmem.flush(tmem.find(pool, at(pool, [2n, 0n, 0n], 1)));
  put(tmem, pool, at(pool, [1n, 0n, 0n], 3), 5);
  expect(put(tmem, pool, at(pool, [9n, 0n, 0n], 9), 6)).toBe(0);
  expect(tmem.objectCount).toBe(1);
  tmem.verify(() => {});
});

test("tmem.flushObject() frees every page of the oid and no other", () => {
  const { tmem, freed } = makeTmem();
  const pool = newPool(tmem);
  for (let index = 0; index < 5; index += 1) put(tmem, pool, at(pool, [1n, 0n, 0n], index), index);
  put(tmem, pool, at(pool, [2n, 0n, 0n], 0), 99);
  expect(tmem.flushObject(pool, at(pool, [1n, 0n, 0n], 0))).toBe(5);
  expect(freed.sort()).toEqual([0, 1, 2, 3, 4]);
  expect(tmem.flushObject(pool, at(pool, [1n, 0n, 0n], 0))).toBe(0);
  expect(tmem.pageCount).toBe(1);
  tmem.verify(() => {});
});

test("a walk frees pages up to its version, of one object or of all, and leaves newer ones", () => {
  const { tmem } = makeTmem();
  const pool = newPool(tmem);
  for (let index = 0; index < 4; index += 1) put(tmem, pool, at(pool, [1n, 0n, 0n], index), index);
  for (let index = 0; index < 4; index += 1) put(tmem, pool, at(pool, [2n, 0n, 0n], index), index);
  const one = tmem.beginWalk(pool, at(pool, [1n, 0n, 0n], 0), 2);
  expect([tmem.walks.step(one, 1000), one.freed]).toEqual([4, 2]);
  const all = tmem.beginWalk(pool, null, 6);
  tmem.walks.step(all, 1000);
  expect(all.freed).toBe(4);
  expect(tmem.pageCount).toBe(2);
  tmem.verify(() => {});
});

test("tmem.flushSome() keeps the pool, and removePool() frees its id, which is reused last", () => {
  const { tmem, freed } = makeTmem();
  const pool = newPool(tmem);
  put(tmem, pool, at(pool, [1n, 0n, 0n], 0), 1);
  tmem.flushSome(pool, Number.POSITIVE_INFINITY);
  expect(freed).toEqual([1]);
  expect(tmem.pool(LOCAL_CLIENT, pool.id)).toBe(pool);
  put(tmem, pool, at(pool, [1n, 0n, 0n], 0), 2);
  tmem.removePool(pool);
  expect(tmem.pool(LOCAL_CLIENT, pool.id)).toBeNull();
  for (let id = 1; id < 256; id += 1) expect(newPool(tmem).id).toBe(id);
  expect(newPool(tmem, EPHEMERAL).id).toBe(pool.id);
  expect(tmem.newPool(LOCAL_CLIENT, PERSISTENT)).toBeNull();
});

test("tmem.autocreatePool() makes a pool with the owner's id, and refuses the other kind", () => {
  const { tmem } = makeTmem();
  const pool = tmem.autocreatePool(3, 9, PERSISTENT);
  expect(pool).toBeInstanceOf(Pool);
  expect(tmem.autocreatePool(3, 9, PERSISTENT)).toBe(pool);
  expect(tmem.autocreatePool(3, 9, EPHEMERAL)).toBe(STATUS.POOL_MISMATCH);
  expect(tmem.autocreatePool(3, 256, EPHEMERAL)).toBe(STATUS.POOLS_FULL);
  expect(tmem.pool(4, 9)).toBeNull();
});

test("tmem.newPool() makes POOLS_PER_CLIENT_MAX pools for a client", () => {
  const { tmem } = makeTmem();
  for (let id = 0; id < 256; id += 1) expect(newPool(tmem).id).toBe(id);
  expect(tmem.newPool(LOCAL_CLIENT, PERSISTENT)).toBeNull();
  expect(tmem.newPool(1, PERSISTENT)).not.toBeNull();
});

test("tmem agrees with a plain Map over random operations", () => {
  const { tmem } = makeTmem({ pageCountMax: 5000, objectCountMax: 300 });
  const random = new SeededRandom(4);
  const pools = [newPool(tmem), newPool(tmem, EPHEMERAL), newPool(tmem)];
  const model = new Map<string, number>();
  const handle = new Handle();
  for (let step = 0; step < 200_000; step += 1) {
    const pool = pools[below(random, pools.length)];
    if (pool === undefined) continue;
    const oid = BigInt(below(random, 60));
    handle.set(pool.id, [oid, oid << 40n, 5n], below(random, 100));
    const key = handle.toString();
    const dice = below(random, 1000);
    if (dice < 500) {
      if (put(tmem, pool, handle, step) !== 0) model.set(key, step);
      else model.delete(key);
    } else if (dice < 800) {
      const page = tmem.find(pool, handle);
      expect(page === 0 ? undefined : tmem.place(page)).toBe(model.get(key));
    } else if (dice < 990) {
      const page = tmem.find(pool, handle);
      if (page !== 0) tmem.flush(page);
      expect(model.delete(key)).toBe(page !== 0);
    } else if (dice < 999) {
      tmem.flushObject(pool, handle);
      const prefix = key.slice(0, key.lastIndexOf("/") + 1);
      for (const name of [...model.keys()]) if (name.startsWith(prefix)) model.delete(name);
    } else {
      tmem.flushSome(pool, Number.POSITIVE_INFINITY);
      for (const name of [...model.keys()]) if (name.startsWith(`${pool.id}/`)) model.delete(name);
    }
    if (step % 5000 === 0) tmem.verify(() => {});
  }
  expect(tmem.pageCount).toBe(model.size);
  tmem.verify(() => {});
});
