/**
 * What a fuzzer is, and how one is run: inputs from a seed, one seed an input, until one of them
 * makes the target throw.
 */
import { type Random, SeededRandom } from "../../src/core/random.ts";

export interface Fuzzer {
  readonly name: string;
  /** One line: what it attacks. */
  readonly about: string;
  /** Inputs in smoke mode: about half a second's worth. */
  readonly smokeRuns: number;
  /** Set for the canary alone: a run of it must end in a failure. */
  readonly mustFail?: boolean;
  /** A fresh target. */
  open(): Promise<FuzzTarget>;
}

export interface FuzzTarget {
  /** One input, drawn from `random`. Throws when something is wrong. */
  run(random: Random): void;
  close?(): void;
}

export interface FuzzFailure {
  readonly error: unknown;
  /** Of the input that failed, counted from 0. */
  readonly run: number;
  /** What to type to see it again. */
  readonly command: string;
}

/** @returns the first failure, or null. `seed` is the first input's; the next has the next. */
export async function fuzz(
  fuzzer: Fuzzer,
  options: { readonly runs: number; readonly seed: number },
): Promise<FuzzFailure | null> {
  const target = await fuzzer.open();
  try {
    for (let run = 0; run < options.runs; run += 1) {
      const seed = (options.seed + run) >>> 0;
      try {
        target.run(new SeededRandom(seed));
      } catch (error) {
        return { error, run, command: await commandFor(fuzzer, options.seed, run) };
      }
    }
    return null;
  } finally {
    target.close?.();
  }
}

/** The failing input alone, if that fails by itself; else all that came before it as well. */
async function commandFor(fuzzer: Fuzzer, firstSeed: number, run: number): Promise<string> {
  const seed = (firstSeed + run) >>> 0;
  const target = await fuzzer.open();
  try {
    target.run(new SeededRandom(seed));
  } catch {
    return `bun run fuzz ${fuzzer.name} --runs 1 --seed ${seed}`;
  } finally {
    target.close?.();
  }
  return `bun run fuzz ${fuzzer.name} --runs ${run + 1} --seed ${firstSeed}`;
}

/** What a fuzzer throws when it sees something wrong by itself. */
export class FuzzError extends Error {
  override readonly name = "FuzzError";
}

/** Throws FuzzError unless `condition` holds. Not `assert`: that is the program's own voice. */
export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new FuzzError(what);
}
