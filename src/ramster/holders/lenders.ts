/**
 * Lenders: chooses the nodes that the next batch goes to, and how many.
 *
 *     a number    that node, always
 *     "auto"      of two lenders drawn at random the emptier one (power of two choices), drawn in
 *                 proportion to what they lend, so that large and small fill up alike
 *     null        nowhere
 *
 * Copies of a page go to lenders of different zones. Lenders of one zone may fail together; a zone
 * is one machine unless it is configured.
 *
 * The free room of a lender is an estimate. It is the room in its last offer, less the pages that
 * went there since, plus those that were flushed or came home. The choice and reports use the
 * estimate. The limit for sending is another figure: the pages that the lender granted on the
 * current link (grants.ts).
 *
 * While LENDERS_LINKED_MAX lenders take pages on links that are up, only these are drawn from. So
 * many nodes do not all have links to each other.
 *
 * If it is wanted, a copy on the node's own disk replaces one in a missing zone.
 *
 * A lender that refuses pages gets none for a while, which is longer after each refusal in a row
 * (policy.ts).
 *
 * Not here: sending (put-batches.ts), who is alive (presence.ts).
 */

import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { COPIES_MAX, FRAME_BYTES, REMOTIFY_BATCH_BYTES } from "../../core/limits.ts";
import type { Log } from "../../core/log.ts";
import { below, type Random } from "../../core/random.ts";
import { TAKEN_MAX } from "../../placement/placement.ts";
import { type Copies, copyAt, copyCount, NO_COPIES } from "../copies.ts";
import { remotifyBackoffMs } from "../policy.ts";

/** The value of remote_target_nodenum, or "auto". */
export type Target = number | "auto" | null;

/** How many remote copies a persistent page has. "auto" is two when there are two zones. */
export type Replicas = number | "auto";

/** The figures that a lender announces. */
export interface Offer {
  readonly lendFrames: number;
  readonly freeFrames: number;
  /** The lender may fail together with others of its zone. */
  readonly zone: string;
}

interface Parts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The pages of this node at its lenders, by its own records. */
  readonly remotePages: { framesAt(node: number): number };
  /** The disk, as far as copies depend on it. Null: there is none. */
  readonly spill: { readonly isWell: boolean } | null;
}

/**
 * A lender accepted all pages that it was sent, refused some, or has not answered in time. "none":
 * the link has ended.
 */
export type Answer = "accepted" | "refused" | "late" | "none";

/** The copies with "auto", so that any one machine may fail. */
const REPLICAS_AUTO = 2;
/** Enough lenders to spread pages well, and few enough to keep few links. */
export const LENDERS_LINKED_MAX = 32;
/** How long to wait for a grant. A lender that grants more does so right after an answer. */
const GRANT_WAIT_MS = 50;
/** The most draws for one batch. With few lenders, each has been tried by then. */
const DRAWS_MAX = 16;
/** A lender with fewer free frames counts as full, since other nodes send batches to it, too. */
const FREE_FRAMES_MIN = REMOTIFY_BATCH_BYTES / FRAME_BYTES;

/**
 * An offer is a moment old when it comes. Pages that were sent shortly before are counted for this
 * long, even if the offer already includes them.
 */
const OFFER_LATE_MS = 2000;

class Lender {
  readonly node: number;
  /** Null: the node is known only as a fixed target. */
  offer: Offer | null = null;
  /** "": the zone is not known. */
  zone = "";
  /** How many frames this node had there when the offer came. */
  framesThen = 0;
  /** How many frames went there shortly before the offer, which may not include them. */
  framesLate = 0;
  lateUntilMs = 0;
  /** How many bytes are on their way there. No record names them yet. */
  bytesUnderWay = 0;
  /**
   * How many pages were granted on the current link. `sent` is how many were sent. Without a link
   * both are 0.
   */
  granted = 0;
  sent = 0;
  /** It has not answered in time, and has given no answer since. */
  isLate = false;
  refusals = 0;
  acceptedAtMs = Number.NEGATIVE_INFINITY;
  pausedUntilMs = 0;

  constructor(node: number) {
    this.node = node;
  }

  /** Whether the lender has granted pages, and all of the grant is used. */
  get isExhausted(): boolean {
    return this.granted > 0 && this.granted - this.sent < TAKEN_MAX;
  }
}

export class Lenders {
  private readonly parts: Parts;
  private target: Target;
  private readonly byNode = new Map<number, Lender>();
  /** The lenders with an offer. "auto" draws from these. */
  private readonly offering: Lender[] = [];
  /** Those of them that have granted pages on the current link. */
  private readonly granting: Lender[] = [];
  /** How many zones the lenders with an offer are in. */
  private zoneCount = 0;
  private lendFramesMax = 0;
  private replicas: Replicas;
  /** The disk. Null: no copy there is wanted. */
  private readonly disk: { readonly isWell: boolean } | null;

