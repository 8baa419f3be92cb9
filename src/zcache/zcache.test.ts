import { expect, test } from "bun:test";
import { CODEC } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { Handle, type Oid } from "../core/handle.ts";
import { PERSISTENT } from "../core/kind.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { openMemory } from "../memory/open-memory.ts";
import { PLACEMENTS, TAKEN_MAX } from "../placement/placement.ts";
import { NEVER_REMOTE } from "../ramster/foreign/foreign.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Pool } from "../tmem/pool.ts";
import { LOCAL_CLIENT } from "../tmem/tmem.ts";
import { Zcache, type ZcacheOptions } from "./zcache.ts";

const memory = openMemory();
const lz4 = await Lz4.load(memory);
const codecs = [new Raw(memory), lz4];
const SEED = 0x1234;

function makeZcache(options: Partial<ZcacheOptions> = {}): Zcache {
  return new Zcache(
    { memory, codec: lz4, codecs, remote: NEVER_REMOTE, seed: SEED },
    {
      frameCountMax: 64,
      placement: "zbud",
      order: "lru",
      highMarkPercent: 90,
      lowMarkPercent: 80,
      pageCountMax: 10_000,
      objectCountMax: 1000,
      persZpageBytesMax: 3584,
      persZpageMeanBytes: 2560,
      ...options,
    },
  );
}

function poolOf(zcache: Zcache, options: { persistent: boolean; storeWhole?: boolean }): Pool {
  const pool = zcache.tmem.newPool(LOCAL_CLIENT, { storeWhole: false, ...options });
  if (pool === null) throw new Error("no pool");
  return pool;
}

const OID: Oid = [1n, 2n, 3n];

function at(pool: Pool, index: number): Handle {
  return new Handle().set(pool.id, OID, index);
}

/** A page of which `randomBytes` do not compress. Another `seed` gives another page. */
function pageOf(seed: number, randomBytes: number): Uint8Array {
  const random = new SeededRandom(seed);
  const page = new Uint8Array(PAGE_BYTES);
  for (let i = 0; i < randomBytes; i += 1) page[i] = random.u32();
  page[PAGE_BYTES - 1] = seed;
  page[PAGE_BYTES - 2] = seed >> 8;
  return page;
}

function get(zcache: Zcache, pool: Pool, index: number): Uint8Array | number {
  const handle = at(pool, index);
  const page = zcache.tmem.find(pool, handle);
  if (page === 0) return STATUS.NOT_FOUND;
  const target = new Uint8Array(PAGE_BYTES + 8);
  const status = zcache.deliver(page, handle, target, 8);
  return status === STATUS.OK ? target.slice(8) : status;
}

test("a get returns the page that was put, whatever its bytes", () => {
  const zcache = makeZcache({ frameCountMax: 1000 });
  const pool = poolOf(zcache, { persistent: true });
  for (let i = 0; i < 300; i += 1) {
    const page = pageOf(i, (i * 11) % 3400);
    expect(zcache.put(pool, at(pool, i), page, 0)).toBe(STATUS.OK);
    expect(get(zcache, pool, i)).toEqual(page);
  }
  zcache.verify();
});

test("a same-filled page takes no frame, and a get returns it", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true });
  const page = new Uint8Array(PAGE_BYTES);
  new Int32Array(page.buffer).fill(-559_038_737);
  zcache.put(pool, at(pool, 1), page, 0);
  zcache.put(pool, at(pool, 2), new Uint8Array(PAGE_BYTES), 0);
  expect(zcache.frames.framesUsed).toBe(0);
  expect(zcache.counters.same_filled_pages).toBe(2);
  expect(get(zcache, pool, 1)).toEqual(page);
  zcache.flushPage(pool, at(pool, 1));
  expect(zcache.counters.same_filled_pages).toBe(1);
  zcache.verify();
});

test("a persistent page over 7/8 is refused as compress_poor and leaves nothing behind", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true });
  zcache.put(pool, at(pool, 1), pageOf(1, 100), 0);
  expect(zcache.put(pool, at(pool, 1), pageOf(2, 3900), 0)).toBe(STATUS.COMPRESS_POOR);
  expect(get(zcache, pool, 1)).toBe(STATUS.NOT_FOUND);
  expect(zcache.counters.compress_poor).toBe(1);
  expect(zcache.counters.failed_pers_puts).toBe(1);
  zcache.verify();
});

test("the mean rule refuses a page only while the mean of the whole store is poor", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true });
  // The first: no mean yet.
  expect(zcache.put(pool, at(pool, 1), pageOf(1, 3000), 0)).toBe(STATUS.OK);
  expect(zcache.put(pool, at(pool, 2), pageOf(2, 3000), 0)).toBe(STATUS.MEAN_COMPRESS_POOR);
  expect(zcache.put(pool, at(pool, 3), pageOf(3, 500), 0)).toBe(STATUS.OK); // The mean comes down.
  expect(zcache.put(pool, at(pool, 2), pageOf(2, 3000), 0)).toBe(STATUS.OK);
  expect(zcache.counters.mean_compress_poor).toBe(1);
});

