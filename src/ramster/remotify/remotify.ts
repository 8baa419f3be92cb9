/**
 * Remotify: copies the oldest zpages to holders in batches. When the holders have a page, its
 * record turns remote.
 *
 *     oldest live zpages -> leaving -> [ PUT batch, to each of its holders; several under way ]
 *       -> accepted by all: the record turns remote, the zpage is freed
 *       -> refused, link lost: the zpage is put back as the oldest
 *
 * The version in the record decides (compare-and-swap). A page that was replaced or flushed while
 * its zpage was under way is left as it is, and its holders are sent a flush. Unlike in the
 * original, a failed batch leaves nothing behind, and every holder that may have taken a page of it
 * flushes that page.
 *
 * Persistent pages that no lender takes, or that need a copy on disk, go to the node's own disk in
 * the same batches. The disk is the last resort, and is used only under pressure.
 *
 * It starts when frames are over the high mark, and stops at the low mark. What is under way counts
 * as gone. The original's slow trickle also moves pages when it is switched on.
 *
 * Not here: which lenders get pages (lenders.ts), how a batch gets there (put-batches.ts), and when
 * to try (ramster.ts calls `pump`).
 */

import type { Buggify } from "../../core/buggify.ts";
import type { Clock } from "../../core/clock.ts";
import { HANDLE_BYTES, Handle } from "../../core/handle.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../core/kind.ts";
import {
  REMOTIFY_BATCH_COUNT_MAX,
  REMOTIFY_BATCHES_MAX,
  REMOTIFY_PATIENCE_MS,
  SPILL_PATIENCE_MS,
} from "../../core/limits.ts";
import { TAKEN_MAX } from "../../placement/placement.ts";
import type { Spill } from "../../spill/spill.ts";
import { TAG } from "../../tmem/pampd.ts";
import { FLUSH_SCOPE, PUT_ENTRY_BYTES } from "../../wire/peer-entries.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { type Copies, copyAt, copyCount, hasCopy, NO_COPIES, SPILL, withCopy } from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import { type AtRisk, NOBODY } from "../holders/at-risk.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import type { Lenders } from "../holders/lenders.ts";
import type { Presence } from "../holders/presence.ts";
import { DAMAGED, type PutBatch, type PutSink } from "../holders/put-batch.ts";
import type { PutBatches } from "../holders/put-batches.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Seals } from "../seals.ts";

export interface RemotifySettings {
  persEnabled: boolean;
  ephEnabled: boolean;
}

interface Parts {
  readonly zcache: Zcache;
  readonly lenders: Lenders;
  readonly presence: Presence;
  readonly records: CopyRecords;
  readonly remotePages: RemotePages;
  readonly puts: PutBatches;
  readonly atRisk: AtRisk;
  /** Null: pages are not sealed. */
  readonly seals: Seals | null;
  readonly spill: Spill | null;
  readonly counters: RamsterCounters;
  readonly clock: Clock;
  readonly buggify: Buggify;
  /** Called when frames came free. */
  readonly onRoom: () => void;
}

export class Remotify implements PutSink {
  /** How many frames come free when the zpages that are under way have left. */
  framesInFlight = 0;
  /** While this is set, no page moves away. Remote pages stay where they are. */
  isDraining = false;
  private readonly parts: Parts;
  private readonly settings: RemotifySettings;
  private readonly handle = new Handle();
  /** What `takeOldest` has taken. */
  private readonly taken = new Int32Array(TAKEN_MAX);
  private batchesInFlight = 0;
  private isRelieving = false;
  /** How many frames of each kind the trickle may still move in this period. */
  private readonly trickle: [number, number] = [0, 0];
  /** When a batch was last accepted, or a new target or lender appeared. */
  private progressAtMs = 0;
  /** Since when lenders that may take pages have taken none. Infinite: they take pages. */
  private lendersWaitSinceMs = Number.POSITIVE_INFINITY;

  constructor(parts: Parts, settings: RemotifySettings) {
    this.parts = parts;
    this.settings = settings;
  }

