import { expect, test } from "bun:test";
import { channelPair } from "../../harness/sim/channel-pair.ts";
import { Checksummer, ownerSeed } from "../compress/checksum.ts";
import { CODEC } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { NEVER } from "../core/buggify.ts";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import { writeVersion } from "../core/version.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { LANE } from "../net/channel.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
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
} from "../wire/peer-entries.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../zbud/zbud.ts";
import { Zcache } from "../zcache/zcache.ts";
import { Foreign, NEVER_REMOTE } from "./foreign.ts";

const OWNER = 7;
const BOOT_ID = 0x1234n;
const memory = new HeapMemory();
const lz4 = await Lz4.load(memory);

interface Holder {
  foreign: Foreign;
  linkUp(bootId: bigint): void;
  /** Status of a put of a page full of `version`, or none when it was not served. */
  put(handle: Handle, version: number, kind: Kind): number;
  /** Status and first byte of what is held. */
  get(handle: Handle, version: number): number[];
  flush(handle: Handle, version: number, scope: FlushScope): number;
}

/** A holder at the far end of a channel, and its owner at the near one. */
async function holder(pagesPerOwnerMax: number | null = null): Promise<Holder> {
  const { clock, near, far } = await channelPair(1);
  const parts = { memory, codec: lz4, codecs: [new Raw(memory), lz4], remote: NEVER_REMOTE };
  const marks = { frameCountMax: 4, highMarkPercent: 90, lowMarkPercent: 80 };
  const sizes = { persZpageBytesMax: 3584, persZpageMeanBytes: 2560 };
  const bounds = { pageCountMax: 100, objectCountMax: 100 };
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
  const ask = (type: number, bodyBytes: number, read: (reply: Frame) => number[]): number[] => {
    let result: number[] | null = null;
    const sink = {
      onReply: (_: number, reply: Frame): void => {
        result = read(reply);
      },
      onFailure: (): void => {
        result = [];
      },
    };
    channel.commitRequest(type, 1, bodyBytes, sink, 0, 1000);
    clock.runUntil(() => result !== null, 2000);
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

test("a page is held in one version, and given out as often as it is asked for", async () => {
  const { foreign, put, get, flush } = await holder();
  expect(put(at(1), 5, PERSISTENT)).toBe(STATUS.OK);
  expect(put(at(1), 5, PERSISTENT)).toBe(STATUS.OK); // Again, which changes nothing.
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

test("version 0, which no owner gives out, is refused and never reaches an assertion", async () => {
  const { foreign, put } = await holder();
  expect(put(at(1), 0, PERSISTENT)).toBe(STATUS.BAD_REQUEST);
  expect(foreign.pageCount(OWNER)).toBe(0);
  expect(put(at(1), 1, PERSISTENT)).toBe(STATUS.OK);
});

test("full: an ephemeral page makes room, a persistent one does not", async () => {
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

test("over its quota a node is refused, and what was under the handle is gone", async () => {
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
  expect(put(at(1), 1, PERSISTENT)).toBe(STATUS.CORRUPT); // Summed from another seed.
  expect(foreign.counters.foreign_purged_pages).toBe(1);
});

test("news of a restart drops what is held, unless a link knows better or the news is old", async () => {
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
  expect(foreign.ownerBooted(OWNER, BOOT_ID)).toBe(0); // From before what the link said.
});
