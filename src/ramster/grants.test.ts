import { beforeEach, expect, test } from "bun:test";
import { Lz4 } from "../compress/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { Handle } from "../core/handle.ts";
import { GRANT_PAGES_MAX, PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { Zcache } from "../zcache/zcache.ts";
import { NEVER_REMOTE } from "./foreign.ts";
import { Grants } from "./grants.ts";

const memory = new HeapMemory();
const lz4 = await Lz4.load(memory);
const ANY = Number.POSITIVE_INFINITY;

let zcache: Zcache;
let grants: Grants;

beforeEach(() => {
  world(1024);
});

function world(frameCountMax: number): void {
  const parts = { memory, codec: lz4, codecs: [new Raw(memory), lz4], remote: NEVER_REMOTE };
  const marks = { highMarkPercent: 90, lowMarkPercent: 80 };
  const sizes = { persZpageBytesMax: 3584, persZpageMeanBytes: 2560 };
  const bounds = { frameCountMax, pageCountMax: 10_000, objectCountMax: 100 };
  zcache = new Zcache({ ...parts, seed: 0 }, { ...marks, ...sizes, ...bounds });
  grants = new Grants(zcache);
}

/** Fills `count` frames. */
function fill(count: number, persistent: boolean): void {
  const pool = zcache.tmem.newPool(1, { persistent, storeWhole: true });
  const random = new SeededRandom(1);
  const page = new Uint8Array(PAGE_BYTES).map(() => random.u32());
  for (let i = 0; i < count; i += 1) {
    const handle = new Handle().set(pool?.id ?? 0, [1n, 2n, 3n], i);
    expect(pool !== null && zcache.put(pool, handle, page, 0)).toBe(STATUS.OK);
  }
}

test("each gets half of what is not promised, up to the window, and nobody without a link", () => {
  expect(grants.renew(1, ANY)).toBe(0);
  for (const node of [1, 2, 3]) grants.open(node);
  expect([1, 2, 3].map((node) => grants.renew(node, ANY))).toEqual([512, 256, 128]);
  expect([grants.outstanding, grants.outstandingOf(2)]).toEqual([896, 256]);
  world(100_000);
  grants.open(1);
  expect(grants.renew(1, ANY)).toBe(GRANT_PAGES_MAX);
  expect([grants.isShort(1), grants.renew(1, ANY)]).toEqual([false, 0]);
});

test("what comes in is taken off, what is beyond was never promised, and more is added", () => {
  grants.open(1);
  grants.renew(1, ANY);
  expect([grants.take(1, 500), grants.take(1, 20), grants.take(1, 1)]).toEqual([500, 12, 0]);
  expect(grants.outstanding).toBe(0);
  expect(grants.renew(1, ANY)).toBe(1024); // Nothing was stored: 512 more.
  expect(grants.take(2, 1)).toBe(0);
});

test("promises are never more than the frames there are; ephemeral pages make room", () => {
  fill(1000, true);
  for (const node of [1, 2]) grants.open(node);
  expect([1, 2].map((node) => grants.renew(node, ANY))).toEqual([16, 0]);
  expect(grants.outstanding).toBeLessThanOrEqual(24);
  world(1024);
  fill(1000, false);
  grants.open(1);
  expect(grants.renew(1, ANY)).toBe(512);
});

test("a quota is exhausted to its last page", () => {
  grants.open(1);
  expect(grants.renew(1, 3)).toBe(3);
  expect([grants.take(1, 3), grants.renew(1, 0), grants.renew(1, 1)]).toEqual([3, 0, 4]);
});

test("a link that is lost takes its promises with it", () => {
  grants.open(1);
  grants.renew(1, ANY);
  grants.close(1);
  expect([grants.outstanding, grants.take(1, 1)]).toEqual([0, 0]);
  grants.open(1);
  expect(grants.renew(1, ANY)).toBe(512); // Counted from 0 again.
  grants.open(1);
  expect(grants.outstanding).toBe(0);
});
