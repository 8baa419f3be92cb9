/**
 * Audit: after a takeover (restoring.ts), finds pages at holders that no record names. They are
 * left of what the predecessor had under way: a PUT without its answer, a FLUSH that was not done.
 *
 *     a link in the boot that the predecessor knew
 *         --> AUDIT from row 0 --> pages of this node, and the next row --> AUDIT from there ...
 *               a record names this copy     it stays
 *               a batch takes it there       the next pass will see what became of it
 *               else                         it is flushed
 *         after the last row: another pass, until one finds no such page, and saw all pages
 *
 * A pass may miss pages that got another row while it went on, as flushes bring about. So the next
 * pass waits for the flushes, and begins at a tick. A holder that is never at rest gets PASSES_MAX
 * of them. What is left there then goes when the holder asks for its memory back
 * (foreign/reclaim.ts).
 *
 * Pages that come to the holder meanwhile are known here. A link in another boot ends the audit, as
 * the holder then has nothing of the predecessor. So does a holder that does not know the message.
 */
import { Handle } from "../../core/handle.ts";
import { AUDIT_COUNT_MAX } from "../../core/limits.ts";
import type { Log } from "../../core/log.ts";
import { STATUS } from "../../core/status.ts";
import { LANE, type ReplySink } from "../../net/channel.ts";
import { TAG } from "../../tmem/pampd.ts";
import { LOCAL_CLIENT } from "../../tmem/tmem.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  AUDIT_BYTES,
  auditCount,
  FLUSH_SCOPE,
  GET_ENTRY_BYTES,
  readAuditMoves,
  readAuditRow,
  readGetVersion,
  writeAudit,
} from "../../wire/peer-entries.ts";
import { TRANSPORT_STATUS } from "../../wire/status.ts";
import type { Zcache } from "../../zcache/zcache.ts";
import { hasCopy } from "../copies.ts";
import type { RamsterCounters } from "../counters.ts";
import type { CopyRecords } from "../holders/copy-records.ts";
import type { LinkedBoot, Presence } from "../holders/presence.ts";
import type { PutBatches } from "../holders/put-batches.ts";
import type { RemotePages } from "../holders/remote-pages.ts";
import type { Peers } from "../peers.ts";

interface Parts {
  readonly zcache: Zcache;
  readonly presence: Presence;
  readonly remotePages: RemotePages;
  readonly records: CopyRecords;
  readonly puts: PutBatches;
  readonly peers: Peers;
  readonly counters: RamsterCounters;
  readonly log: Log;
}

const PASSES_MAX = 8;

/** What is known of one holder. */
class Progress {
  passes = 0;
  /** The row at which the pass goes on. */
  row = 0;
  /** The moves of the holder when the pass began. */
  moves = 0;
  /** The pass waits until these flushes are done. */
  flushMark = 0;
  isAsked = false;
  orphans = 0;
  /** Whether the pass has found pages that had to be flushed, or that are on their way there. */
  hasOrphans = false;
  hasPending = false;
}

export class Audit implements ReplySink {
  private readonly parts: Parts;
  private readonly requestTimeoutMs: number;
  private readonly holders = new Map<number, Progress>();
  private readonly handle = new Handle();

  constructor(parts: Parts, settings: { requestTimeoutMs: number }) {
    this.parts = parts;
    this.requestTimeoutMs = settings.requestTimeoutMs;
  }

  /** The predecessor had a link to the node. */
  begin(node: number): void {
    this.holders.set(node, new Progress());
    this.parts.peers.want(node);
  }

  /** Whether the node is still to be audited. */
  isFor(node: number): boolean {
    return this.holders.has(node);
  }

  linkUp(node: number, boot: LinkedBoot): void {
    if (boot === "same") this.ask(node);
    else this.holders.delete(node);
  }

  /** The pages of the node are gone. */
  holderLeft(node: number): void {
    this.holders.delete(node);
  }

  /** Asks again. Called at each tick. */
  step(): void {
    for (const node of this.holders.keys()) this.ask(node);
  }

