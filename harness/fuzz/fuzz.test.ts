/**
 * Smoke mode: every fuzzer runs some thousands of inputs, and the canary shows that bugs are found.
 */
import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { type Fuzzer, type FuzzTarget, fuzz } from "./fuzzer.ts";
import { FUZZERS } from "./registry.ts";

const SEED = 1;
const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

for (const fuzzer of FUZZERS.filter((each) => each.mustFail !== true)) {
  test(`fuzz ${fuzzer.name}: ${fuzzer.about}`, async () => {
    const failure = await fuzz(fuzzer, { runs: fuzzer.smokeRuns, seed: SEED });
    if (failure !== null) throw new Error(failure.command, { cause: failure.error });
  });
}

test("the canary is found from any seed, and the printed command repeats it at once", async () => {
  const [canary] = FUZZERS.filter((each) => each.mustFail === true);
  if (canary === undefined) throw new Error("there is no canary");
  for (const seed of [0, 1, 77, 0xffff_ffff]) {
    const failure = await fuzz(canary, { runs: canary.smokeRuns, seed });
    const repeat = /^bun run fuzz canary --runs 1 --seed (\d+)$/.exec(failure?.command ?? "");
    expect(repeat).not.toBeNull();
    const again = await fuzz(canary, { runs: 1, seed: Number(repeat?.[1]) });
    expect(again?.error).toEqual(failure?.error);
  }
});

test("a failure that needs earlier inputs is repeated with them", async () => {
  const open = async (): Promise<FuzzTarget> => {
    let runs = 0;
    return {
      run: () => {
        runs += 1;
        if (runs === 4) throw new Error("the fourth");
      },
    };
  };
  const stateful: Fuzzer = { name: "stateful", about: "", smokeRuns: 10, open };
  const failure = await fuzz(stateful, { runs: 10, seed: 5 });
  expect(failure?.run).toBe(3);
  expect(failure?.command).toBe("bun run fuzz stateful --runs 4 --seed 5");
});

test("names of fuzzers are unique", () => {
  expect(new Set(FUZZERS.map(({ name }) => name)).size).toBe(FUZZERS.length);
});

function main(...args: string[]): { lines: string[]; exitCode: number } {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, MAIN, ...args]);
  return { lines: `${stdout}${stderr}`.trim().split("\n"), exitCode };
}

test("main prints the seed first and, when it fails, the command last", () => {
  const failed = main("canary", "--seed", "9", "--runs", "2000");
  expect(failed.exitCode).toBe(1);
  expect(failed.lines[0]).toBe("seed 9");
  const command = failed.lines.at(-1) ?? "";
  expect(command).toStartWith("bun run fuzz canary --runs 1 --seed ");
  const again = main(...command.split(" ").slice(3));
  expect(again.exitCode).toBe(1);
  expect(again.lines.at(-1)).toBe(command);
  expect(main("framer", "--runs", "5", "--seed", "3")).toEqual({
    lines: ["seed 3", "framer: 5 runs, nothing found"],
    exitCode: 0,
  });
});

test("main refuses unknown arguments", () => {
  for (const [args, line] of [
    [["tmem"], `Cannot fuzz "tmem": there are ${FUZZERS.map(({ name }) => name).join(", ")}`],
    [["lz4", "zbud"], 'Cannot fuzz "lz4 zbud": one name at most'],
    [["--runs", "many"], 'Cannot use --runs "many": it takes a number from 0 to 4294967295'],
  ] as const) {
    expect(main(...args)).toEqual({ lines: [line], exitCode: 2 });
  }
});
