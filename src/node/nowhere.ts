/**
 * Nowhere: detects that pages of this node have nowhere to go, with the reason and what to do. That
 * is logged once, and shown in status while it lasts. Otherwise an operator would notice it only
 * when puts are refused.
 *
 * It also detects that pages move away with fewer copies than they should have, or with one copy.
 *
 * It checks once a second.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { quoted } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Links } from "../net/links.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { CopyState } from "../ramster/repair/copy-state.ts";
import type { NodeConfig } from "./config.ts";
import type { NodeSeen } from "./membership.ts";

const CHECK_MS = 1000;
/**
 * With "auto" the condition must last this long, since a join or the start of a lender takes a
 * moment.
 */
const SETTLE_MS = 5000;

export class Nowhere {
  private readonly clock: Clock;
  private readonly ramster: Ramster;
  private readonly links: Links;
  private readonly isServer: boolean;
  private readonly gossips: boolean;
  /** Members that could lend and do not, each with the reason. */
  private readonly idleLenders = new Map<number, string>();
  private timer: TimerId | null = null;
  private readonly room: Condition;
  private readonly copies: Condition;

  constructor(
    parts: { clock: Clock; log: Log; ramster: Ramster; links: Links },
    settings: Pick<NodeConfig, "role" | "gossip">,
  ) {
    this.clock = parts.clock;
    const write = (level: LogLevel, line: string): void => parts.log.write(level, "ramster", line);
    this.room = new Condition(parts.clock, (reason) => {
      if (reason === null) write("info", "pages have somewhere to go again");
      else write("warn", `pages have nowhere to go: ${reason}`);
    });
    this.copies = new Condition(parts.clock, (reason) => {
      if (reason === null) write("info", "pages that move away have as many copies as they should");
      else write("warn", `pages that move away have ${reason}`);
    });
    this.ramster = parts.ramster;
    this.links = parts.links;
    this.isServer = settings.role === "server";
    this.gossips = settings.gossip !== null;
  }

  start(): void {
    this.timer = this.clock.after(CHECK_MS, () => {
      this.check();
      this.start();
    });
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  /** News of another node, or of a change of what it lends. */
  noteNode(number: number, { name, tags }: Pick<NodeSeen, "name" | "tags">): void {
    if (tags.role !== "server" || tags.lendFrames > 0) this.idleLenders.delete(number);
    else this.idleLenders.set(number, `lender ${quoted(name)} ${idleReason(tags)}`);
  }

  forgetNode(number: number): void {
    this.idleLenders.delete(number);
  }

  /** The reason, and what to do. Null: pages have somewhere to go, or there are none. */
  get reason(): string | null {
    const { ramster, isServer } = this;
    if (isServer) {
      if (ramster.pools().length === 0) return null;
      return "a server keeps no pages of programs, connect these to a node (ramster node)";
    }
    // Pages that no lender takes go to the disk. A drained node keeps its pages on purpose.
    if (ramster.hasDisk || ramster.isDraining) return null;
    if (!ramster.settings.persEnabled) {
      return 'moving pages away is off, switch it on with "ramster set pers_remotify_enable 1"';
    }
    return this.targetReason();
  }

  private targetReason(): string | null {
    const { target, lenderZones, copiesWanted } = this.ramster;
    if (target === null) {
      return 'the target is none, set --target auto or "ramster set remote_target_nodenum auto"';
    }
    if (target !== "auto") {
      if (this.links.isPeer(target)) return null;
      return `node ${target} of --target is not known, name it in --peers or join its cluster`;
    }
    if (lenderZones === 0) {
      const [idle] = this.idleLenders.values();
      if (idle !== undefined) return idle;
      const how = this.gossips ? "join it" : "name it in --peers";
      return `no node lends anything, start a lender (ramster server) and ${how}`;
    }
    if (lenderZones >= copiesWanted) return null;
    const what = `--replicas ${copiesWanted} needs lenders in ${copiesWanted} zones`;
    return `${what} and there are ${lenderZones}, start one or run "ramster set replicas auto"`;
  }

  private checkCopies(): void {
    const state = this.ramster.copyState();
    // Without these conditions no page moves away, and the copies are not known.
    const isMoving = !this.isServer && !this.ramster.isDraining && state.copiesPossible > 0;
    if (isMoving) this.copies.update(copiesReason(state), SETTLE_MS);
  }

  private check(): void {
    // A drained node gets no reason, and its pages have no place for all that.
    if (!this.ramster.isDraining)
      this.room.update(this.reason, this.ramster.target === "auto" ? SETTLE_MS : 0);
    this.checkCopies();
  }
}

function idleReason({ isDrained }: NodeSeen["tags"]): string {
  if (isDrained) return 'is drained, run "ramster set draining 0" there';
  return "lends nothing now: its log says why";
}

/** Why pages have too few copies, or only one. Null: they have enough. */
function copiesReason({ copiesIntended, copiesPossible }: CopyState): string | null {
  const count = copiesPossible === 1 ? "ONE copy" : `${copiesPossible} copies`;
  if (copiesPossible < copiesIntended) {
    return `${count}, not ${copiesIntended}: start a lender of another zone`;
  }
  return copiesPossible === 1 ? `${count}, as --replicas or --target says` : null;
}

/** A condition that is reported when it has lasted for a while, and when it is over. */
class Condition {
  private readonly clock: Clock;
  private readonly report: (reason: string | null) => void;
  private sinceMs: number | null = null;
  private reported: string | null = null;

  constructor(clock: Clock, report: (reason: string | null) => void) {
    this.clock = clock;
    this.report = report;
  }

  update(reason: string | null, settleMs: number): void {
    const now = this.clock.now();
    this.sinceMs = reason === null ? null : (this.sinceMs ?? now);
    const isSettled = this.sinceMs === null || now - this.sinceMs >= settleMs;
    if (reason === this.reported || !isSettled) return;
    this.reported = reason;
    this.report(reason);
  }
}
