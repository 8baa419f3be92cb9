import { expect, test } from "bun:test";
import { type ChannelPair, channelPair } from "../../../harness/sim/channel-pair.ts";
import { NEVER } from "../../core/buggify.ts";
import { Handle } from "../../core/handle.ts";
import { POOLS_PER_CLIENT_MAX } from "../../core/limits.ts";
import { STATUS } from "../../core/status.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import { FLUSH_SCOPE } from "../../wire/peer-entries.ts";
import { NO_COPIES, withCopy } from "../copies.ts";
import { RamsterCounters } from "../counters.ts";
import { type LinkedBoot, Presence } from "./presence.ts";
import { RemotePages } from "./remote-pages.ts";

const HOLDER = 1;
const TIMEOUT_MS = 100;
const handle = new Handle().set(0, [1n, 2n, 3n], 7);

interface World extends ChannelPair {
  pages: RemotePages;
  presence: Presence;
  counters: RamsterCounters;
  /** How often waiting puts could continue. */
  flushed: number;
}

async function world(): Promise<World> {
  const pair = await channelPair(1);
  const counters = new RamsterCounters();
  const channelOf = () => (pair.near.channel.isOpen ? pair.near.channel : null);
  const peers = { channelOf, want: () => {}, isPeer: () => true, unwant: () => {} };
  const onFlushed = (): void => {
    result.flushed += 1;
  };
  const presence = new Presence(new HeapMemory());
  const parts = { memory: new HeapMemory(), peers, presence, counters, onFlushed, buggify: NEVER };
  const pages = new RemotePages(parts, { requestTimeoutMs: TIMEOUT_MS });
  const result: World = { ...pair, pages, presence, counters, flushed: 0 };
  return result;
}

/** @returns which boot the link shows. */
function linkUp(world: World, bootId: bigint, version: number): LinkedBoot {
  const boot = world.presence.linked(HOLDER, bootId);
  world.pages.linkUp(HOLDER, boot, version);
  return boot;
}

function run(world: World, ms: number): void {
  world.clock.run(world.clock.now() + ms);
}

test("a put may follow a sent flush, but a put of the same version waits until it is done", async () => {
  const w = await world();
  const { pages } = w;
  pages.addFlush(HOLDER, handle, 5, FLUSH_SCOPE.PAGE);
  expect(pages.sendFlushes(HOLDER)).toBe(true);
  pages.addFlushBeforePut(HOLDER, handle, 6);
  expect(pages.sendFlushes(HOLDER)).toBe(false); // The first is under way.
  w.clock.runUntil(() => pages.pendingFlushCount(HOLDER) === 1, 1000);
  expect(pages.sendFlushes(HOLDER)).toBe(false); // Sent, not done.
  pages.addFlush(HOLDER, handle, 7, FLUSH_SCOPE.PAGE);
  w.clock.runUntil(() => w.flushed > 0, 1000);
  expect(pages.pendingFlushCount(HOLDER)).toBe(1); // That of version 7, which is sent.
  expect(pages.sendFlushes(HOLDER)).toBe(true);
  run(w, 1000);
  expect([pages.pendingFlushTotal(), w.counters.remote_pages_flushed]).toEqual([0, 3]);
});

test("a flush that times out is sent again; its late reply is ignored", async () => {
  const w = await world();
  const { pages } = w;
  w.network.block("b", "a");
  pages.addFlushBeforePut(HOLDER, handle, 5);
  pages.addFlush(HOLDER, handle, 6, FLUSH_SCOPE.OBJECT);
  expect(pages.sendFlushes(HOLDER)).toBe(false);
  run(w, 2 * TIMEOUT_MS);
  const { remote_page_flushes_failed, remote_object_flushes_failed } = w.counters;
  expect([remote_page_flushes_failed, remote_object_flushes_failed]).toEqual([1, 1]);
  pages.sendAllFlushes();
  w.network.unblock("b", "a");
  run(w, TIMEOUT_MS / 2);
  expect(w.near.counters.replies_late).toBe(1);
  expect([pages.pendingFlushTotal(), w.counters.remote_pages_flushed]).toEqual([0, 1]);
  expect(pages.sendFlushes(HOLDER)).toBe(true);
});

