/** Randomness, given from outside so that a run can be repeated from its seed. */

export interface Random {
  /** A uniform integer in 0 .. 2^32 - 1. */
  u32(): number;
}

/**
 * A uniform integer in 0 .. limit - 1. The modulo bias is negligible for limits far below 2^32.
 */
export function below(random: Random, limit: number): number {
  return Math.floor((random.u32() / 4294967296) * limit);
}

/**
 * 128-bit xorshift (Marsaglia, "Xorshift RNGs", 2003), state spread from the seed by splitmix32.
 * Not for secrets.
 */
export class SeededRandom implements Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    this.a = next();
    this.b = next();
    this.c = next();
    this.d = next() | 1; // The all-zero state is the one that xorshift never leaves.
  }

  u32(): number {
    const t = this.a ^ (this.a << 11);
    this.a = this.b;
    this.b = this.c;
    this.c = this.d;
    this.d = this.d ^ (this.d >>> 19) ^ t ^ (t >>> 8);
    return this.d >>> 0;
  }
}
