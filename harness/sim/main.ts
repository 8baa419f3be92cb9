/**
 * `bun run sim [--seed N | --seeds A..B] [options]`: whole clusters under virtual time, one a seed.
 * Seed and options come first; the last line of a run that failed is the command that repeats it.
 *
 *     --seed N         this one, any by default
 *     --seeds A..B     these, on all cores; --jobs N for fewer processes
 *     --trace          everything that happens, a line each, and the hash of all of it
 *     --defect NAME    with a defect put into the code (defects.ts): the run must fail
 *     --troubles a,b   only these; likewise --nodes, --seconds, --replicas
 *
 * Exit codes: 0 all held, 1 something did not, 2 bad usage.
 */
import { parseArgs } from "node:util";
import { simulateMany } from "./many.ts";
import { drawOptions, optionsText, type SimOptions, TROUBLES, type Trouble } from "./options.ts";
import { simulate } from "./simulate.ts";

const U32_MAX = 0xffff_ffff;

interface Command {
  readonly first: number;
  readonly last: number;
  readonly jobs: number;
  readonly isTraced: boolean;
  readonly defect: string | null;
  readonly given: Partial<SimOptions>;
}

/** Throws Error with one line on what is wrong. */
export function parse(args: string[]): Command {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      ...{ seed: text, seeds: text, jobs: text, defect: text, troubles: text },
      ...{ nodes: text, seconds: text, replicas: text, trace: { type: "boolean" } },
    },
  });
  if (values.seed !== undefined && values.seeds !== undefined) {
    throw new Error("Cannot simulate: --seed and --seeds exclude each other");
  }
  const seed = values.seed === undefined ? anySeed() : numberOf("--seed", values.seed, 0, U32_MAX);
  const [first, last] = values.seeds === undefined ? [seed, seed] : rangeOf(values.seeds);
  const { nodes, seconds, replicas, troubles } = values;
  return {
    first,
    last,
    jobs: values.jobs === undefined ? 0 : numberOf("--jobs", values.jobs, 1, 1024),
    isTraced: values.trace === true,
    defect: values.defect ?? null,
    given: {
      ...(nodes === undefined ? {} : { nodes: numberOf("--nodes", nodes, 5, 64) }),
      ...(seconds === undefined ? {} : { seconds: numberOf("--seconds", seconds, 1, 86_400) }),
      ...(replicas === undefined ? {} : { replicas: replicasOf(replicas) }),
      ...(troubles === undefined ? {} : { troubles: troubles.split(",").map(troubleOf) }),
    },
  };
}

function numberOf(flag: string, value: string, min: number, max: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new Error(`Cannot use ${flag} "${value}": it takes a number from ${min} to ${max}`);
}

function rangeOf(value: string): [number, number] {
  const [, first = "", last = ""] = /^(\d+)\.\.(\d+)$/.exec(value) ?? [];
  if (first !== "" && Number(first) <= Number(last) && Number(last) <= U32_MAX) {
    return [Number(first), Number(last)];
  }
  throw new Error(`Cannot use --seeds "${value}": it takes a range such as 1..100`);
}

function replicasOf(value: string): SimOptions["replicas"] {
  return value === "auto" ? "auto" : numberOf("--replicas", value, 1, 3);
}

function troubleOf(value: string): Trouble {
  const trouble = TROUBLES.find((it) => it === value);
  if (trouble !== undefined) return trouble;
  throw new Error(`Cannot use --troubles "${value}": there are ${TROUBLES.join(", ")}`);
}

function anySeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** What to type to see it again. */
function commandFor(seed: number, { given, defect }: Command): string {
  const flags = Object.entries(given).map(([name, value]) => `--${name} ${value}`);
  if (defect !== null) flags.push(`--defect ${defect}`);
  return ["bun run sim", `--seed ${seed}`, ...flags].join(" ");
}

/** @returns whether all held. */
async function one(seed: number, command: Command): Promise<boolean> {
  const options = drawOptions(seed, command.given);
  console.log(optionsText(options));
  try {
    const sink = command.isTraced ? (line: string) => console.log(line) : null;
    const { virtualMs, traceHash, traceLines } = await simulate(options, sink);
    const hash = traceHash.toString(16);
    console.log(`${Math.round(virtualMs / 1000)} virtual s, ${traceLines} lines, trace ${hash}`);
    return true;
  } catch (error) {
    console.log(error instanceof Error ? error.stack : error);
    console.log(commandFor(seed, command));
    return false;
  }
}

async function main(args: string[]): Promise<number> {
  let command: Command;
  try {
    command = parse(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  const { first, last, defect } = command;
  if (first === last && defect === null) return (await one(first, command)) ? 0 : 1;
  const failed = await simulateMany(args, command, (seed, output) => {
    if (defect === null || first === last) console.log(output);
    console.log(commandFor(seed, command));
  });
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
