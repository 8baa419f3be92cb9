/** `ramster stress`: starts real nodes of this program, loads them and checks every page. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { describeError, EXIT, type ExitCode, exitCodeOf } from "../../src/cli/exit.ts";
import { paintFor } from "../../src/cli/paint.ts";
import { print, printError } from "../../src/cli/print.ts";
import { Progress } from "../../src/cli/progress.ts";
import { aborted, stopSignal } from "../../src/cli/stop-signal.ts";
import { badValue } from "../../src/cli/units.ts";
import { ConfigError } from "../../src/core/errors.ts";
import { BunRandom } from "../../src/net/bun.ts";
import { NodeDiedError } from "../processes/node-process.ts";
import { htmlReport } from "./html-report.ts";
import type { StressOptions } from "./options.ts";
import { reportText, type StressReport } from "./report.ts";
import { NoProgressError } from "./run.ts";
import { InterruptedError, runStress, type StressEnvironment } from "./stress.ts";

/**
 * Runs `ramster stress`. If the run fails after its start, the last line on stdout is the command
 * that repeats it. A second signal ends the program at once.
 */
export async function run(options: StressOptions): Promise<ExitCode> {
  checkWritable("json", options.jsonPath);
  checkWritable("html", options.htmlPath);
  const seed = options.seed ?? new BunRandom().u32();
  const atFailure: { report: StressReport | null } = { report: null };
  const bar = new Progress(process.stderr, { quiet: process.stdout.isTTY !== true });
  const environment: StressEnvironment = {
    program: programWords(),
    progress: {
      show: (phase, done, detail) => bar.show(phase, done, detail),
      end: () => bar.end(),
      note: (line) => {
        bar.clear();
        console.log(line);
      },
    },
    interrupted: aborted(stopSignal()),
    onFailure: (known) => {
      atFailure.report = known;
    },
  };
  console.log(`stress: seed ${seed}`);
  let report: StressReport;
  try {
    report = await runStress({ ...options, seed }, environment);
  } catch (error) {
    if (error instanceof ConfigError || !(error instanceof Error)) throw error;
    const known = atFailure.report;
    const code = failureCodeOf(error, known);
    known?.examples.push(error.message);
    if (known !== null) writeReport(options, known, repeatCommand(seed));
    const what = code === EXIT.ASSERTION ? describeError(error) : error.message;
    printError(`ramster: Stress failed: ${what}`);
    console.log(repeatCommand(seed));
    return code;
  }
  writeReport(options, report, repeatCommand(seed));
  await print(`${reportText(report, paintFor(process.stdout, process.env))}\n`);
  if (report.pass) return EXIT.DONE;
  console.log(repeatCommand(seed));
  return report.wrong + report.lost > 0 ? EXIT.STRESS_WRONG_PAGE : EXIT.FAILED;
}

function writeReport(
  { jsonPath, htmlPath }: StressOptions,
  report: StressReport,
  command: string,
): void {
  if (jsonPath !== null) writeFileSync(jsonPath, `${JSON.stringify(report, null, 2)}\n`);
  if (htmlPath !== null) writeFileSync(htmlPath, htmlReport(report, command));
}

/** Lost pages are explained by the death of a node, and by nothing else. */
function failureCodeOf(error: Error, known: StressReport | null): ExitCode {
  if (error instanceof NodeDiedError) return EXIT.STRESS_NODE_DIED;
  if (known !== null && known.wrong + known.lost > 0) return EXIT.STRESS_WRONG_PAGE;
  if (error instanceof NoProgressError) return EXIT.STRESS_NO_PROGRESS;
  if (error instanceof InterruptedError) return EXIT.FAILED;
  return exitCodeOf(error);
}

/** Fails before the run if the report cannot be written. It also empties an old report. */
function checkWritable(flag: string, path: string | null): void {
  if (path === null) return;
  try {
    closeSync(openSync(path, "w"));
  } catch (error) {
    throw badValue({ flag, text: path }, describeError(error));
  }
}

/** The command that starts this program again: the compiled binary alone, or Bun with main.ts. */
function programWords(): string[] {
  const isCompiled = Bun.main.startsWith("/$bunfs/");
  return isCompiled ? [process.execPath] : [process.execPath, Bun.main];
}

/** The command that repeats the run: the arguments as typed, with the seed that was chosen. */
function repeatCommand(seed: number): string {
  const given = process.argv.slice(2).filter((word, i, words) => {
    return !word.startsWith("--seed") && words[i - 1] !== "--seed";
  });
  return `ramster ${given.map(shellWord).join(" ")} --seed ${seed}`;
}

/** Quoted as a shell reads it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
