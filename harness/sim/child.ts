/**
 * `bun harness/sim/child.ts FROM TO [options of main.ts]`: runs seeds one after the other and says
 * of each what came of it, a line of JSON. For many.ts.
 */
import { parse } from "./main.ts";
import type { SeedResult } from "./many.ts";
import { drawOptions, optionsText } from "./options.ts";
import { simulate } from "./simulate.ts";

const [from = "0", to = "0", ...args] = process.argv.slice(2);
const { given } = parse(args);
// What nobody awaits must not end the process before it is known which seed it was.
let stray: string | null = null;
process.on("unhandledRejection", (reason) => {
  stray = String(reason instanceof Error ? reason.stack : reason);
});

for (let seed = Number(from); seed <= Number(to); seed += 1) {
  const options = drawOptions(seed, given);
  let error: string | null = null;
  stray = null;
  try {
    await simulate(options);
  } catch (thrown) {
    error = String(thrown instanceof Error ? thrown.stack : thrown);
  }
  error ??= stray;
  if (error !== null) error = `${optionsText(options)}\n${error}`;
  const result: SeedResult = { seed, error };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
