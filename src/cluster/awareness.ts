/**
 * Awareness: the health of this node (Lifeguard, "Local Health Multiplier"; memberlist's
 * awareness.go). 0 is healthy. A node that is slow itself waits longer before it suspects others.
 */
export class Awareness {
  private readonly max: number;
  private score = 0;

  /** `max`: scores are 0 .. max - 1. */
  constructor(max: number) {
    this.max = max;
  }

  get health(): number {
    return this.score;
  }

  /** A negative `delta` improves the health, a positive one worsens it. */
  apply(delta: number): void {
    this.score = Math.min(this.max - 1, Math.max(0, this.score + delta));
  }

  scale(ms: number): number {
    return ms * (this.score + 1);
  }
}
