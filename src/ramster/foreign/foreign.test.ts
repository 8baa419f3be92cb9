import { expect, test } from "bun:test";
import { channelPair } from "../../../harness/sim/channel-pair.ts";
import { Checksummer, ownerSeed } from "../../compress/checksum.ts";
import { CODEC } from "../../compress/codec.ts";
import { Lz4 } from "../../compress/lz4.ts";
import { Raw } from "../../compress/raw.ts";
import { NEVER } from "../../core/buggify.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../core/kind.ts";
import { FLUSH_SLICE, PAGE_BYTES } from "../../core/limits.ts";
import { STATUS } from "../../core/status.ts";
import { writeVersion } from "../../core/version.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import { LANE } from "../../net/channel.ts";
import { TAG } from "../../tmem/pampd.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  FLUSH_ENTRY_BYTES,
  FLUSH_SCOPE,
  type FlushScope,
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  PUT_ENTRY_BYTES,
  writeFlushEntry,
  writeGetEntry,
  writePutEntry,
} from "../../wire/peer-entries.ts";
import { Zcache } from "../../zcache/zcache.ts";
import { Foreign, NEVER_REMOTE } from "./foreign.ts";

const OWNER = 7;
const BOOT_ID = 0x1234n;
const memory = new HeapMemory();
const lz4 = await Lz4.load(memory);

interface Holder {
  foreign: Foreign;
  linkUp(bootId: bigint): void;
  /** The status of a put of a page full of `version`, or none when it was not served. */
  put(handle: Handle, version: number, kind: Kind): number;
  /** The status and first byte of a held page. */
  get(handle: Handle, version: number): number[];
  flush(handle: Handle, version: number, scope: FlushScope): number;
  /**
   * The status of each of `count` equal flushes in one message. `onStep` is called at each step.
   */
  flushMany(handle: Handle, version: number, scope: FlushScope, many: Many): Set<number>;
}

interface Many {
  count: number;
  onStep: () => void;
}

/** A holder at the far end of a channel, and its owner at the near one. */
async function holder(pagesPerOwnerMax: number | null = null, pageCountMax = 100): Promise<Holder> {
  const { clock, near, far } = await channelPair(1);
  const parts = { memory, codec: lz4, codecs: [new Raw(memory), lz4], remote: NEVER_REMOTE };
  const marks = { frameCountMax: 4, highMarkPercent: 90, lowMarkPercent: 80 };
  const sizes = { persZpageBytesMax: 3584, persZpageMeanBytes: 2560 };
  const bounds = { pageCountMax, objectCountMax: 100 };
  const zcache = new Zcache({ ...parts, seed: 0 }, { ...marks, ...sizes, ...bounds });
  const foreign = new Foreign(
    { zcache, clock, want: () => {}, seedOf: ownerSeed, buggify: NEVER },
    { pagesPerOwnerMax, requestTimeoutMs: 2000 },
  );
  far.answer = (channel, frame) => {
    if (frame.type === MESSAGE.PUT) foreign.onPut(OWNER, channel, frame);
    else if (frame.type === MESSAGE.GET) foreign.onGet(OWNER, channel, frame);
    else foreign.onFlush(OWNER, channel, frame);
  };
  foreign.linkUp(OWNER, BOOT_ID, far.channel);
  const { channel } = near;
  const ask = (
    type: number,
    bodyBytes: number,
    read: (reply: Frame) => number[],
    { count, onStep }: Many = { count: 1, onStep: () => {} },
  ): number[] => {
    let result: number[] | null = null;
    const sink = {
      onReply: (_: number, reply: Frame): void => {
        result = read(reply);
      },
      onFailure: (): void => {
        result = [];
      },
    };
    channel.commitRequest(type, count, bodyBytes, sink, 0, 1000);
    clock.runUntil(() => {
      onStep();
      return result !== null;
    }, 2000);
    zcache.verify();
    return result ?? [];
  };
  const status = (reply: Frame): number[] => [reply.view.getUint8(reply.bodyAt)];
  return {
    foreign,
    linkUp: (bootId) => foreign.linkUp(OWNER, bootId, far.channel),
    put: (handle, version, kind) => {
      channel.begin(LANE.BULK, PUT_ENTRY_BYTES + PAGE_BYTES);
      const { bytes, view, at } = channel;
      const page = new Uint8Array(PAGE_BYTES).fill(version);
      bytes.set(page, at + PUT_ENTRY_BYTES);
      const sum = checksum(handle, version, page);
      writePutEntry(view, at, handle, version, sum, PAGE_BYTES, CODEC.RAW, kind);
      return ask(MESSAGE.PUT, PUT_ENTRY_BYTES + PAGE_BYTES, status)[0] ?? -1;
    },
    get: (handle, version) => {
      channel.begin(LANE.URGENT, GET_ENTRY_BYTES);
      writeGetEntry(channel.view, channel.at, handle, version);
      return ask(MESSAGE.GET, GET_ENTRY_BYTES, ({ view, bodyAt, bodyBytes }) => {
        const status = view.getUint8(bodyAt + GET_REPLY_ENTRY_BYTES - 1);
        if (bodyBytes === GET_REPLY_ENTRY_BYTES) return [status];
        return [status, view.getUint8(bodyAt + GET_REPLY_ENTRY_BYTES)];
      });
    },
    flush: (handle, version, scope) => {
      channel.begin(LANE.BULK, FLUSH_ENTRY_BYTES);
      writeFlushEntry(channel.view, channel.at, handle, version, scope);
      return ask(MESSAGE.FLUSH, FLUSH_ENTRY_BYTES, status)[0] ?? -1;
    },
    flushMany: (handle, version, scope, many) => {
      channel.begin(LANE.BULK, many.count * FLUSH_ENTRY_BYTES);
      for (let i = 0; i < many.count; i += 1) {
        const entryAt = channel.at + i * FLUSH_ENTRY_BYTES;
        writeFlushEntry(channel.view, entryAt, handle, version, scope);
      }
      const statuses = ({ bytes, bodyAt, count }: Frame): number[] => [
        ...bytes.subarray(bodyAt, bodyAt + count),
      ];
      return new Set(ask(MESSAGE.FLUSH, many.count * FLUSH_ENTRY_BYTES, statuses, many));
    },
  };
}