  /** How many frames are needed by zpages that are not under way. */
  get framesKept(): number {
    return this.parts.zcache.placement.framesNeeded - this.framesInFlight;
  }

  /**
   * Whether frames are coming free, or did so until a moment ago. A put that finds no frame may
   * then wait. It may not wait when no lender or disk takes pages: lenders are full or refuse, none
   * has taken any for REMOTIFY_PATIENCE_MS, and the disk is full or fails.
   */
  get isProgressing(): boolean {
    const { puts, lenders, spill, clock } = this.parts;
    if (this.batchesInFlight > 0 && puts.isHopeful(this)) return true;
    if (this.isDraining) return false;
    if (lenders.isAwaited) return true;
    const isRecent = clock.now() - this.progressAtMs < REMOTIFY_PATIENCE_MS;
    return isRecent && (lenders.hasUsable(lenders.copiesWanted) || spill?.isTaking === true);
  }

  /** Whether there is reason to keep links to lenders. */
  get wantsLender(): boolean {
    return this.isRelieving || this.trickle[0] + this.trickle[1] > 0 || this.batchesInFlight > 0;
  }

  /** Lets the trickle move up to `frameCount` frames of each enabled kind in the coming period. */
  allowTrickle(frameCount: number): void {
    this.trickle[EPHEMERAL] = this.settings.ephEnabled ? frameCount : 0;
    this.trickle[PERSISTENT] = this.settings.persEnabled ? frameCount : 0;
    this.pump();
  }

  /** There is another target or a new lender, so puts may wait again. */
  retarget(): void {
    this.progressAtMs = this.parts.clock.now();
    this.lendersWaitSinceMs = Number.POSITIVE_INFINITY;
    this.pump();
  }

  /**
   * Sends batches while there is a reason, a lender and a free batch. Called after puts, replies
   * and ticks.
   */
  pump(): void {
    const { zcache, clock, buggify } = this.parts;
    const { budget } = zcache;
    if (budget.isOverHigh(this.framesKept)) {
      if (!this.isRelieving) this.progressAtMs = clock.now();
      this.isRelieving = true;
    } else if (!budget.isOverLow(this.framesKept)) {
      this.isRelieving = false;
    }
    if (!this.wantsLender) return;
    while (this.batchesInFlight < REMOTIFY_BATCHES_MAX) {
      const kind = this.kindToMove();
      if (kind === null || buggify("remotify-later")) return;
      const holders = this.chooseHolders(kind);
      if (holders === NO_COPIES || !this.sendBatch(holders, kind)) return;
    }
  }

  /** Chooses a holder for each copy that the pages are to have. None when there are too few now. */
  private chooseHolders(kind: Kind): Copies {
    const { lenders, spill } = this.parts;
    const holders = this.chooseLenders(kind === PERSISTENT ? lenders.copiesWanted : 1);
    if (kind !== PERSISTENT || spill === null) return holders;
    if (holders !== NO_COPIES) {
      this.lendersWaitSinceMs = Number.POSITIVE_INFINITY;
      if (!lenders.wantsDiskCopy) return holders;
      return spill.isReady ? withCopy(holders, SPILL) : NO_COPIES;
    }
    if (!this.isRelieving || !spill.isReady || this.mayLendersTake()) return NO_COPIES;
    return withCopy(NO_COPIES, SPILL);
  }

  private chooseLenders(wanted: number): Copies {
    const { lenders, puts } = this.parts;
    let holders: Copies = NO_COPIES;
    for (let i = 0; i < wanted; i += 1) {
      const node = lenders.choose(puts.mayPutTo, holders);
      if (node < 0) return NO_COPIES;
      holders = withCopy(holders, node);
    }
    return holders;
  }

  /** Whether to wait for lenders that take nothing now, before the disk is used. */
  private mayLendersTake(): boolean {
    const { lenders, clock } = this.parts;
    if (!lenders.hasUsable(lenders.copiesWanted)) return false;
    const now = clock.now();
    this.lendersWaitSinceMs = Math.min(this.lendersWaitSinceMs, now);
    return now - this.lendersWaitSinceMs < SPILL_PATIENCE_MS;
  }

