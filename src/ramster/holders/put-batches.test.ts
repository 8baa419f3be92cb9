import { expect, test } from "bun:test";
import { ChannelEnd } from "../../../harness/sim/channel-pair.ts";
import { SimClock } from "../../../harness/sim/clock.ts";
import { SimDisk } from "../../../harness/sim/disk.ts";
import { SimNetwork } from "../../../harness/sim/network.ts";
import { CODEC } from "../../compress/codec.ts";
import { NEVER } from "../../core/buggify.ts";
import { Handle } from "../../core/handle.ts";
import { PERSISTENT } from "../../core/kind.ts";
import { Log } from "../../core/log.ts";
import { SeededRandom } from "../../core/random.ts";
import { STATUS, type Status } from "../../core/status.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import type { Address } from "../../net/address.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import { SpillCounters } from "../../spill/counters.ts";
import { Spill } from "../../spill/spill.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { NO_COPIES, SPILL, withCopy } from "../copies.ts";
import { RamsterCounters } from "../counters.ts";
import { newLatencies } from "../latencies.ts";
import { Lenders } from "./lenders.ts";
import { Presence } from "./presence.ts";
import { DAMAGED, type PutBatch, type PutSink } from "./put-batch.ts";
import { PutBatches } from "./put-batches.ts";
import { RemotePages } from "./remote-pages.ts";

const NODES = [1, 2] as const;
const BOTH = NODES.reduce(withCopy, NO_COPIES);
const TIMEOUT_MS = 100;
const ZPAGE_BYTES = 100;
const handle = new Handle().set(0, [1n, 2n, 3n], 7);

/** A sink that notes its calls. */
class Sink implements PutSink {
  readonly unknown: number[] = [];
  /** For each batch that is done: the pages that all holders have taken. */
  readonly taken: number[][] = [];
  /** The same for the pages that a holder has found damaged. */
  readonly damaged: number[][] = [];
  readonly free: boolean[] = [];
  isMoreComing = false;

  onUnknown(_batch: PutBatch, node: number): void {
    this.unknown.push(node);
  }

  onDone(batch: PutBatch): void {
    const pages = [...batch.pages.subarray(0, batch.count)];
    this.taken.push(pages.filter((_, i) => batch.isTaken(i)));
    this.damaged.push(pages.filter((_, i) => ((batch.taken[i] ?? 0) & DAMAGED) !== 0));
  }

  onFree(isAnswered: boolean): void {
    this.free.push(isAnswered);
  }

  mayGrow(): boolean {
    return this.isMoreComing;
  }
}

/** This node on host 0 with a disk, and two lenders that take all pages, on hosts 1 and 2. */
async function world() {
  const clock = new SimClock();
  const network = new SimNetwork(clock, new SeededRandom(1));
  const near = new Map<number, Channel>();
  const far = new Map<number, ChannelEnd>();
  for (const node of NODES) {
    const address: Address = { kind: "tcp", host: String(node), port: 7777 };
    const ends = [new ChannelEnd(clock), new ChannelEnd(clock)] as const;
    await network.transport(String(node)).listen(address, () => ends[1].channel);
    ends[0].channel.attach(network.transport("0").connect(address, ends[0].channel));
    clock.runUntil(() => ends[0].opened === 1 && ends[1].opened === 1, 1000);
    near.set(node, ends[0].channel);
    far.set(node, ends[1]);
  }
  const peers = {
    channelOf: (node: number) => near.get(node) ?? null,
    isPeer: () => true,
    want: () => {},
    unwant: () => {},
  };
  const outside = { memory: new HeapMemory(), clock, buggify: NEVER, log: new Log(() => {}) };
  const presence = new Presence(new HeapMemory());
  const disk = new SimDisk(clock, new SeededRandom(1));
  const forDisk = { counters: new SpillCounters(), backoffMs: () => 50, onReady: () => {} };
  const spill = new Spill(
    { ...outside, ...forDisk, disk },
    { byteCount: 2 ** 20, pageNumbers: { max: 100, pinnedMax: 0 } },
  );
  const parts = { ...outside, peers, presence, counters: new RamsterCounters(), spill };
  const settings = { requestTimeoutMs: TIMEOUT_MS };
  const remotePages = new RemotePages({ ...parts, onFlushed: () => {} }, settings);
  const lenders = new Lenders(
    { ...parts, random: new SeededRandom(1), remotePages },
    { target: "auto", replicas: 2, replicasOnDisk: false },
  );
  for (const node of NODES) lenders.onGrant(node, 1000);
  const latencies = newLatencies();
  const puts = new PutBatches({ ...parts, lenders, remotePages, latencies }, settings);
  const run = (ms: number): void => clock.run(clock.now() + ms);
  const all = { clock, network, near, far, presence, lenders, remotePages, spill, puts };
  return { ...all, sink: new Sink(), run };
}