function checksum(handle: Handle, version: number, page: Uint8Array): number {
  const checksummer = new Checksummer(memory);
  const view = new DataView(checksummer.scratch.buffer, checksummer.scratch.byteOffset);
  handle.write(view, 0);
  writeVersion(view, HANDLE_BYTES, version);
  const prefix = checksummer.prefix(HANDLE_BYTES + 8, ownerSeed(BOOT_ID));
  return checksummer.update(prefix, page, 0, PAGE_BYTES);
}

const at = (index: number, pool = 0): Handle => new Handle().set(pool, [1n, 2n, 3n], index);

test("a page is held in one version, and every get of it succeeds", async () => {
  const { foreign, put, get, flush } = await holder();
  expect(put(at(1), 5, PERSISTENT)).toBe(STATUS.OK);
  expect(put(at(1), 5, PERSISTENT)).toBe(STATUS.OK); // A repeated put changes nothing.
  expect(put(at(1), 4, PERSISTENT)).toBe(STATUS.STALE);
  expect([get(at(1), 5), get(at(1), 5)]).toEqual([
    [0, 5],
    [0, 5],
  ]);
  expect([get(at(1), 4), get(at(2), 5)]).toEqual([[STATUS.NOT_FOUND], [STATUS.NOT_FOUND]]);
  for (const scope of Object.values(FLUSH_SCOPE)) {
    put(at(1), 5, PERSISTENT);
    expect(flush(at(1), 4, scope)).toBe(STATUS.NOT_FOUND);
    expect(flush(at(1), 5, scope)).toBe(STATUS.OK);
    expect(foreign.pageCount(OWNER)).toBe(0);
  }
});

test("version 0, which no owner uses, is refused and never reaches an assertion", async () => {
  const { foreign, put } = await holder();
  expect(put(at(1), 0, PERSISTENT)).toBe(STATUS.BAD_REQUEST);
  expect(foreign.pageCount(OWNER)).toBe(0);
  expect(put(at(1), 1, PERSISTENT)).toBe(STATUS.OK);
});