test("an ephemeral page may compress to 4000 bytes, a persistent one may not", () => {
  const zcache = makeZcache();
  const eph = poolOf(zcache, { persistent: false });
  const pers = poolOf(zcache, { persistent: true });
  const page = pageOf(1, 3700);
  expect(zcache.put(pers, at(pers, 1), page, 0)).toBe(STATUS.COMPRESS_POOR);
  expect(zcache.put(eph, at(eph, 1), page, 0)).toBe(STATUS.OK);
  expect(zcache.put(eph, at(eph, 2), pageOf(2, 4090), 0)).toBe(STATUS.COMPRESS_POOR);
  expect(get(zcache, eph, 1)).toEqual(page);
});

test("a pool that stores whole pages refuses no page for its size", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true, storeWhole: true });
  const page = pageOf(1, 4096);
  expect(zcache.put(pool, at(pool, 1), page, 0)).toBe(STATUS.OK);
  expect(get(zcache, pool, 1)).toEqual(page);
  expect(zcache.counters.stored_whole).toBe(1);
  expect(zcache.frames.framesUsed).toBe(1);
  zcache.verify();
});

test("newest ephemeral beats oldest, persistent beats ephemeral, and persistent is never evicted", () => {
  const zcache = makeZcache({ frameCountMax: 4 });
  const eph = poolOf(zcache, { persistent: false });
  const pers = poolOf(zcache, { persistent: true });
  for (let i = 0; i < 5; i += 1) zcache.put(eph, at(eph, i), pageOf(i, 3500), 0);
  expect([0, 1, 2, 3, 4].map((i) => get(zcache, eph, i) !== STATUS.NOT_FOUND)).toEqual([
    false,
    true,
    true,
    true,
    true,
  ]);
  expect(zcache.counters.eph_ate_tail).toBe(1);
  for (let i = 0; i < 2; i += 1) zcache.put(pers, at(pers, i), pageOf(i, 2500), 0);
  expect(zcache.counters.pers_ate_eph).toBe(2);
  for (let i = 2; i < 4; i += 1) zcache.put(pers, at(pers, i), pageOf(i, 2500), 0);
  expect(zcache.put(pers, at(pers, 9), pageOf(9, 2500), 0)).toBe(STATUS.NO_ROOM);
  expect(zcache.put(eph, at(eph, 9), pageOf(9, 2500), 0)).toBe(STATUS.NO_ROOM);
  expect(zcache.counters.pers_ate_eph_failed).toBe(1);
  expect(zcache.counters.eph_ate_tail_failed).toBe(1);
  for (let i = 0; i < 4; i += 1) expect(get(zcache, pers, i)).toEqual(pageOf(i, 2500));
  zcache.verify();
});

test("a put to a full store frees the old page of its handle first, and succeeds", () => {
  const zcache = makeZcache({ frameCountMax: 2 });
  const pool = poolOf(zcache, { persistent: true });
  for (let i = 0; i < 2; i += 1) zcache.put(pool, at(pool, i), pageOf(i, 2500), 0);
  expect(zcache.put(pool, at(pool, 2), pageOf(2, 2500), 0)).toBe(STATUS.NO_ROOM);
  expect(zcache.put(pool, at(pool, 1), pageOf(7, 2500), 0)).toBe(STATUS.OK);
  expect(get(zcache, pool, 1)).toEqual(pageOf(7, 2500));
});

test("a put to a frozen store fails and flushes its handle", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true });
  zcache.put(pool, at(pool, 1), pageOf(1, 100), 0);
  zcache.tmem.frozen = true;
  expect(zcache.put(pool, at(pool, 1), pageOf(2, 100), 0)).toBe(STATUS.FROZEN);
  expect(get(zcache, pool, 1)).toBe(STATUS.NOT_FOUND);
  expect(zcache.counters.put_to_flush).toBe(1);
});

test("damaged bytes in a frame are an error, never other bytes and never a miss", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true });
  zcache.put(pool, at(pool, 1), pageOf(1, 1000), 0);
  const page = zcache.tmem.find(pool, at(pool, 1));
  const frame = zcache.tmem.place(page) >>> 1;
  zcache.frames.write(frame, 500, new Uint8Array([1, 2, 3]), 0, 3);
  expect(get(zcache, pool, 1)).toBe(STATUS.CORRUPT);
  expect(get(zcache, pool, 1)).toBe(STATUS.CORRUPT);
  expect(zcache.counters.corrupt_pages).toBe(2);
});