  /** PutSink: the node may have any page of the batch, and may be sent the same page again. */
  onUnknown(batch: PutBatch, node: number): void {
    for (let i = 0; i < batch.count; i += 1) this.flushBeforePut(batch, i, node);
  }

  /** PutSink: the outcome of each page is known. */
  onDone(batch: PutBatch): void {
    const { presence, clock } = this.parts;
    this.batchesInFlight -= 1;
    this.framesInFlight -= batch.frameCount;
    // A holder that died meanwhile has answered, but keeps nothing.
    const areThere = presence.presentOf(batch.holders) === batch.holders;
    let accepted = 0;
    for (let i = 0; i < batch.count; i += 1) {
      if (areThere && batch.isTaken(i)) {
        accepted += 1;
        this.accepted(batch, i);
      } else this.failed(batch, i);
    }
    if (accepted > 0) this.progressAtMs = clock.now();
  }

  /** PutSink. */
  onFree(isAnswered: boolean): void {
    this.parts.onRoom();
    if (isAnswered) this.pump();
  }

  /** PutSink: a batch is filled in one call, so it does not grow. */
  mayGrow(): boolean {
    return false;
  }

  /**
   * Moves ephemeral pages first, as in the original. Under pressure, ephemeral pages that stay here
   * are evicted first.
   */
  private kindToMove(): Kind | null {
    const { ephEnabled, persEnabled } = this.settings;
    if (this.isDraining) return null;
    const { placement, budget } = this.parts.zcache;
    const relieve = this.isRelieving && budget.isOverLow(this.framesKept);
    const mayMove = (kind: Kind): boolean => {
      return (relieve || this.trickle[kind] > 0) && placement.hasLive(kind);
    };
    if (ephEnabled && mayMove(EPHEMERAL)) return EPHEMERAL;
    if (persEnabled && mayMove(PERSISTENT)) return PERSISTENT;
    return null;
  }

  /** @returns whether a batch went out to all holders. */
  private sendBatch(holders: Copies, kind: Kind): boolean {
    const { puts } = this.parts;
    const batch = puts.open(this, holders, kind);
    if (batch === null) return false;
    this.fill(batch);
    if (batch.count === 0) {
      puts.cancel(batch);
      return false;
    }
    this.batchesInFlight += 1;
    this.framesInFlight += batch.frameCount;
    return puts.send(batch);
  }

  private fill(batch: PutBatch): void {
    const { placement, budget, tmem } = this.parts.zcache;
    const { taken } = this;
    const { kind } = batch;
    while (batch.frameCount < REMOTIFY_BATCH_COUNT_MAX && batch.hasRoomFor(TAKEN_MAX)) {
      const relieve = this.isRelieving && budget.isOverLow(this.framesKept - batch.frameCount);
      if (!relieve && this.trickle[kind] <= 0) return;
      const count = placement.takeOldest(kind, taken);
      if (count === 0) return;
      let frameCount = 0;
      for (let i = 0; i < count; i += 1) {
        frameCount += placement.framesOf(tmem.place(taken[i] ?? 0));
      }
      batch.frameCount += frameCount;
      if (!relieve) this.trickle[kind] -= frameCount;
      for (let i = 0; i < count; i += 1) {
        const page = taken[i] ?? 0;
        if (tmem.isLive(page)) this.append(batch, page);
        else tmem.flush(page); // Its pool is being destroyed, so the page is not sent.
      }
    }
  }

