/**
 * Runs many seeds on all cores. Each process runs a few seeds in sequence (child.ts), so memory is
 * given back, and a crash of the runtime costs the run of one seed.
 */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { DEFECT_VARIABLE } from "./defects.ts";

/** Seeds of one process: its start is then a hundredth of its work. */
const SEEDS_PER_PROCESS = 50;
const REPORT_EVERY = 500;

const HERE = fileURLToPath(new URL(".", import.meta.url));
/** Seeds of a process with a defect. */
export const PRELOAD = `${HERE}with-defect.ts`;

/** Seeds from the first to the last number, both included. */
export type SeedRange = readonly [number, number];

export interface Many {
  readonly ranges: readonly SeedRange[];
  /** Processes at a time; 0: one a core. */
  readonly jobs: number;
  /** See defects.ts; the run ends with the first seed that finds it. */
  readonly defect: string | null;
  /** Prints nothing itself. */
  readonly isQuiet?: boolean;
}

/** The result of a seed, as a child prints it. */
export interface SeedResult {
  readonly seed: number;
  readonly error: string | null;
}

/**
 * Runs all seeds with the options in `args`. `onFailure` is called for each failed seed, with its
 * output. @returns how many failed.
 */
export async function simulateMany(
  args: readonly string[],
  many: Many,
  onFailure: (seed: number, output: string) => void,
): Promise<number> {
  const { defect } = many;
  const startMs = performance.now();
  const batches = many.ranges.flatMap(inBatches);
  let done = 0;
  let failed = 0;
  const isOver = (): boolean => defect !== null && failed > 0;
  const onResult = ({ seed, error }: SeedResult): void => {
    done += 1;
    if (error !== null) {
      failed += 1;
      onFailure(seed, error);
    }
    if (done % REPORT_EVERY === 0 && many.isQuiet !== true)
      console.log(report(done, failed, startMs));
  };
  const work = async (): Promise<void> => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const [from, to] = batch;
      // After a crash, go on behind the seed that crashed.
      for (let at = from; at <= to && !isOver(); ) {
        at = await runChild(args, { from: at, to, defect }, onResult, isOver);
      }
    }
  };
  const jobs = many.jobs === 0 ? availableParallelism() : many.jobs;
  await Promise.all(Array.from({ length: jobs }, work));
  if (many.isQuiet !== true) console.log(report(done, failed, startMs));
  return failed;
}

/** The range in parts, one for each process. */
function inBatches([first, last]: SeedRange): SeedRange[] {
  const batches: SeedRange[] = [];
  for (let from = first; from <= last; from += SEEDS_PER_PROCESS) {
    batches.push([from, Math.min(last, from + SEEDS_PER_PROCESS - 1)]);
  }
  return batches;
}

function report(done: number, failed: number, startMs: number): string {
  const minutes = (performance.now() - startMs) / 60_000;
  return `${done} seeds, ${failed} failed, ${Math.round(done / minutes)} a minute`;
}

/** @returns the first seed that it has not run. */
async function runChild(
  args: readonly string[],
  { from, to, defect }: { from: number; to: number; defect: string | null },
  onResult: (result: SeedResult) => void,
  isOver: () => boolean,
): Promise<number> {
  const preload = defect === null ? [] : ["--preload", PRELOAD];
  const child = Bun.spawn(
    [process.execPath, ...preload, `${HERE}child.ts`, `${from}`, `${to}`, ...args],
    {
      env: { ...process.env, [DEFECT_VARIABLE]: defect ?? "" },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  let next = from;
  let rest = "";
  const errors = new Response(child.stderr).text();
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const result: SeedResult = JSON.parse(line);
      next = result.seed + 1;
      onResult(result);
    }
    if (isOver()) child.kill();
  }
  await child.exited;
  if (next <= to && !isOver()) {
    onResult({ seed: next, error: `the process ended: ${await errors}` });
    next += 1;
  }
  return next;
}
