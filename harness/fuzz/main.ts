/**
 * `bun run fuzz [name] [--runs N] [--seed S]`: one fuzzer, or all but the canary. The seed comes
 * first, and the last line of a run that failed is the command that repeats it.
 *
 * Exit codes: 0 nothing found, 1 a failure (the canary's too), 2 bad usage.
 */
import { parseArgs } from "node:util";
import { type Fuzzer, fuzz } from "./fuzzer.ts";
import { FUZZERS } from "./registry.ts";

const U32_MAX = 0xffff_ffff;
/** Without --runs, this many times as many inputs as in smoke mode: about ten seconds each. */
const RUNS_OF_SMOKE = 20;

interface Command {
  readonly fuzzers: readonly Fuzzer[];
  /** Null: the default of each fuzzer. */
  readonly runs: number | null;
  readonly seed: number;
}

/** Throws an Error with one line that says what is wrong. */
function parse(args: string[]): Command {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { runs: { type: "string" }, seed: { type: "string" } },
  });
  const [name, ...more] = positionals;
  if (more.length > 0) throw new Error(`Cannot fuzz "${positionals.join(" ")}": one name at most`);
  const fuzzers = FUZZERS.filter((fuzzer) => {
    return name === undefined ? fuzzer.mustFail !== true : fuzzer.name === name;
  });
  if (fuzzers.length === 0) {
    const names = FUZZERS.map((fuzzer) => fuzzer.name).join(", ");
    throw new Error(`Cannot fuzz "${name}": there are ${names}`);
  }
  const runs = values.runs === undefined ? null : numberOf("--runs", values.runs);
  const seed = values.seed === undefined ? anySeed() : numberOf("--seed", values.seed);
  return { fuzzers, runs, seed };
}

function numberOf(flag: string, value: string): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number <= U32_MAX) return number;
  throw new Error(`Cannot use ${flag} "${value}": it takes a number from 0 to ${U32_MAX}`);
}

function anySeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** @returns whether nothing was found. */
async function runAll({ fuzzers, runs, seed }: Command): Promise<boolean> {
  console.log(`seed ${seed}`);
  for (const fuzzer of fuzzers) {
    const runCount = runs ?? fuzzer.smokeRuns * RUNS_OF_SMOKE;
    const failure = await fuzz(fuzzer, { runs: runCount, seed });
    if (failure === null) {
      console.log(`${fuzzer.name}: ${runCount} runs, nothing found`);
      continue;
    }
    console.log(`${fuzzer.name}: run ${failure.run} failed`);
    console.log(failure.error);
    console.log(failure.command);
    return false;
  }
  return true;
}

/** @returns the command, or null after an error line. */
function parseOrExplain(args: string[]): Command | null {
  try {
    return parse(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return null;
  }
}

const command = parseOrExplain(process.argv.slice(2));
if (command === null) process.exit(2);
process.exit((await runAll(command)) ? 0 : 1);