/** The lender answers puts: these pages, by their place in the message, have this status. */
function refuse(end: ChannelEnd | undefined, status: Status, places: readonly number[]): void {
  if (end === undefined) throw new Error("no such lender");
  end.answer = (channel: Channel, frame: Frame): void => {
    channel.begin(LANE.URGENT, frame.count);
    for (let i = 0; i < frame.count; i += 1) {
      channel.view.setUint8(channel.at + i, places.includes(i) ? status : STATUS.OK);
    }
    channel.commitReply(MESSAGE.PUT, frame.request, STATUS.OK, frame.count, frame.count);
  };
}

function append(puts: PutBatches, batch: PutBatch, page: number, version = page): void {
  const zpage = { bytes: new Uint8Array(ZPAGE_BYTES), at: 0, zpageBytes: ZPAGE_BYTES };
  puts.append(batch, page, 0, handle, { ...zpage, codec: CODEC.LZ4, checksum: 0, version });
}

/** Sends a batch with these pages to both nodes. */
function sendToBoth(puts: PutBatches, sink: Sink, pages: readonly number[]): PutBatch {
  const batch = puts.open(sink, BOTH, PERSISTENT);
  if (batch === null) throw new Error("no room for a batch");
  for (const page of pages) append(puts, batch, page);
  expect(puts.send(batch)).toBe(true);
  return batch;
}

test("a batch is done when the last of its holders has answered, and known until then", async () => {
  const { network, far, lenders, puts, sink, run } = await world();
  network.block("2", "0");
  const batch = sendToBoth(puts, sink, [11, 12]);
  expect(NODES.map((node) => lenders.credit(node))).toEqual([998, 998]);
  run(TIMEOUT_MS / 2);
  expect(sink.taken).toEqual([]);
  expect([puts.has(11, 11), puts.has(11, 10), puts.isHopeful(sink)]).toEqual([true, false, true]);
  expect(puts.isOnWay(batch, 11, 11, 1)).toBe(false);
  network.unblock("2", "0");
  run(TIMEOUT_MS / 4);
  expect([sink.taken, sink.free, sink.unknown]).toEqual([[[11, 12]], [true], []]);
  expect([puts.has(11, 11), puts.isHopeful(sink)]).toEqual([false, false]);
  for (const end of far.values()) expect(end.requests).toEqual([MESSAGE.PUT]);
});

test("a page is taken when all holders took it; one of them may refuse some", async () => {
  const { far, puts, sink, run } = await world();
  refuse(far.get(2), STATUS.NO_ROOM, [1]);
  sendToBoth(puts, sink, [11, 12, 13]);
  run(TIMEOUT_MS / 2);
  expect([sink.taken, sink.free]).toEqual([[[11, 13]], [true]]);
});

test("a page that a holder finds corrupt is damaged here, but was fetched well if it was gathered", async () => {
  const { far, lenders, puts, sink, run } = await world();
  lenders.setOffer(2, { lendFrames: 1000, freeFrames: 1000, zone: "2" });
  refuse(far.get(2), STATUS.CORRUPT, [1]);
  sendToBoth(puts, sink, [11, 12]);
  run(TIMEOUT_MS / 2);
  expect([sink.taken, sink.damaged]).toEqual([[[11]], [[12]]]);
  expect(lenders.hasUsable(1)).toBe(true); // That page was not the lender's fault.
  const batch = puts.gather(sink, 2, -1, NO_COPIES);
  if (batch === null) throw new Error("no room for a batch");
  for (const page of [13, 14]) append(puts, batch, page);
  run(TIMEOUT_MS / 2);
  expect([sink.taken[1], sink.damaged[1]]).toEqual([[13], []]);
  expect(lenders.hasUsable(1)).toBe(false);
});

test("a page is in another batch for a node, in its version, until that batch is done", async () => {
  const { network, puts, sink, run } = await world();
  network.block("2", "0");
  const batch = puts.gather(sink, 1, -1, NO_COPIES);
  const other = puts.gather(sink, 2, 1, NO_COPIES);
  if (batch === null || other === null) throw new Error("no room for a batch");
  append(puts, batch, 11);
  append(puts, other, 11);
  const has = (version: number, node: number) => puts.isOnWay(batch, 11, version, node);
  expect([has(11, 2), has(10, 2), has(11, 1)]).toEqual([true, false, false]);
  run(TIMEOUT_MS / 2);
  expect([sink.taken, has(11, 2)]).toEqual([[[11]], true]);
  network.unblock("2", "0");
  run(TIMEOUT_MS / 4);
  expect([sink.taken, has(11, 2)]).toEqual([[[11], [11]], false]);
});

