/**
 * ClientGets: serves PAGE_GET requests of the client door, from the first page to the reply.
 *
 *     slot:  | statuses, a byte an entry | page 0 | page 1 | ...    one area an entry, hit or miss
 *
 * A local page is written at once. A remote page is written by ramster when it comes, under a token
 * of slot and entry. The reply is sent with the last page. It has all statuses, and the pages that
 * exist, in order.
 */
import { assert } from "../core/assert.ts";
import { type BufferPool, NO_BUFFER, type PooledBuffer } from "../core/buffer-pool.ts";
import type { Clock } from "../core/clock.ts";
import { Handle } from "../core/handle.ts";
import { CLIENT_GET_COUNT_MAX, PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS, type Status } from "../core/status.ts";
import { type Channel, LANE } from "../net/channel.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { GetAndFree, GetSink } from "../ramster/repatriate/waiters.ts";
import { PAGE_GET_ENTRY_BYTES, readGetAndFree } from "../wire/client-entries.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import type { PoolSet } from "./client-pools.ts";

/** A token is slot * TOKEN_STEP + entry. */
const TOKEN_STEP = 1024;
assert(TOKEN_STEP >= CLIENT_GET_COUNT_MAX);

class Slot {
  buffer: PooledBuffer = NO_BUFFER;
  /** Null while the slot is free, and once its client is gone. */
  channel: Channel | null = null;
  request = 0;
  count = 0;
  waiting = 0;
  startMs = 0;
  /** Whether any page of the request was remote. */
  isRemote = false;
  /** All pages have come, but the channel has no room for the reply yet. */
  ready = false;
}

export class ClientGets implements GetSink {
  private readonly memory: Memory;
  private readonly clock: Clock;
  private readonly ramster: Ramster;
  private readonly buffers: BufferPool;
  private readonly slots: Slot[] = [];
  private readonly free: number[] = [];
  private readonly handle = new Handle();

  constructor(parts: { clock: Clock; memory: Memory; buffers: BufferPool; ramster: Ramster }) {
    this.clock = parts.clock;
    this.memory = parts.memory;
    this.ramster = parts.ramster;
    this.buffers = parts.buffers;
  }

  /** How many requests wait for remote pages. */
  get waitingCount(): number {
    return this.slots.length - this.free.length;
  }

  /**
   * Serves PAGE_GET of a connection that has these pools. The reply is sent at once if all pages
   * are local, else with the last page.
   */
  serve(channel: Channel, frame: Frame, pools: PoolSet): void {
    const index = this.take(frame.count);
    const slot = this.slots[index];
    assert(slot !== undefined);
    slot.channel = channel;
    slot.request = frame.request;
    slot.count = frame.count;
    slot.startMs = this.clock.now();
    slot.isRemote = false;
    const { bytes } = slot.buffer;
    // This call counts as one page, so no reply is sent before the last entry is processed.
    slot.waiting = 1;
    for (let entry = 0; entry < frame.count; entry += 1) {
      const at = frame.bodyAt + entry * PAGE_GET_ENTRY_BYTES;
      this.handle.read(frame.view, at);
      const getAndFree = readGetAndFree(frame.view, at) as GetAndFree;
      const pageAt = slot.count + entry * PAGE_BYTES;
      const token = index * TOKEN_STEP + entry;
      const status = pools.has(this.handle.pool)
        ? this.ramster.get(this.handle, getAndFree, bytes, pageAt, this, token)
        : STATUS.UNKNOWN_POOL;
      if (status === STATUS.PENDING) {
        slot.waiting += 1;
        slot.isRemote = true;
      } else {
        bytes[entry] = status;
      }
    }
    this.settle(index, slot);
  }

  /** GetSink: a remote page has come, or `status` says why not. */
  onGet(token: number, status: Status): void {
    const index = Math.floor(token / TOKEN_STEP);
    const slot = this.slots[index];
    assert(slot !== undefined && slot.waiting > 0, "page for a request that does not wait");
    slot.buffer.bytes[token % TOKEN_STEP] = status;
    this.settle(index, slot);
  }

  /** The channel has room again. Sends the replies that are ready. */
  onRoom(channel: Channel): void {
    for (const [index, slot] of this.slots.entries()) {
      if (slot.ready && slot.channel === channel) this.finish(index, slot);
    }
  }

  /** The client is gone. Its pages are dropped, including those that are still to come. */
  drop(channel: Channel): void {
    for (const [index, slot] of this.slots.entries()) {
      if (slot.channel !== channel) continue;
      slot.channel = null;
      if (slot.ready) this.finish(index, slot);
    }
  }

  private settle(index: number, slot: Slot): void {
    slot.waiting -= 1;
    if (slot.waiting > 0) return;
    const { remote_get, local_get } = this.ramster.latencies;
    (slot.isRemote ? remote_get : local_get).add(this.clock.now() - slot.startMs);
    this.finish(index, slot);
  }

  /** Sends the reply and frees the slot, or leaves it ready until there is room. */
  private finish(index: number, slot: Slot): void {
    slot.ready = slot.channel !== null && !this.reply(slot, slot.channel);
    if (slot.ready) return;
    slot.channel = null;
    this.give(index, slot);
  }

  /** @returns false when the channel has no room now. */
  private reply(slot: Slot, channel: Channel): boolean {
    const { count } = slot;
    const { bytes } = slot.buffer;
    if (!channel.begin(LANE.URGENT, count * (1 + PAGE_BYTES))) return !channel.isOpen;
    this.memory.copy(channel.bytes, channel.at, bytes, 0, count);
    let at = channel.at + count;
    for (let entry = 0; entry < count; entry += 1) {
      if (bytes[entry] !== STATUS.OK) continue;
      this.ramster.counters.client_pages_got += 1;
      this.memory.copy(channel.bytes, at, bytes, count + entry * PAGE_BYTES, PAGE_BYTES);
      at += PAGE_BYTES;
    }
    const bodyBytes = at - channel.at;
    channel.commitReply(MESSAGE.PAGE_GET, slot.request, STATUS.OK, count, bodyBytes);
    return true;
  }

  private take(count: number): number {
    let index = this.free.pop();
    if (index === undefined) {
      index = this.slots.length;
      this.slots.push(new Slot());
    }
    const slot = this.slots[index];
    assert(slot !== undefined);
    slot.buffer = this.buffers.take(count * (1 + PAGE_BYTES));
    return index;
  }

  private give(index: number, slot: Slot): void {
    this.buffers.give(slot.buffer);
    slot.buffer = NO_BUFFER;
    this.free.push(index);
  }
}
