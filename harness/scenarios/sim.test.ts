/** The simulator: a few seeds, the same trace for the same seed, and its defects. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { DEFECTS, editedText } from "../sim/defects.ts";
import { drawOptions } from "../sim/options.ts";
import { simulate } from "../sim/simulate.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** Any seeds. `bun run sim` takes thousands, and `bun run sim failed` those that once failed. */
const SEEDS = [1, 2];

describe("a simulated cluster", () => {
  test.each(SEEDS)("holds with seed %d", async (seed) => {
    const { traceLines } = await simulate(drawOptions(seed));
    expect(traceLines).toBeGreaterThan(1000);
  });

  test("gives the same trace for the same seed, and another trace for another seed", async () => {
    const traceOf = async (seed: number): Promise<string> => {
      const lines: string[] = [];
      await simulate(drawOptions(seed, { seconds: 10 }), (line) => void lines.push(line));
      return lines.join("\n");
    };
    const trace = await traceOf(5);
    expect(trace.length).toBeGreaterThan(100_000);
    expect((await traceOf(5)) === trace).toBe(true);
    expect((await traceOf(6)) === trace).toBe(false);
  });
});

describe("the defects that it must find", () => {
  test.each(DEFECTS.map((defect) => [defect.name, defect] as const))(
    "%s can be put into the code as it is",
    (_, defect) => {
      for (const { file } of defect.edits) {
        const text = readFileSync(`${ROOT}${file}`, "utf8");
        expect(editedText(defect, file, text)).not.toBe(text);
      }
      if (defect.caughtBy === undefined) return;
      const { file, test: title } = defect.caughtBy;
      const isThere = readFileSync(`${ROOT}${file}`, "utf8").includes(`"${title}`);
      expect({ file, title, isThere }).toEqual({ file, title, isThere: true });
    },
  );

  // The full list, within 200 seeds each: `bun run sim defects`.
  test.each(["free-before-ack", "copies-on-one-machine"])("%s is found", async (name) => {
    const command = [process.execPath, "harness/sim/main.ts", "--seeds", "1..20", "--defect", name];
    const run = Bun.spawn(command, { cwd: ROOT, stdout: "pipe" });
    expect(await new Response(run.stdout).text()).toContain(`--defect ${name}`);
    expect(await run.exited).toBe(1);
  });
});
