/**
 * QueryRate: how many queries about keys a node answers. Whoever has the gossip key may ask as any
 * member, as often as it likes. An answer reads a file, encrypts a packet and writes to the log.
 *
 * A rotation of keys asks a few times a second at most. A query above the rate gets no answer. The
 * member that asked may ask again.
 */
import type { Clock } from "../core/clock.ts";
import { KEY_QUERIES_A_SECOND, KEY_QUERIES_A_SECOND_EACH } from "../core/limits.ts";

const WINDOW_MS = 1000;

export class QueryRate {
  private readonly clock: Clock;
  private startMs = Number.NEGATIVE_INFINITY;
  private count = 0;
  /** By the name of the asking member, in this window. */
  private readonly counts = new Map<string, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** @returns whether one more query of that member is answered now. */
  take(asker: string): boolean {
    const now = this.clock.now();
    if (now - this.startMs >= WINDOW_MS) {
      this.startMs = now;
      this.count = 0;
      this.counts.clear();
    }
    const own = this.counts.get(asker) ?? 0;
    if (own >= KEY_QUERIES_A_SECOND_EACH || this.count >= KEY_QUERIES_A_SECOND) return false;
    this.counts.set(asker, own + 1);
    this.count += 1;
    return true;
  }
}