test("in a full store an ephemeral page makes room, a persistent one does not", async () => {
  const { put, get } = await holder();
  expect(put(at(0, 1), 1, EPHEMERAL)).toBe(STATUS.OK);
  for (let i = 0; i < 4; i += 1) expect(put(at(i), 2 + i, PERSISTENT)).toBe(STATUS.OK);
  expect(get(at(0, 1), 1)).toEqual([STATUS.NOT_FOUND]);
  expect(put(at(4), 9, PERSISTENT)).toBe(STATUS.NO_ROOM);
  expect(put(at(1, 1), 10, EPHEMERAL)).toBe(STATUS.NO_ROOM);
  for (let i = 0; i < 4; i += 1) expect(get(at(i), 2 + i)).toEqual([STATUS.OK, 2 + i]);
});

test("a pool changes its kind only when it is empty; there are POOLS_PER_CLIENT_MAX", async () => {
  const { put, flush } = await holder();
  expect(put(at(1), 1, PERSISTENT)).toBe(STATUS.OK);
  expect(put(at(1), 2, EPHEMERAL)).toBe(STATUS.POOL_MISMATCH);
  flush(at(1), 1, FLUSH_SCOPE.PAGE);
  expect(put(at(1), 2, EPHEMERAL)).toBe(STATUS.OK);
  expect(put(at(1, 256), 3, PERSISTENT)).toBe(STATUS.POOLS_FULL);
});

test("over its quota a node is refused, and the page under the handle is gone", async () => {
  const { foreign, put, get } = await holder(2);
  expect([1, 2, 3].map((i) => put(at(i), i, PERSISTENT))).toEqual([
    STATUS.OK,
    STATUS.OK,
    STATUS.NO_ROOM,
  ]);
  expect(put(at(1), 9, PERSISTENT)).toBe(STATUS.NO_ROOM);
  expect([get(at(1), 1), get(at(2), 2)]).toEqual([[STATUS.NOT_FOUND], [STATUS.OK, 2]]);
  expect(put(at(1), 10, PERSISTENT)).toBe(STATUS.OK);
  expect(foreign.counters.foreign_over_grant).toBe(2);
});

test("an owner that is gone leaves nothing, and may come back empty", async () => {
  const { foreign, linkUp, put, get } = await holder();
  put(at(1), 1, PERSISTENT);
  expect(foreign.ownerGone(OWNER)).toBe(1);
  expect(foreign.pageCount(OWNER)).toBe(0);
  linkUp(BOOT_ID);
  expect(get(at(1), 1)).toEqual([STATUS.NOT_FOUND]);
  expect(put(at(1), 2, PERSISTENT)).toBe(STATUS.OK);
});

test("an owner that comes back with another boot id finds nothing; with the same, everything", async () => {
  const { foreign, linkUp, put, get } = await holder();
  put(at(1), 1, PERSISTENT);
  linkUp(BOOT_ID);
  expect(get(at(1), 1)).toEqual([STATUS.OK, 1]);
  linkUp(BOOT_ID + 1n);
  expect(get(at(1), 1)).toEqual([STATUS.NOT_FOUND]);
  expect(put(at(1), 1, PERSISTENT)).toBe(STATUS.CORRUPT); // The checksum has another seed.
  expect(foreign.counters.foreign_purged_pages).toBe(1);
});

test("news of a restart drops the pages, unless a link shows otherwise or the news is old", async () => {
  const { foreign, linkUp, put } = await holder();
  put(at(1), 1, PERSISTENT);
  expect(foreign.ownerBooted(OWNER, BOOT_ID + 1n)).toBe(0); // There is a link.
  foreign.linkDown(OWNER);
  expect(foreign.ownerBooted(OWNER, BOOT_ID)).toBe(0);
  expect(foreign.ownerBooted(OWNER, BOOT_ID + 1n)).toBe(1);
  expect([foreign.pageCount(OWNER), foreign.counters.foreign_purged_pages]).toEqual([0, 1]);
  expect(foreign.ownerBooted(OWNER, BOOT_ID + 1n)).toBe(0);
  linkUp(BOOT_ID);
  linkUp(BOOT_ID + 2n);
  foreign.linkDown(OWNER);
  expect(foreign.ownerBooted(OWNER, BOOT_ID)).toBe(0); // Older than the link.
});

