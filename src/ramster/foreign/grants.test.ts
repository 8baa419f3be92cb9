import { beforeEach, expect, test } from "bun:test";
import { Lz4 } from "../../compress/lz4.ts";
import { Raw } from "../../compress/raw.ts";
import { NEVER } from "../../core/buggify.ts";
import { Handle } from "../../core/handle.ts";
import { GRANT_PAGES_MAX, PAGE_BYTES } from "../../core/limits.ts";
import { SeededRandom } from "../../core/random.ts";
import { STATUS } from "../../core/status.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import { Zcache } from "../../zcache/zcache.ts";
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
  const marks = {
    placement: "zbud" as const,
    order: "lru" as const,
    highMarkPercent: 90,
    lowMarkPercent: 80,
  };
  const sizes = { persZpageBytesMax: 3584, persZpageMeanBytes: 2560 };
  const bounds = { frameCountMax, pageCountMax: 10_000, objectCountMax: 100 };
  zcache = new Zcache({ ...parts, seed: 0 }, { ...marks, ...sizes, ...bounds });
  grants = new Grants(zcache, NEVER);
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

test("the window doubles as it is used, up to its maximum; there is none without a link", () => {
  world(100_000);
  expect([grants.isShort(1), grants.renew(1, ANY)]).toEqual([false, 0]);
  grants.open(1);
  const windows: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    expect(grants.isShort(1)).toBe(true);
    grants.renew(1, ANY);
    windows.push(grants.outstandingOf(1));
    expect([grants.isShort(1), grants.renew(1, ANY)]).toEqual([false, 0]);
    grants.take(1, grants.outstandingOf(1));
  }
  expect(windows.slice(0, 4)).toEqual([64, 128, 256, 512]);
  expect(windows.at(-1)).toBe(GRANT_PAGES_MAX);
});

test("a rest of a grant that is too small to be used keeps no further grant away", () => {
  world(128);
  for (const node of [1, 2, 3, 4]) grants.open(node);
  for (const node of [1, 2, 3, 4]) grants.renew(node, ANY);
  const before = grants.outstandingOf(1);
  grants.take(1, before - 1);
  expect(grants.renew(1, ANY)).toBeGreaterThan(before);
});

test("all windows together are half of the free frames, in any order of owners", () => {
  const nodes = Array.from({ length: 8 }, (_, node) => node);
  for (const node of nodes) grants.open(node);
  for (let round = 0; round < 10; round += 1) {
    for (const node of nodes) {
      if (grants.isShort(node)) grants.renew(node, ANY);
      grants.take(node, grants.outstandingOf(node));
    }
  }
  for (const node of nodes) grants.renew(node, ANY);
  expect(nodes.map((node) => grants.outstandingOf(node))).toEqual(nodes.map(() => 1024 / 2 / 8));
});

test("pages that come in use up the grant, pages beyond it were never granted, and more is granted", () => {
  grants.open(1);
  grants.renew(1, ANY);
  expect([grants.take(1, 50), grants.take(1, 20), grants.take(1, 1)]).toEqual([50, 14, 0]);
  expect(grants.outstanding).toBe(0);
  expect(grants.renew(1, ANY)).toBe(64 + 128); // All is used, so more follows.
  expect(grants.take(2, 1)).toBe(0);
});

test("grants never exceed the frames; ephemeral pages make room", () => {
  fill(1000, true);
  for (const node of [1, 2]) grants.open(node);
  expect([1, 2].map((node) => grants.renew(node, ANY))).toEqual([16, 0]);
  expect(grants.outstanding).toBeLessThanOrEqual(24);
  world(1024);
  fill(1000, false);
  grants.open(1);
  expect(grants.renew(1, ANY)).toBe(64);
});

test("a quota is exhausted to its last page", () => {
  grants.open(1);
  expect(grants.renew(1, 3)).toBe(3);
  expect([grants.take(1, 3), grants.renew(1, 0), grants.renew(1, 1)]).toEqual([3, 0, 4]);
});

test("a grant ends with its link", () => {
  grants.open(1);
  grants.renew(1, ANY);
  grants.close(1);
  expect([grants.outstanding, grants.take(1, 1)]).toEqual([0, 0]);
  grants.open(1);
  expect(grants.renew(1, ANY)).toBe(64); // The count starts at 0 again.
  grants.open(1);
  expect(grants.outstanding).toBe(0);
});