test("a batch that went to the disk, and then to lenders alone, has nothing there any more", async () => {
  const { spill, puts, sink, run } = await world();
  const batch = puts.open(sink, withCopy(NO_COPIES, SPILL), PERSISTENT);
  if (batch === null) throw new Error("no room for a batch");
  append(puts, batch, 11);
  expect(puts.send(batch)).toBe(true);
  expect(batch.spilled).not.toBe(null);
  run(TIMEOUT_MS / 2);
  expect([sink.taken, spill.pageCount]).toEqual([[[11]], 0]); // This sink keeps none.
  expect(sendToBoth(puts, sink, [12])).toBe(batch);
  expect(batch.spilled).toBe(null);
  run(TIMEOUT_MS / 2);
  expect(sink.taken).toEqual([[11], [12]]);
});

test("a holder that gives no answer may have any page of the batch", async () => {
  const { network, puts, sink, run } = await world();
  network.block("2", "0");
  sendToBoth(puts, sink, [11]);
  run(2 * TIMEOUT_MS);
  expect([sink.unknown, sink.taken, sink.free]).toEqual([[2], [[]], [false]]);
});

test("pages of a holder that lost all before the others answered do not count", async () => {
  const { network, puts, sink, run } = await world();
  network.block("2", "0");
  sendToBoth(puts, sink, [11]);
  run(TIMEOUT_MS / 2);
  puts.holderEmptied(1);
  network.unblock("2", "0");
  run(TIMEOUT_MS / 4);
  expect([sink.taken, sink.free]).toEqual([[[]], [true]]);
});

test("pages of one turn are gathered, and while a message is under way more may join", async () => {
  const { far, puts, sink, run } = await world();
  const gather = (page: number): void => {
    const batch = puts.gather(sink, 1, -1, NO_COPIES);
    if (batch === null) throw new Error("no room for a batch");
    append(puts, batch, page);
  };
  sink.isMoreComing = true;
  gather(11);
  gather(12);
  expect(puts.gatheredCount(1)).toBe(2);
  run(0);
  expect(puts.gatheredCount(1)).toBe(0);
  gather(13);
  run(0);
  gather(14);
  run(0);
  expect([puts.gatheredCount(1), puts.gatheredCount(2)]).toEqual([2, 0]);
  expect(puts.gather(sink, -1, 1, NO_COPIES)).toBe(null); // Not for a page that leaves this node.
  run(TIMEOUT_MS / 2);
  expect(sink.taken).toEqual([
    [11, 12],
    [13, 14],
  ]);
  expect(far.get(1)?.requests).toEqual([MESSAGE.PUT, MESSAGE.PUT]);
});

test("a flush that came while pages were gathered goes first, and they are refused", async () => {
  const { far, puts, remotePages, sink, run } = await world();
  const batch = puts.gather(sink, 1, -1, NO_COPIES);
  if (batch === null) throw new Error("no room for a batch");
  append(puts, batch, 11);
  // The same page may be there after a put without an answer.
  remotePages.addFlushBeforePut(1, handle, 11);
  run(0);
  expect([sink.taken, sink.free]).toEqual([[[]], [false]]);
  run(TIMEOUT_MS / 2);
  expect(far.get(1)?.requests).toEqual([MESSAGE.FLUSH]);
});

test("a batch whose holder has no link is refused", async () => {
  const { near, puts, sink, run } = await world();
  const batch = puts.gather(sink, 2, -1, NO_COPIES);
  if (batch === null) throw new Error("no room for a batch");
  append(puts, batch, 11);
  near.delete(2);
  run(0);
  expect([sink.taken, sink.free, sink.unknown]).toEqual([[[]], [false], []]);
  expect(puts.open(sink, BOTH, PERSISTENT)).toBe(null);
});

test("no put goes to a node that is emptied, or has granted nothing more", async () => {
  const { presence, lenders, puts } = await world();
  expect(puts.mayPutTo(1)).toBe(true);
  presence.linked(1, 1n);
  expect(puts.mayPutTo(1)).toBe(false);
  presence.endEmptied(1);
  expect(puts.mayPutTo(1)).toBe(true);
  lenders.noteSent(1, { pageCount: 999, byteCount: 0 });
  expect(puts.mayPutTo(1)).toBe(false);
});
