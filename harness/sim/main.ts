/**
 * `bun run sim [--seed N | --seeds A..B | failed | defects] [options]`: simulates whole clusters
 * under virtual time, one for each seed. Seed and options are printed first. The last line of a
 * failed run is the command that repeats it.
 *
 *     --seed N         this seed; default: a random one
 *     --seeds A..B     these seeds, on all cores; --jobs N sets the number of processes
 *     --trace          prints every event, a line each, and the hash of all lines
 *     --defect NAME    puts a defect into the code (defects.ts): the run must fail
 *     failed           the seeds that once failed (fixtures/seeds.txt)
 *     defects          tries each defect in turn, with its test or with seeds 1..200 by default
 *     --troubles a,b   only these kinds of faults (troubles.ts); likewise --nodes, --seconds,
 *                      --replicas
 *
 * Exit codes: 0 all rules held (or: all defects were found), 1 one did not, 2 bad usage.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Defect } from "./defect.ts";
import { DEFECT_VARIABLE, DEFECTS, defectNamed } from "./defects.ts";
import { PRELOAD, type SeedRange, simulateMany } from "./many.ts";
import { drawOptions, optionsText, type SimOptions, TROUBLES, type Trouble } from "./options.ts";
import { simulate } from "./simulate.ts";

const U32_MAX = 0xffff_ffff;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Each defect must be found within these seeds. */
const DEFECT_SEEDS = "1..200";

interface Command {
  readonly ranges: readonly SeedRange[];
  readonly jobs: number;
  readonly isTraced: boolean;
  readonly defect: string | null;
  /** All defects are to be found. */
  readonly isMutationTest: boolean;
  readonly given: Partial<SimOptions>;
}

/** Throws an Error with one line that says what is wrong. */
export function parse(args: readonly string[]): Command {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: text,
      seeds: text,
      jobs: text,
      defect: text,
      troubles: text,
      nodes: text,
      seconds: text,
      replicas: text,
      trace: { type: "boolean" },
    },
  });
  if (values.seed !== undefined && values.seeds !== undefined) {
    throw new Error("Cannot simulate: --seed and --seeds exclude each other");
  }
  const [task, ...more] = positionals;
  if (more.length > 0 || (task !== undefined && task !== "defects" && task !== "failed")) {
    const what = positionals.join(" ");
    throw new Error(`Cannot simulate "${what}": the only arguments are "failed" and "defects"`);
  }
  const isMutationTest = task === "defects";
  if (task === "failed" && (values.seed ?? values.seeds) !== undefined) {
    throw new Error('Cannot simulate: "failed" has its own seeds, without --seed and --seeds');
  }
  if (values.defect !== undefined) defectNamed(values.defect);
  const seed = values.seed === undefined ? anySeed() : numberOf("--seed", values.seed, 0, U32_MAX);
  const seeds = values.seeds ?? (isMutationTest ? DEFECT_SEEDS : null);
  const range: SeedRange = seeds === null ? [seed, seed] : rangeOf(seeds);
  const { nodes, seconds, replicas, troubles } = values;
  return {
    ranges: task === "failed" ? failedSeeds() : [range],
    jobs: values.jobs === undefined ? 0 : numberOf("--jobs", values.jobs, 1, 1024),
    isTraced: values.trace === true,
    defect: values.defect ?? null,
    isMutationTest,
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

/** The first word of each line is a seed; the rest says why it failed. */
function failedSeeds(): SeedRange[] {
  const lines = readFileSync(`${ROOT}fixtures/seeds.txt`, "utf8").split("\n");
  const words = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return words.map((line) => [Number.parseInt(line, 10), Number.parseInt(line, 10)]);
}

function rangeOf(value: string): SeedRange {
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

/** The command that repeats the run. */
function commandFor(seed: number, { given, defect }: Command): string {
  const flags = Object.entries(given).map(([name, value]) => `--${name} ${value}`);
  if (defect !== null) flags.push(`--defect ${defect}`);
  return ["bun run sim", `--seed ${seed}`, ...flags].join(" ");
}

/** @returns whether all rules held. */
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

/** Prints two lines for each defect. @returns whether all were found. */
async function findDefects(command: Command): Promise<boolean> {
  let missed = 0;
  for (const defect of DEFECTS) {
    const { name, about, caughtBy } = defect;
    const found =
      caughtBy === undefined
        ? await foundBySeed(defect, command)
        : await foundByTest(name, caughtBy);
    if (found === null) missed += 1;
    console.log(`${name}: ${about}\n  ${found ?? "NOT FOUND"}`);
  }
  console.log(`${DEFECTS.length - missed} passed, ${missed} failed`);
  return missed === 0;
}

/** @returns the first seed that fails, and why; null: none. */
async function foundBySeed({ name }: Defect, command: Command): Promise<string | null> {
  let found: string | null = null;
  await simulateMany([], { ...command, defect: name, isQuiet: true }, (seed, output) => {
    const why = output.split("\n").find((line) => line.includes("Error: ")) ?? "it crashed";
    found = `seed ${seed}: ${why.slice(0, 100)}`;
  });
  return found;
}

/** @returns the test, if it fails; null: it passes. Processes that it starts have the defect. */
async function foundByTest(
  name: string,
  { file, test }: NonNullable<Defect["caughtBy"]>,
): Promise<string | null> {
  const env = { ...process.env, [DEFECT_VARIABLE]: name, BUN_OPTIONS: `--preload=${PRELOAD}` };
  const child = Bun.spawn([process.execPath, "test", file, "-t", RegExp.escape(test)], {
    cwd: ROOT,
    env,
    stdout: "ignore",
    stderr: "pipe",
  });
  const output = await new Response(child.stderr).text();
  await child.exited;
  return /^ 1 fail$/m.test(output) ? `${file}: ${test}` : null;
}

async function main(args: string[]): Promise<number> {
  let command: Command;
  try {
    command = parse(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
  const { ranges, defect } = command;
  if (command.isMutationTest) return (await findDefects(command)) ? 0 : 1;
  const [[first, last] = [0, 0]] = ranges;
  const isOne = ranges.length === 1 && first === last;
  if (isOne && defect === null) return (await one(first, command)) ? 0 : 1;
  const which = ranges.map(([from, to]) => (from === to ? `${from}` : `${from}..${to}`));
  const given = Object.entries(command.given).map(([name, value]) => ` ${name}=${value}`);
  console.log(`seeds ${which.join(", ")}${given.join("")}; other options drawn from each seed`);
  const failed = await simulateMany(args, command, (seed, output) => {
    if (defect === null || isOne) console.log(output);
    console.log(commandFor(seed, command));
  });
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
