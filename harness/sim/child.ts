/**
 * `bun harness/sim/child.ts FROM TO [options of main.ts]`: runs seeds in sequence, and prints the
 * result of each as a line of JSON. For many.ts.
 */
import { writeSync } from "node:fs";
import { parse } from "./main.ts";
import type { SeedResult } from "./many.ts";
import { drawOptions, optionsText } from "./options.ts";
import { simulate } from "./simulate.ts";

async function runSeeds(args: readonly string[]): Promise<void> {
  const [from = "0", to = "0", ...rest] = args;
  const { given } = parse(rest);
  // An unhandled rejection must not end the process before its seed is printed.
  let stray: string | null = null;
  process.on("unhandledRejection", (reason) => {
    stray = textOf(reason);
  });
  for (let seed = Number(from); seed <= Number(to); seed += 1) {
    const options = drawOptions(seed, given);
    stray = null;
    const thrown = await simulate(options).then(() => null, textOf);
    const reason = thrown ?? stray;
    const error = reason === null ? null : `${optionsText(options)}\n${reason}`;
    const result: SeedResult = { seed, error };
    // Written at once: buffered output is gone when the process crashes.
    writeSync(1, `${JSON.stringify(result)}\n`);
  }
}

function textOf(reason: unknown): string {
  return String(reason instanceof Error ? reason.stack : reason);
}

await runSeeds(process.argv.slice(2));
