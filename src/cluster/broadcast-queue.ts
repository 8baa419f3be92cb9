/**
 * BroadcastQueue: news waiting to be gossiped (memberlist's queue.go, TransmitLimitedQueue).
 *
 *     tier 0: never sent | tier 1: sent once | ...            until the limit, then it is forgotten
 *
 * Lower tiers are sent first, and newer news before older in each. News replaces older news about
 * the same subject, which is out of date.
 */
import { BROADCASTS_MAX } from "../core/limits.ts";

/** No news is shorter. With less room the queue is not searched. */
const ITEM_BYTES_MIN = 24;

interface Room {
  /** Bytes that each piece takes beside its own. */
  readonly overhead: number;
  readonly countMax: number;
  /** How often a piece is sent. */
  readonly limit: number;
}

interface Item {
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Whether it was replaced, or moved to another tier. */
  gone: boolean;
}

export class BroadcastQueue {
  private readonly tiers: Item[][] = [];
  private readonly bySubject = new Map<string, Item>();

  get count(): number {
    return this.bySubject.size;
  }

  /** Past BROADCASTS_MAX the oldest news is dropped: a push/pull sends it again. */
  add(subject: string, bytes: Uint8Array): void {
    const old = this.bySubject.get(subject);
    if (old !== undefined) old.gone = true;
    this.bySubject.delete(subject);
    for (const [oldest, item] of this.bySubject) {
      if (this.bySubject.size < BROADCASTS_MAX) break;
      item.gone = true;
      this.bySubject.delete(oldest);
    }
    const item = { subject, bytes, gone: false };
    this.bySubject.set(subject, item);
    this.tier(0).push(item);
  }

  /**
   * News for one packet: at most `countMax` pieces, each with `overhead` bytes, in `byteCount`.
   * Each counts as sent once more. News that was sent `limit` times is dropped.
   */
  take(byteCount: number, options: Room): Uint8Array[] {
    const taken: Uint8Array[] = [];
    if (this.bySubject.size === 0) return taken;
    let left = byteCount;
    const moved: Array<{ item: Item; tier: number }> = [];
    for (let tier = 0; tier < this.tiers.length; tier += 1) {
      const items = this.tiers[tier] ?? [];
      for (let i = items.length - 1; i >= 0; i -= 1) {
        if (left < ITEM_BYTES_MIN || taken.length === options.countMax) break;
        const item = items[i];
        if (item === undefined || item.gone) {
          items.splice(i, 1);
          continue;
        }
        const cost = item.bytes.byteLength + options.overhead;
        if (cost > left) continue;
        left -= cost;
        items.splice(i, 1);
        taken.push(item.bytes);
        moved.push({ item, tier: tier + 1 });
      }
    }
    for (const { item, tier } of moved) {
      if (tier < options.limit) this.tier(tier).push(item);
      else this.bySubject.delete(item.subject);
    }
    return taken;
  }

  private tier(index: number): Item[] {
    let tier = this.tiers[index];
    if (tier === undefined) {
      tier = [];
      this.tiers[index] = tier;
    }
    return tier;
  }
}

/** News of several queues for one packet. That of an earlier queue comes first. */
export function takeNews(
  queues: readonly BroadcastQueue[],
  byteCount: number,
  room: Room,
): Uint8Array[] {
  const all: Uint8Array[] = [];
  let left = byteCount;
  for (const queue of queues) {
    const news = queue.take(left, { ...room, countMax: room.countMax - all.length });
    for (const message of news) left -= message.byteLength + room.overhead;
    all.push(...news);
  }
  return all;
}
