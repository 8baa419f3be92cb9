/**
 * `bun harness/processes/resident-fixture.ts [pinned] [locked]`: fills a store with 512 MiB of
 * pages and flushes them. It prints, in bytes, the resident memory of its process before, and how
 * much more there is with a full and with an empty store. The process does nothing else.
 *
 * "pinned": memory is kept, as for the pages of a node in swap mode. "locked": the whole process is
 * locked, as that node is; `isLocked` tells whether that succeeded.
 */
import { Lz4 } from "../../src/compress/lz4.ts";
import { Raw } from "../../src/compress/raw.ts";
import { assert } from "../../src/core/assert.ts";
import { Handle, type Oid } from "../../src/core/handle.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { STATUS } from "../../src/core/status.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { openProcess } from "../../src/memory/open-process.ts";
import { NEVER_REMOTE } from "../../src/ramster/foreign/foreign.ts";
import { LOCAL_CLIENT } from "../../src/tmem/tmem.ts";
import { Zcache } from "../../src/zcache/zcache.ts";

const OID: Oid = [1n, 2n, 3n];
const PAGES = (512 * 1024 * 1024) / FRAME_BYTES;
/** A page that compresses to more than half of its size: one zpage a frame. */
const RANDOM_BYTES = 3300;

const memory = openMemory();
const lz4 = await Lz4.load(memory);
const zcache = new Zcache(
  { memory, codec: lz4, codecs: [new Raw(memory), lz4], remote: NEVER_REMOTE, seed: 1 },
  {
    frameCountMax: PAGES,
    placement: "zbud",
    order: "lru",
    highMarkPercent: 90,
    lowMarkPercent: 80,
    pageCountMax: PAGES,
    objectCountMax: 1000,
    pinnedPages: process.argv.includes("pinned") ? PAGES : 0,
    persZpageBytesMax: 3584,
    persZpageMeanBytes: 3584,
  },
);
const pool = zcache.tmem.newPool(LOCAL_CLIENT, { persistent: true, storeWhole: false });
assert(pool !== null);
const random = new SeededRandom(1);
const page = new Uint8Array(PAGE_BYTES);
for (let i = 0; i < RANDOM_BYTES; i += 1) page[i] = random.u32();

const isLocked = process.argv.includes("locked") && openProcess()?.lockMemory() === null;
Bun.gc(true);
const before = process.memoryUsage.rss();
const handle = new Handle();
for (let i = 0; i < PAGES; i += 1) {
  page[0] = i;
  page[1] = i >> 8;
  assert(zcache.put(pool, handle.set(pool.id, OID, i), page, 0) === STATUS.OK);
}
const full = process.memoryUsage.rss() - before;
zcache.tmem.flushSome(pool, Number.POSITIVE_INFINITY);
while (zcache.trim());
Bun.gc(true);
const empty = process.memoryUsage.rss() - before;
console.log(JSON.stringify({ before, full, empty, isLocked }));