  /**
   * Adds the zpage. It is read into its final position. Its header lands where that of the entry
   * will be, which is written after the checksum was read.
   *
   * A damaged zpage must not be sealed, or written to a disk. It stays here, leaving, until it is
   * flushed, and a get of it is an error.
   */
  private append(batch: PutBatch, page: number): void {
    const { entries } = batch;
    if (entries === null) return;
    const { zcache, seals, puts } = this.parts;
    const zpageAt = entries.at + batch.bodyBytes + PUT_ENTRY_BYTES;
    const entry = zcache.readZpage(page, entries.bytes, zpageAt);
    zcache.tmem.readHandle(page, this.handle);
    // A disk does not check what it is given. Lenders check it, and so does a seal.
    const isChecked = hasCopy(batch.holders, SPILL);
    if (isChecked && !zcache.isIntact(this.handle, entry)) return;
    if (seals?.seal(page, this.handle, entry) === false) return;
    puts.append(batch, page, NOBODY, this.handle, entry);
  }

  /** Whether the record is unchanged since it was sent: the same page and version. */
  private isUnchanged(batch: PutBatch, i: number): boolean {
    const { tmem } = this.parts.zcache;
    const page = batch.pages[i] ?? 0;
    const isSameVersion = tmem.version(page) === batch.versions[i];
    return tmem.isLive(page) && isSameVersion && tmem.tag(page) === TAG.LOCAL;
  }

  /** All holders have the page. */
  private accepted(batch: PutBatch, i: number): void {
    const { zcache, records, remotePages, counters, spill, lenders, atRisk } = this.parts;
    const { holders } = batch;
    if (!this.isUnchanged(batch, i)) {
      counters.remotify_raced += 1;
      this.handle.read(batch.handles, i * HANDLE_BYTES);
      const version = batch.versions[i] ?? 0;
      for (let copy = 0; copy < copyCount(holders); copy += 1) {
        const node = copyAt(holders, copy);
        if (node === SPILL) continue; // The disk has not kept the page.
        remotePages.addFlush(node, this.handle, version, FLUSH_SCOPE.PAGE);
      }
      return;
    }
    const page = batch.pages[i] ?? 0;
    records.turnRemote(page, holders);
    if (batch.spilled !== null) spill?.keep(batch.spilled, i, page);
    counters.remoted_zbytes += zcache.tmem.zpageBytes(page);
    if (batch.kind === EPHEMERAL) {
      counters.eph_pages_remoted += 1;
      return;
    }
    counters.pers_pages_remoted += 1;
    // More copies are wanted now than when the batch was sent.
    const isShort = copyCount(holders) < lenders.copiesWanted;
    if (isShort && !hasCopy(holders, SPILL)) atRisk.pushNew(page);
  }

  /**
   * Not all holders have the page, and those that do must flush it. The zpage here stays, and
   * leaves first with a later batch.
   */
  private failed(batch: PutBatch, i: number): void {
    const { counters, zcache } = this.parts;
    if (batch.kind === PERSISTENT) counters.pers_pages_remote_failed += 1;
    else counters.eph_pages_remote_failed += 1;
    const taken = batch.taken[i] ?? 0;
    for (let copy = 0; copy < copyCount(batch.holders); copy += 1) {
      if ((taken & (1 << copy)) !== 0) this.flushBeforePut(batch, i, copyAt(batch.holders, copy));
    }
    if (!this.isUnchanged(batch, i)) return;
    if ((taken & DAMAGED) !== 0 && !this.isIntactHere(batch, i)) return;
    const ref = zcache.tmem.place(batch.pages[i] ?? 0);
    if (zcache.placement.isLeaving(ref)) zcache.placement.putBack(ref, "oldest");
  }

  /** A zpage that is damaged here would be refused again and again, so it never leaves. */
  private isIntactHere(batch: PutBatch, i: number): boolean {
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    return this.parts.zcache.isIntactHere(batch.pages[i] ?? 0, this.handle);
  }

  /** The node may have the page, and may be sent the same page again. */
  private flushBeforePut(batch: PutBatch, i: number, node: number): void {
    if (node === SPILL) return; // The disk has freed pages that it has not kept.
    this.handle.read(batch.handles, i * HANDLE_BYTES);
    this.parts.remotePages.addFlushBeforePut(node, this.handle, batch.versions[i] ?? 0);
  }
}
