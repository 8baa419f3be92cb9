/**
 * What a fuzzer is, and how one is run: inputs from a seed, one seed an input, until one of them
 * makes the target throw.
 */
import { type Random, SeededRandom } from "../../src/core/random.ts";

export interface Fuzzer {
  readonly name: string;
  /** One line: the target of the fuzzer. */
  readonly about: string;
  /** Inputs in smoke mode: about half a second. */
  readonly smokeRuns: number;
  /** Set for the canary alone: its run must end in a failure. */
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
  /** The command that repeats it. */
  readonly command: string;
}

/**
 * @returns the first failure, or null. `seed` belongs to the first input, and grows by one each.
 */
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

/** The failing input alone, if it fails by itself; else with all inputs before it. */
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

/** Thrown by a fuzzer that finds a bug by itself. */
export class FuzzError extends Error {
  override readonly name = "FuzzError";
}

/** Throws FuzzError unless `condition` holds. Not `assert`, which the program under test throws. */
export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new FuzzError(what);
}