  constructor(
    parts: Parts,
    settings: { target: Target; replicas: Replicas; replicasOnDisk: boolean },
  ) {
    this.parts = parts;
    this.target = settings.target;
    this.replicas = settings.replicas;
    this.disk = settings.replicasOnDisk ? parts.spill : null;
  }

  get currentTarget(): Target {
    return this.target;
  }

  get currentReplicas(): Replicas {
    return this.replicas;
  }

  setReplicas(replicas: Replicas): void {
    this.replicas = replicas;
  }

  /** How many copies a page should have, even if lenders are missing. */
  get copiesIntended(): number {
    return typeof this.target === "number" && this.disk === null ? 1 : this.replicasMax;
  }

  /** How many zones have a lender, up to the most copies that a page can have. */
  get zones(): number {
    return this.zoneCount;
  }

  /** How many of the intended copies can be made now, at lenders and on the disk. */
  get copiesPossible(): number {
    const { target } = this;
    const zones = target === "auto" ? this.zoneCount : target === null ? 0 : 1;
    const atLenders = Math.min(zones, this.copiesIntended);
    return Math.min(this.copiesIntended, atLenders + (this.disk?.isWell === true ? 1 : 0));
  }

  /** How many copies at lenders a persistent page is to have now. One with a fixed target. */
  get copiesWanted(): number {
    if (this.target !== "auto") return 1;
    if (this.replicas !== "auto" && this.disk === null) return this.replicas;
    return Math.min(this.replicasMax, Math.max(1, this.zoneCount));
  }

  /**
   * Whether a page is to have a copy on the disk as well, because zones are missing. With "auto"
   * none is wanted while the disk is full or broken. A number of copies is always kept to.
   */
  get wantsDiskCopy(): boolean {
    if (this.disk === null || this.copiesWanted >= this.replicasMax) return false;
    return this.replicas !== "auto" || this.disk.isWell;
  }

  private get replicasMax(): number {
    return this.replicas === "auto" ? REPLICAS_AUTO : this.replicas;
  }

  /** Forgets refusals of the new target, since the operator wants that lender to be tried. */
  setTarget(target: Target): void {
    this.target = target;
    for (const lender of this.byNode.values()) {
      lender.refusals = 0;
      lender.pausedUntilMs = 0;
    }
  }

  /** A lender announces its offer. */
  setOffer(node: number, offer: Offer): void {
    const lender = this.lender(node);
    if (lender.offer === null) this.offering.push(lender);
    // It has more room than before, so it may take pages that it refused.
    if (offer.freeFrames > (lender.offer?.freeFrames ?? 0)) lender.pausedUntilMs = 0;
    lender.zone = offer.zone;
    // The same figures again are not news. The first ones count.
    if (!isSame(lender.offer, offer)) this.noteFrames(lender);
    lender.offer = offer;
    this.updateOffering();
  }

  /** The lender lends nothing any more, or is gone. */
  remove(node: number): void {
    const index = this.offering.findIndex((lender) => lender.node === node);
    if (index < 0) return;
    this.offering.splice(index, 1);
    const lender = this.lender(node);
    lender.offer = null;
    this.updateGranting(lender);
    this.updateOffering();
  }

  /** Whether pages may ever go to the node. */
  isCandidate(node: number): boolean {
    if (this.target === "auto") return this.byNode.get(node)?.offer != null;
    return this.target === node;
  }

  /** Whether lenders in `count` zones may take a batch now, or very soon. */
  hasUsable(count: number): boolean {
    const { target } = this;
    if (target === null) return false;
    const now = this.parts.clock.now();
    if (target === "auto") return this.countZones(count, (it) => this.isUsable(it, now)) >= count;
    const lender = this.byNode.get(target);
    return lender === undefined || this.isUsable(lender, now);
  }

  /** An estimate of the free frames of the lenders that pages may go to. */
  get freeFrames(): number {
    if (this.target === null) return 0;
    if (this.target === "auto") {
      return this.offering.reduce((sum, it) => sum + Math.max(0, this.freeFramesOf(it)), 0);
    }
    const lender = this.byNode.get(this.target);
    if (lender === undefined) return 0;
    // A lender without an offer has the room that it has granted.
    const free = lender.offer === null ? lender.granted - lender.sent : this.freeFramesOf(lender);
    return Math.max(0, free / (lender.offer === null ? TAKEN_MAX : 1));
  }