  private ask(node: number): void {
    const { presence, peers, remotePages } = this.parts;
    const progress = this.holders.get(node);
    if (progress === undefined || progress.isAsked) return;
    const channel = peers.channelOf(node);
    if (channel === null && !presence.isAbsent(node)) peers.want(node);
    if (!remotePages.hasPassed(node, progress.flushMark)) return;
    // Each page that is listed may have to be flushed.
    if (channel === null || !remotePages.hasRoom(node, AUDIT_COUNT_MAX)) return;
    if (!channel.begin(LANE.BULK, AUDIT_BYTES)) return;
    writeAudit(channel.view, channel.at, progress.row, 0);
    const { requestTimeoutMs: timeoutMs } = this;
    const number = channel.commitRequest(MESSAGE.AUDIT, 0, AUDIT_BYTES, this, node, timeoutMs);
    progress.isAsked = number !== 0;
  }

  /** ReplySink: some pages at the holder. One that does not lend has none. */
  onReply(node: number, reply: Frame): void {
    const { view, bodyAt } = reply;
    const progress = this.holders.get(node);
    if (progress === undefined) return;
    progress.isAsked = false;
    if (reply.handlerStatus !== STATUS.OK) return this.end(node, progress);
    for (let i = 0; i < auditCount(reply); i += 1) {
      const at = bodyAt + AUDIT_BYTES + i * GET_ENTRY_BYTES;
      this.handle.read(view, at);
      this.settle(node, progress, this.handle, readGetVersion(view, at));
    }
    this.parts.remotePages.sendFlushes(node);
    const moves = readAuditMoves(view, bodyAt);
    if (progress.row === 0) progress.moves = moves;
    const row = readAuditRow(view, bodyAt);
    // Rows grow. From a holder that does not keep to it nothing more is to be learned.
    if (row > progress.row) {
      progress.row = row;
      this.ask(node);
    } else if (this.isLastPass(progress, moves)) this.end(node, progress);
    else this.startPass(node, progress);
  }

  /** Whether the pass that ends found nothing and saw all pages, or may not be repeated. */
  private isLastPass(progress: Progress, moves: number): boolean {
    if (progress.hasPending) return false;
    const isClean = !progress.hasOrphans && progress.moves === moves;
    return isClean || progress.passes + 1 >= PASSES_MAX;
  }

  /** The next pass begins at a tick. */
  private startPass(node: number, progress: Progress): void {
    if (!progress.hasPending) progress.passes += 1;
    progress.row = 0;
    progress.hasOrphans = false;
    progress.hasPending = false;
    progress.flushMark = this.parts.remotePages.flushMark(node);
  }

  /** ReplySink: there is no answer, so the holder is asked again later. */
  onFailure(node: number, transportStatus: number): void {
    const progress = this.holders.get(node);
    if (progress === undefined) return;
    progress.isAsked = false;
    if (transportStatus === TRANSPORT_STATUS.NO_HANDLER) this.end(node, progress);
  }

  private end(node: number, { orphans }: Progress): void {
    const { log } = this.parts;
    this.holders.delete(node);
    if (orphans === 0) return;
    const what = `${orphans} pages that this node no longer knows are flushed there`;
    log.write("info", "ramster", `${log.names.of(node)}: ${what}`);
  }

  /** Decides what becomes of a page that the node has. */
  private settle(node: number, progress: Progress, handle: Handle, version: number): void {
    const { zcache, records, puts, remotePages, counters } = this.parts;
    const { tmem } = zcache;
    const pool = tmem.pool(LOCAL_CLIENT, handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, handle);
    const isHere = page !== 0 && tmem.version(page) === version;
    if (isHere && tmem.tag(page) === TAG.REMOTE && hasCopy(records.copiesOf(page), node)) return;
    if (isHere && puts.isOnWay(null, page, version, node)) {
      progress.hasPending = true;
      return;
    }
    if (isHere) remotePages.addFlushBeforePut(node, handle, version);
    else remotePages.addFlush(node, handle, version, FLUSH_SCOPE.PAGE);
    counters.orphans_flushed += 1;
    progress.orphans += 1;
    progress.hasOrphans = true;
  }
}