test("putZpage() checks a zpage and stores it unchanged under its own version", () => {
  const owner = makeZcache();
  const holder = makeZcache();
  const pool = poolOf(owner, { persistent: true });
  owner.put(pool, at(pool, 5), pageOf(4, 1500), 0);
  const page = owner.tmem.find(pool, at(pool, 5));
  const oldBytes = new Uint8Array(PAGE_BYTES);
  const older = { ...owner.readZpage(page, oldBytes, 8) };
  owner.put(pool, at(pool, 5), pageOf(5, 1500), 0);
  const bytes = new Uint8Array(PAGE_BYTES + 10);
  const zpage = { ...owner.readZpage(page, bytes, 10) };
  const foreign = poolOf(holder, { persistent: true, storeWhole: true });
  const handle = at(foreign, 5);
  // With another owner's seed.
  expect(holder.putZpage(foreign, handle, zpage, SEED + 1)).toBe(STATUS.CORRUPT);
  // Under another handle.
  expect(holder.putZpage(foreign, at(foreign, 6), zpage, SEED)).toBe(STATUS.CORRUPT);
  expect(holder.putZpage(foreign, handle, zpage, SEED)).toBe(STATUS.OK);
  expect(holder.putZpage(foreign, handle, older, SEED)).toBe(STATUS.STALE);
  const copy = holder.tmem.find(foreign, handle);
  expect(holder.tmem.version(copy)).toBe(zpage.version);
  const back = new Uint8Array(PAGE_BYTES);
  const read = { ...holder.readZpage(copy, back, 8) };
  expect(read.checksum).toBe(zpage.checksum);
  const target: Uint8Array = new Uint8Array(PAGE_BYTES);
  expect(owner.deliverZpage(at(pool, 5), read, target, 0)).toBe(true);
  expect(target).toEqual(pageOf(5, 1500));
  const wrong = { ...zpage, codec: CODEC.RAW };
  expect(holder.putZpage(foreign, at(foreign, 7), wrong, SEED)).toBe(STATUS.BAD_REQUEST);
});

test("localify() makes a remote record local again with the same version", () => {
  const zcache = makeZcache();
  const pool = poolOf(zcache, { persistent: true });
  zcache.put(pool, at(pool, 1), pageOf(1, 1500), 0);
  const page = zcache.tmem.find(pool, at(pool, 1));
  const bytes = new Uint8Array(PAGE_BYTES);
  const zpage = { ...zcache.readZpage(page, bytes, 8) };
  zcache.turnRemote(page, 3);
  expect([zcache.tmem.tag(page), zcache.tmem.place(page)]).toEqual([TAG.REMOTE, 3]);
  expect(zcache.localify(page, zpage)).toBe(true);
  expect(get(zcache, pool, 1)).toEqual(pageOf(1, 1500));
  zcache.verify();
});

test.each(PLACEMENTS)(
  "zpages follow their pages into a leaf and out of it, with %s",
  (placement) => {
    const zcache = makeZcache({ placement, frameCountMax: 200 });
    const pool = poolOf(zcache, { persistent: true, storeWhole: true });
    const pages = Array.from({ length: 64 }, (_, i) =>
      pageOf(i, i % 5 === 0 ? 4000 : (i * 37) % 2500),
    );
    for (const [index, page] of pages.entries()) {
      zcache.put(pool, at(pool, index), page, 0);
      zcache.verify();
    }
    expect(zcache.tmem.find(pool, at(pool, 31)) - zcache.tmem.find(pool, at(pool, 0))).toBe(31);
    for (let index = 0; index < 64; index += 1) {
      if (index % 7 !== 0) zcache.flushPage(pool, at(pool, index));
      else expect(get(zcache, pool, index)).toEqual(pages[index] ?? new Uint8Array());
      zcache.verify();
    }
    for (let index = 0; index < 64; index += 7) {
      expect(get(zcache, pool, index)).toEqual(pages[index] ?? new Uint8Array());
    }
  },
);

test.each(PLACEMENTS)("a leaving page keeps its number while others move, with %s", (placement) => {
  const zcache = makeZcache({ placement, frameCountMax: 200 });
  const { tmem } = zcache;
  const pool = poolOf(zcache, { persistent: true });
  for (let index = 0; index < 4; index += 1)
    zcache.put(pool, at(pool, index), pageOf(index, 1500), 0);
  const taken = new Int32Array(TAKEN_MAX);
  const count = zcache.placement.takeOldest(PERSISTENT, taken);
  const leaving = [...taken.subarray(0, count)].map((page) => {
    const handle = new Handle();
    tmem.readHandle(page, handle);
    return { page, version: tmem.version(page), handle };
  });
  for (let index = 4; index < 32; index += 1) {
    zcache.put(pool, at(pool, index), pageOf(index, 1500), 0);
  }
  expect(tmem.find(pool, at(pool, 31)) - tmem.find(pool, at(pool, 8))).toBe(23);
  for (const { page, version, handle } of leaving) {
    expect([tmem.isLive(page), tmem.version(page)]).toEqual([true, version]);
    expect(tmem.find(pool, handle)).toBe(page);
    zcache.placement.putBack(tmem.place(page), "oldest");
    zcache.put(pool, handle, pageOf(handle.index + 100, 1000), 0);
    expect(tmem.find(pool, handle)).toBe(tmem.find(pool, at(pool, 31)) - 31 + handle.index);
    expect(tmem.isTaken(page)).toBe(false);
    if (placement === "zbud") break; // The other buddy is put back with it.
  }
  zcache.verify();
});