  /**
   * Whether a lender has used its grant up, and has not answered in time on a link that is still
   * up. It may be full or cut off: only its answer, or the end of the link, tells.
   */
  get isAwaited(): boolean {
    const { target } = this;
    const isAwaited = (it: Lender | undefined): boolean => {
      return it?.isLate === true && it.isExhausted;
    };
    if (target === null) return false;
    return target === "auto" ? this.offering.some(isAwaited) : isAwaited(this.byNode.get(target));
  }

  /** Whether any lender may take a page now, after a pause, or once there is a link to it. */
  get isHopeful(): boolean {
    const { target } = this;
    if (target === null) return false;
    if (target === "auto") return this.offering.some((it) => this.mayHaveRoom(it));
    return this.byNode.get(target)?.isExhausted !== true;
  }

  /**
   * Where the next batch goes. -1: nowhere now. The zones of `taken` are left out. `mayPutTo` tells
   * whether a put may be sent to the node now. Allocates nothing.
   */
  choose(mayPutTo: (node: number) => boolean, taken: Copies = NO_COPIES): number {
    const { target } = this;
    if (target === null) return -1;
    const now = this.parts.clock.now();
    if (target !== "auto") {
      const isFree = taken === NO_COPIES && this.isReady(this.byNode.get(target), now);
      return isFree && mayPutTo(target) ? target : -1;
    }
    const from = this.hasEnough(taken) ? this.granting : this.offering;
    let best: Lender | null = null;
    let candidates = 0;
    for (let draw = 0; draw < DRAWS_MAX && candidates < 2; draw += 1) {
      const lender = this.draw(from);
      if (lender === null || lender === best) continue;
      if (!this.mayTake(lender, taken, now) || !mayPutTo(lender.node)) continue;
      candidates += 1;
      if (best === null || this.fullness(lender) < this.fullness(best)) best = lender;
    }
    if (best === null) best = this.anyOf(from, taken, now, mayPutTo);
    return best?.node ?? -1;
  }

  /** Whether the node is one of these copies, or shares a zone with one. */
  sharesZone(node: number, copies: Copies): boolean {
    return this.isTaken(this.lender(node), copies);
  }

  /** A link to the node is up or down. What it granted on the last link is void. */
  linkChanged(node: number): void {
    const lender = this.lender(node);
    lender.granted = 0;
    lender.sent = 0;
    lender.isLate = false;
    this.updateGranting(lender);
  }

  /** GRANT: how many pages may be sent on this link in all, since it came up. */
  onGrant(node: number, pages: number): void {
    const lender = this.lender(node);
    lender.granted = Math.max(lender.granted, pages);
    this.updateGranting(lender);
  }

  /** How many pages may be sent there now. */
  credit(node: number): number {
    const lender = this.byNode.get(node);
    return lender === undefined ? 0 : lender.granted - lender.sent;
  }

  noteSent(node: number, batch: { pageCount: number; byteCount: number }): void {
    const lender = this.lender(node);
    lender.sent += batch.pageCount;
    lender.bytesUnderWay += batch.byteCount;
  }

  /** The node has answered for this many bytes. */
  noteAnswered(node: number, byteCount: number, answer: Answer): void {
    const lender = this.lender(node);
    lender.bytesUnderWay -= byteCount;
    assert(lender.bytesUnderWay >= 0);
    lender.isLate = answer === "late";
    if (answer === "refused" || answer === "late") this.noteRefused(lender);
    if (answer !== "accepted") return;
    lender.refusals = 0;
    lender.acceptedAtMs = this.parts.clock.now();
  }

  private noteRefused(lender: Lender): void {
    lender.refusals += 1;
    const pauseMs = remotifyBackoffMs(lender.refusals);
    lender.pausedUntilMs = this.parts.clock.now() + pauseMs;
    const did = lender.isLate ? "does not answer" : "refused pages";
    const { log } = this.parts;
    const what = `lender ${log.names.of(lender.node)} ${did}: it gets no more for ${pauseMs} ms`;
    log.write("debug", "ramster", what);
  }

  private isReady(lender: Lender | undefined, now: number): boolean {
    return lender === undefined || (now >= lender.pausedUntilMs && !lender.isExhausted);
  }

  /** How many frames this node has there or on their way there. */
  private framesNow(lender: Lender): number {
    return this.parts.remotePages.framesAt(lender.node) + lender.bytesUnderWay / FRAME_BYTES;
  }

  /** An offer has come. Frames that it includes are not counted again. */
  private noteFrames(lender: Lender): void {
    const now = this.framesNow(lender);
    lender.framesLate = lender.offer === null ? 0 : Math.max(0, now - lender.framesThen);
    lender.lateUntilMs = this.parts.clock.now() + OFFER_LATE_MS;
    lender.framesThen = now;
  }

