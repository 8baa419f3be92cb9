/**
 * Nowhere: why pages of this node have nowhere to go, and what to do. Otherwise an operator would
 * notice it only when puts are refused.
 *
 * Not here: who is told (verdict.ts, watch.ts).
 */
import { quoted } from "../core/errors.ts";
import type { Links } from "../net/links.ts";
import type { Ramster } from "../ramster/ramster.ts";
import type { NodeConfig } from "./config.ts";
import type { NodeSeen } from "./membership.ts";

export class Nowhere {
  private readonly ramster: Ramster;
  private readonly links: Links;
  private readonly isServer: boolean;
  private readonly gossips: boolean;
  /** Members that could lend and do not, each with the reason. */
  private readonly idleLenders = new Map<number, string>();

  constructor(
    parts: { ramster: Ramster; links: Links },
    settings: Pick<NodeConfig, "role" | "gossip">,
  ) {
    this.ramster = parts.ramster;
    this.links = parts.links;
    this.isServer = settings.role === "server";
    this.gossips = settings.gossip !== null;
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
}

function idleReason({ isDrained }: NodeSeen["tags"]): string {
  if (isDrained) return 'is drained, run "ramster undrain" there';
  return "lends nothing now: its log says why";
}
