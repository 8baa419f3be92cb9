/**
 * Nowhere: says when the pages of this node have nowhere to go, why, and what helps: once in the
 * log, and in status for as long as it is so. A node that merely fills up would say nothing of it
 * until programs are refused.
 *
 * It looks once a second.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Links } from "../net/links.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { NodeConfig } from "./config.ts";

const LOOK_MS = 1000;
/** With "auto" it must have been so for so long: a join, or the start of a lender, takes a moment. */
const SETTLE_MS = 5000;

export class Nowhere {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly ramster: Ramster;
  private readonly links: Links;
  private readonly isServer: boolean;
  private readonly gossips: boolean;
  private timer: TimerId | null = null;
  /** Since when there has been a reason, and the one that was logged. */
  private sinceMs: number | null = null;
  private logged: string | null = null;

  constructor(
    parts: { clock: Clock; log: Log; ramster: Ramster; links: Links },
    settings: Pick<NodeConfig, "role" | "gossip">,
  ) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.ramster = parts.ramster;
    this.links = parts.links;
    this.isServer = settings.role === "server";
    this.gossips = settings.gossip !== null;
  }

  start(): void {
    this.timer = this.clock.after(LOOK_MS, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  /** Why, and what helps; null: they have, or there are none. */
  get reason(): string | null {
    const { ramster, isServer } = this;
    if (isServer) {
      if (ramster.pools().length === 0) return null;
      return "a server keeps none for programs, have them connect to a node (ramster node)";
    }
    // What no lender takes is on the disk; and what a drained node does it was told to.
    if (ramster.hasDisk || ramster.isDraining) return null;
    if (!ramster.settings.persEnabled) {
      return 'they are kept from leaving, "ramster set pers_remotify_enable 1" lets them';
    }
    return this.targetReason();
  }

  private targetReason(): string | null {
    const { target, lenderZones, copiesWanted } = this.ramster;
    if (target === null) {
      return 'the target is none, use --target auto or "ramster set remote_target_nodenum auto"';
    }
    if (target !== "auto") {
      if (this.links.isPeer(target)) return null;
      return `node ${target} of --target is not known, name it in --peers or join its cluster`;
    }
    if (lenderZones === 0) {
      const how = this.gossips ? "join it" : "name it in --peers";
      return `no node lends anything, start a lender (ramster server) and ${how}`;
    }
    if (lenderZones >= copiesWanted) return null;
    const what = `--replicas ${copiesWanted} takes as many zones with a lender`;
    return `${what} and there are ${lenderZones}, start one or "ramster set replicas auto"`;
  }

  private look(): void {
    const { reason } = this;
    const now = this.clock.now();
    if (reason === null) {
      if (this.logged !== null) {
        this.log.write("info", "ramster", "pages have somewhere to go again");
      }
      this.sinceMs = null;
      this.logged = null;
      return;
    }
    this.sinceMs ??= now;
    const settleMs = this.ramster.target === "auto" ? SETTLE_MS : 0;
    if (reason === this.logged || now - this.sinceMs < settleMs) return;
    this.logged = reason;
    this.log.write("warn", "ramster", `pages have nowhere to go: ${reason}`);
  }
}
