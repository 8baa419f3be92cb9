import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { version } from "../package.json" with { type: "json" };
import { helpText } from "./cli/help.ts";
import { PLAIN } from "./cli/paint.ts";
import { COMMANDS } from "./commands.ts";
import { PROTOCOL_VERSION } from "./core/limits.ts";

const MAIN = join(import.meta.dir, "main.ts");

/** Runs the program as a person would, with its output in pipes. */
async function ramster(argv: readonly string[], environment: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, ...argv], {
    env: { PATH: process.env.PATH ?? "", ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

describe("ramster", () => {
  test("shows help on stdout, plain in a pipe", async () => {
    expect(await ramster(["--help"])).toEqual({
      stdout: helpText(null, COMMANDS, PLAIN),
      stderr: "",
      code: 0,
    });
    expect((await ramster(["help", "stress"])).stdout).toBe(helpText("stress", COMMANDS, PLAIN));
  });

  test("shows colour only where it is wanted", async () => {
    const wanted = await ramster(["--help"], { FORCE_COLOR: "1" });
    expect(wanted.stdout).toContain("\u001b[");
    const unwanted = await ramster(["--help"], { FORCE_COLOR: "1", NO_COLOR: "1" });
    expect(unwanted.stdout).toBe(helpText(null, COMMANDS, PLAIN));
  });

  test("version names the version, the protocol and the machine", async () => {
    const { stdout, code } = await ramster(["version"]);
    expect(stdout).toMatch(/^ramster \S+, protocol \d+, Bun \S+, \S+ \S+\n$/);
    expect(stdout).toStartWith(`ramster ${version}, protocol ${PROTOCOL_VERSION}, Bun`);
    expect(code).toBe(0);
  });

  test("ends with 2 and one line on stderr when a flag is wrong", async () => {
    expect(await ramster(["node", "--memry", "1MiB"])).toEqual({
      stdout: "",
      stderr: 'ramster: Cannot use --memry: "node" has no such flag, did you mean --memory?\n',
      code: 2,
    });
  });

  test("without a word prints the help, and ends with 0", async () => {
    const help = await ramster(["help"]);
    expect(await ramster([])).toEqual(help);
    expect([help.code, help.stderr]).toEqual([0, ""]);
    expect(help.stdout).toContain("\nUsage\n");
  });
});