  /** Can be below 0, when more frames went there than the lender had. */
  private freeFramesOf(lender: Lender): number {
    if (lender.offer === null) return 0;
    const { freeFrames, lendFrames } = lender.offer;
    const late = this.parts.clock.now() < lender.lateUntilMs ? lender.framesLate : 0;
    const since = this.framesNow(lender) - lender.framesThen;
    return Math.min(lendFrames, freeFrames - since - late);
  }

  /** 0: empty, 1: full. */
  private fullness(lender: Lender): number {
    return 1 - this.freeFramesOf(lender) / Math.max(1, lender.offer?.lendFrames ?? 0);
  }

  /** A grant to this node is newer than the offer to all. */
  private mayHaveRoom(lender: Lender): boolean {
    if (lender.granted > 0) return !lender.isExhausted;
    const enough = Math.min(FREE_FRAMES_MIN, (lender.offer?.lendFrames ?? 0) / 8);
    return this.freeFramesOf(lender) >= enough;
  }

  /** Draws a lender. One that lends more is more likely. */
  private draw(from: readonly Lender[]): Lender | null {
    const lender = from[below(this.parts.random, from.length)];
    if (lender === undefined) return null;
    const kept = below(this.parts.random, this.lendFramesMax) < (lender.offer?.lendFrames ?? 0);
    return kept ? lender : null;
  }

  /**
   * The next lender that may take it, starting at a random one, so that one of a few is not missed
   * by chance.
   */
  private anyOf(
    from: readonly Lender[],
    taken: Copies,
    now: number,
    mayPutTo: (node: number) => boolean,
  ): Lender | null {
    const start = from.length === 0 ? 0 : below(this.parts.random, from.length);
    for (let i = 0; i < from.length; i += 1) {
      const lender = from[(start + i) % from.length];
      if (lender === undefined) continue;
      if (this.mayTake(lender, taken, now) && mayPutTo(lender.node)) return lender;
    }
    return null;
  }

  private mayTake(lender: Lender, taken: Copies, now: number): boolean {
    return this.isReady(lender, now) && this.mayHaveRoom(lender) && !this.isTaken(lender, taken);
  }

  private isTaken(lender: Lender, taken: Copies): boolean {
    for (let i = 0; i < copyCount(taken); i += 1) {
      const node = copyAt(taken, i);
      if (node === lender.node || this.byNode.get(node)?.zone === lender.zone) return true;
    }
    return false;
  }

  private isUsable(lender: Lender, now: number): boolean {
    if (now < lender.pausedUntilMs) return false;
    if (lender.isExhausted) return now - lender.acceptedAtMs < GRANT_WAIT_MS;
    return this.target !== "auto" || this.mayHaveRoom(lender);
  }

  /**
   * Counts zones with a lender that meets the condition, up to `max`, which is at most COPIES_MAX.
   */
  private countZones(max: number, condition: (lender: Lender) => boolean): number {
    let count = 0;
    let first = "";
    let second = "";
    for (const lender of this.offering) {
      if (count >= max) break;
      if (lender.zone === first || lender.zone === second || !condition(lender)) continue;
      if (count === 0) first = lender.zone;
      else second = lender.zone;
      count += 1;
    }
    return count;
  }

  /** Whether LENDERS_LINKED_MAX lenders with links take such pages now. */
  private hasEnough(taken: Copies): boolean {
    let count = 0;
    for (const lender of this.granting) {
      if (!lender.isExhausted && !this.isTaken(lender, taken)) count += 1;
    }
    return count >= LENDERS_LINKED_MAX;
  }

  private updateGranting(lender: Lender): void {
    const index = this.granting.indexOf(lender);
    const belongs = lender.granted > 0 && lender.offer !== null;
    if (belongs && index < 0) this.granting.push(lender);
    if (!belongs && index >= 0) this.granting.splice(index, 1);
  }

  private lender(node: number): Lender {
    let lender = this.byNode.get(node);
    if (lender === undefined) {
      lender = new Lender(node);
      this.byNode.set(node, lender);
    }
    return lender;
  }

  private updateOffering(): void {
    this.lendFramesMax = this.offering.reduce((max, lender) => {
      return Math.max(max, lender.offer?.lendFrames ?? 0);
    }, 0);
    this.zoneCount = this.countZones(COPIES_MAX, () => true);
  }
}

function isSame(a: Offer | null, b: Offer): boolean {
  return a !== null && a.lendFrames === b.lendFrames && a.freeFrames === b.freeFrames;
}