/** Stores pages 0 .. count - 1 of pool 0 as the owner would, with versions from `version` on. */
function pretend({ zcache }: Foreign, count: number, version: number): void {
  const options = { persistent: true, storeWhole: true };
  const pool = zcache.tmem.autocreatePool(OWNER, 0, options);
  if (typeof pool === "number") throw new Error("no pool");
  for (let index = 0; index < count; index += 1) {
    const page = zcache.tmem.claim(pool, at(index), version + index);
    zcache.tmem.describe(page, TAG.SAME_FILLED, 7, 0, CODEC.RAW);
    zcache.counters.same_filled_pages += 1;
  }
}

/** Counts the page versions that are read from now on: in all, and the most in one turn. */
function watch({ zcache: { tmem } }: Foreign): { all: number; most: number; onStep: () => void } {
  const onStep = (): void => {
    seen.turn = 0;
  };
  const seen = { all: 0, most: 0, turn: 0, onStep };
  const version = tmem.version.bind(tmem);
  tmem.version = (page) => {
    seen.all += 1;
    seen.turn += 1;
    seen.most = Math.max(seen.most, seen.turn);
    return version(page);
  };
  return seen;
}

const COUNT = 5 * FLUSH_SLICE;

test.each([FLUSH_SCOPE.POOL, FLUSH_SCOPE.OBJECT])(
  "1024 flushes that match no held page visit nothing (scope %d)",
  async (scope) => {
    const { foreign, flushMany } = await holder(null, 2 * COUNT);
    pretend(foreign, COUNT, 1000);
    const seen = watch(foreign);
    const { onStep } = seen;
    expect(flushMany(at(0), 999, scope, { count: 1024, onStep })).toEqual(
      new Set([STATUS.NOT_FOUND]),
    );
    expect([seen.all, foreign.pageCount(OWNER)]).toEqual([0, COUNT]);
  },
);

test.each([FLUSH_SCOPE.POOL, FLUSH_SCOPE.OBJECT])(
  "1024 flushes of all held pages cost what they free, once (scope %d)",
  async (scope) => {
    const { foreign, flushMany, put, get } = await holder(null, 2 * COUNT);
    pretend(foreign, COUNT, 1000);
    const seen = watch(foreign);
    const { onStep } = seen;
    flushMany(at(0), 1000 + COUNT, scope, { count: 1024, onStep });
    expect([seen.all, foreign.pageCount(OWNER)]).toEqual([0, 0]);
    expect(put(at(3), 2000 + COUNT, PERSISTENT)).toBe(STATUS.OK);
    expect(get(at(3), 2000 + COUNT)[0]).toBe(STATUS.OK);
    expect(foreign.counters.foreign_flushes).toBe(COUNT);
  },
);

test.each([FLUSH_SCOPE.POOL, FLUSH_SCOPE.OBJECT])(
  "a flush of some of the held pages goes on in slices before it is answered (scope %d)",
  async (scope) => {
    const { foreign, flushMany, get } = await holder(null, 2 * COUNT);
    pretend(foreign, COUNT, 1000);
    const seen = watch(foreign);
    const { onStep } = seen;
    const version = 1000 + COUNT / 2;
    expect(flushMany(at(0), version, scope, { count: 1, onStep })).toEqual(new Set([STATUS.OK]));
    expect([seen.most, seen.all]).toEqual([FLUSH_SLICE, COUNT]);
    expect(foreign.pageCount(OWNER)).toBe(COUNT / 2 - 1);
    expect(get(at(COUNT / 2), version)).toEqual([STATUS.NOT_FOUND]);
    if (scope === FLUSH_SCOPE.OBJECT) return;
    // The next flush finds no page that is so old.
    seen.all = 0;
    flushMany(at(0), version, scope, { count: 1024, onStep });
    expect(seen.all).toBe(0);
  },
);

test("a link lost in the middle of a flush leaves the rest, which is sent again", async () => {
  const { foreign, flushMany } = await holder(null, 2 * COUNT);
  pretend(foreign, COUNT, 1000);
  const version = 1000 + COUNT / 2;
  let left = COUNT;
  const cut = (): void => {
    if (left < COUNT || foreign.pageCount(OWNER) === COUNT) return;
    left = foreign.pageCount(OWNER);
    foreign.linkDown(OWNER);
  };
  flushMany(at(0), version, FLUSH_SCOPE.POOL, { count: 2, onStep: cut });
  expect(left).toBeGreaterThan(COUNT / 2);
  expect(foreign.pageCount(OWNER)).toBe(left);
});
