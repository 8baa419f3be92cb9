/**
 * NumberClaim: how a node gets its number without a central authority.
 *
 *     choose --tag claim=N--> wait --no objection for settleMs--> N is its own: tag number=N
 *                ^              |
 *                +--N is taken, or claimed by a lower boot id
 *
 * A node's number is derived from its name, so it stays the same across restarts. If that number is
 * taken, the next free one is used. Two nodes on both sides of a cut network can hardly choose the
 * same number. If they do, links keep them apart (Links.setPeer).
 *
 * A number from `--number` is used at once. If another member has it, the new node is refused. When
 * two nodes start together and claim the same number, the one with the lower boot id gets it. Boot
 * ids are random, so that is fair.
 *
 * Not here: gossip. The caller calls `update` whenever its view of the others changes, and after
 * `settleMs`.
 */
import type { Clock } from "../core/clock.ts";
import { NODES_MAX } from "../core/limits.ts";

/** Another member, with its number or claim. */
export interface Claimant {
  readonly name: string;
  readonly bootId: bigint;
  readonly number: number | null;
  readonly claim: number | null;
}

export type ClaimResult =
  | { readonly state: "claiming"; readonly number: number }
  | { readonly state: "settled"; readonly number: number }
  | { readonly state: "refused"; readonly reason: string };

export class NumberClaim {
  private readonly clock: Clock;
  private readonly name: string;
  private readonly bootId: bigint;
  private readonly given: number | null;
  private readonly settleMs: number;
  private claimed: number | null = null;
  private sinceMs = 0;

  /** `given` is the number of `--number`, or null. `settleMs` is how long news takes to spread. */
  constructor(
    clock: Clock,
    options: { name: string; bootId: bigint; given: number | null; settleMs: number },
  ) {
    this.clock = clock;
    this.name = options.name;
    this.bootId = options.bootId;
    this.given = options.given;
    this.settleMs = options.settleMs;
  }

  /** Checks the claim against the others. Cost: one pass over them. */
  update(others: readonly Claimant[]): ClaimResult {
    if (this.given !== null) return this.checkGiven(this.given, others);
    if (this.claimed === null || this.rivalOf(this.claimed, others) !== null) {
      const next = this.choose(others);
      if (next === null) return { state: "refused", reason: `all ${NODES_MAX} numbers are taken` };
      this.claimed = next;
      this.sinceMs = this.clock.now();
    }
    const quiet = others.length === 0 || this.clock.now() - this.sinceMs >= this.settleMs;
    return { state: quiet ? "settled" : "claiming", number: this.claimed };
  }

  private checkGiven(given: number, others: readonly Claimant[]): ClaimResult {
    const rival = this.rivalOf(given, others);
    if (rival === null) return { state: "settled", number: given };
    return { state: "refused", reason: `number ${given} is taken by node "${rival.name}"` };
  }

  /** The member that has the number, or a better claim to it. */
  private rivalOf(number: number, others: readonly Claimant[]): Claimant | null {
    const rival = others.find((other) => {
      if (other.number === number) return true;
      return other.claim === number && other.bootId < this.bootId;
    });
    return rival ?? null;
  }

  /** The first free number, counted from the one that the node's name gives. */
  private choose(others: readonly Claimant[]): number | null {
    const taken = new Set(others.flatMap(({ number, claim }) => [number, claim]));
    // Ten bits and then modulo NODES_MAX, so that names keep the numbers of earlier versions.
    const first = (hashOf(this.name) & 1023) % NODES_MAX;
    for (let i = 0; i < NODES_MAX; i += 1) {
      const number = (first + i) % NODES_MAX;
      if (!taken.has(number)) return number;
    }
    return null;
  }
}

/** FNV-1a, 32 bits, of the name in UTF-8. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