test("a holder that came back empty, or no longer lends, has nothing to flush", async () => {
  const w = await world();
  const { pages } = w;
  linkUp(w, 1n, 9);
  w.network.block("a", "b");
  pages.addFlushBeforePut(HOLDER, handle, 5);
  pages.sendFlushes(HOLDER);
  run(w, 2 * TIMEOUT_MS);
  linkUp(w, 1n, 9);
  expect(pages.pendingFlushCount(HOLDER)).toBe(1);
  run(w, 2 * TIMEOUT_MS);
  linkUp(w, 2n, 9);
  expect(pages.pendingFlushCount(HOLDER)).toBe(0);
  expect(pages.sendFlushes(HOLDER)).toBe(true);
  w.network.unblock("a", "b");
  run(w, TIMEOUT_MS);
  w.far.answer = (channel: Channel, frame: Frame): void => {
    channel.begin(LANE.URGENT, 0);
    channel.commitReply(MESSAGE.FLUSH, frame.request, STATUS.DISABLED, 0, 0);
  };
  pages.addFlushBeforePut(HOLDER, handle, 6);
  pages.sendFlushes(HOLDER);
  run(w, TIMEOUT_MS);
  expect(pages.pendingFlushCount(HOLDER)).toBe(0);
  expect(pages.sendFlushes(HOLDER)).toBe(true);
});

test("a holder that was reported to have left, and comes back in the same boot, flushes all", async () => {
  const w = await world();
  const { pages, presence } = w;
  linkUp(w, 1n, 5);
  expect(presence.left(HOLDER, 2n)).toBe(false); // News of another boot.
  expect(presence.left(HOLDER, 1n)).toBe(true);
  pages.holderLeft(HOLDER);
  presence.heard(HOLDER, 2n, pages.pageCount(HOLDER) > 0);
  expect(presence.isInDoubt(HOLDER)).toBe(false); // It has no page of this node.
  presence.heard(HOLDER, 1n, pages.pageCount(HOLDER) > 0);
  expect(presence.isInDoubt(HOLDER)).toBe(true); // So a link is made without a page to get.
  w.network.block("a", "b");
  expect(linkUp(w, 1n, 9)).toBe("left");
  expect(pages.pendingFlushCount(HOLDER)).toBe(POOLS_PER_CLIENT_MAX);
  expect(pages.sendFlushes(HOLDER)).toBe(false); // No put overtakes it.
  w.network.unblock("a", "b");
  w.clock.runUntil(() => w.flushed > 0, 1000);
  expect([pages.pendingFlushTotal(), pages.sendFlushes(HOLDER)]).toEqual([0, true]);
});

/** Adds so many flushes of pages. */
function addFlushes(pages: RemotePages, count: number): void {
  for (let version = 1; version <= count; version += 1) {
    pages.addFlush(HOLDER, handle, version, FLUSH_SCOPE.PAGE);
  }
}

test("the many flushes of an absent holder become one for each pool, once none is under way", async () => {
  const w = await world();
  const { pages, presence, counters } = w;
  linkUp(w, 1n, 5);
  const many = 2 * POOLS_PER_CLIENT_MAX + 1;
  addFlushes(pages, many);
  w.network.block("b", "a");
  pages.sendFlushes(HOLDER);
  presence.died(HOLDER); // Its link is still up.
  pages.collapseFlushes(HOLDER, 9);
  expect(pages.pendingFlushCount(HOLDER)).toBe(many);
  w.network.unblock("b", "a");
  w.clock.runUntil(() => pages.pendingFlushTotal() === 0, TIMEOUT_MS);
  expect(counters.remote_pages_flushed).toBe(many);
  addFlushes(pages, many);
  pages.collapseFlushes(HOLDER, 9);
  expect(pages.pendingFlushCount(HOLDER)).toBe(POOLS_PER_CLIENT_MAX);
  expect(pages.sendFlushes(HOLDER)).toBe(false); // No put overtakes them.
  run(w, TIMEOUT_MS);
  expect(counters.remote_objects_flushed).toBe(POOLS_PER_CLIENT_MAX);
  expect(counters.remote_pages_flushed).toBe(many);
});

test("flushes stay as they are if they are few, or if their holder is there or has pages", async () => {
  const w = await world();
  const { pages, presence } = w;
  linkUp(w, 1n, 5);
  const few = 2 * POOLS_PER_CLIENT_MAX;
  const left = (): number => {
    pages.collapseFlushes(HOLDER, 9);
    return pages.pendingFlushCount(HOLDER);
  };
  addFlushes(pages, few + 1);
  expect(left()).toBe(few + 1);
  presence.died(HOLDER);
  const copies = withCopy(NO_COPIES, HOLDER);
  pages.added(copies, true, 1000);
  expect(left()).toBe(few + 1);
  pages.removed(copies, true, 1000);
  expect(left()).toBe(POOLS_PER_CLIENT_MAX);
  addFlushes(pages, few - POOLS_PER_CLIENT_MAX);
  expect(left()).toBe(few);
});
