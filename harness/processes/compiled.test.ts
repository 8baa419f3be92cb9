/**
 * The compiled program in a directory that somebody else has filled. A program that is started as
 * root must not take code or settings from its working directory.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiledProgram } from "./compiled.ts";
import { type Ended, ended } from "./process-world.ts";
import { areToolsRequired, TOOL_ENVIRONMENT, which } from "./tools.ts";

const TEST_MS = 60_000;
const ROOT = mkdtempSync(join(tmpdir(), "ramster-compiled-"));
const PROGRAM = join(ROOT, "ramster");
const HERE = join(ROOT, "here");
const MARK = "code of the working directory";

/** File names that a runtime or a dynamic loader may look for in the working directory. */
const HOSTILE: Readonly<Record<string, string>> = {
  "bunfig.toml": 'preload = ["./hostile.ts"]\n',
  "hostile.ts": `console.error("${MARK}");\n`,
  ".env": "BUN_OPTIONS=--preload=./hostile.ts\nNODE_OPTIONS=--require=./hostile.ts\n",
  ".env.local": "BUN_OPTIONS=--preload=./hostile.ts\n",
  ".env.production": "BUN_OPTIONS=--preload=./hostile.ts\n",
  "tsconfig.json": '{"compilerOptions": {"paths": {"*": ["./hostile.ts"]}}}',
  "package.json": '{"imports": {"#*": "./hostile.ts"}, "main": "./hostile.ts"}',
  "libc.so.6": "not a library",
  "libc.musl-x86_64.so.1": "not a library",
};

beforeAll(() => {
  copyFileSync(compiledProgram(), PROGRAM);
  mkdirSync(HERE);
  for (const [name, text] of Object.entries(HOSTILE)) writeFileSync(join(HERE, name), text);
}, TEST_MS);

afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

function run(cwd: string, command: readonly string[]): Promise<Ended> {
  const env = TOOL_ENVIRONMENT;
  const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  return ended(Bun.spawn([...command], { cwd, env, ...pipes }));
}

describe("the compiled program", () => {
  test("runs no code of the working directory", async () => {
    const { stdout, stderr, code } = await run(HERE, [PROGRAM, "version"]);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    expect(stdout).toMatch(/^ramster /);
  });

  test("starts beside files that nobody can read", async () => {
    const folder = join(ROOT, "broken");
    mkdirSync(folder);
    for (const name of Object.keys(HOSTILE)) writeFileSync(join(folder, name), "preload = [\0{");
    const { stderr, code } = await run(folder, [PROGRAM, "version"]);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  });

  test("starts in a directory that it may not read", async () => {
    const folder = join(ROOT, "closed");
    mkdirSync(folder);
    chmodSync(folder, 0);
    const asNobody = ["setpriv", "--reuid=65534", "--clear-groups"];
    const isRoot = process.getuid?.() === 0 && which("setpriv") !== null;
    if (isRoot) chmodSync(ROOT, 0o755);
    const shell = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder];
    const command = isRoot ? [...shell, ...asNobody, PROGRAM, "version"] : [PROGRAM, "version"];
    const { stderr, code } = await run(ROOT, command);
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  });
});

const missing = !areToolsRequired && which("strace") === null;
const why = missing ? " (skipped: no strace here)" : "";

describe.skipIf(missing)(`the system calls of the compiled program${why}`, () => {
  test.each([
    ["version", ["version"]],
    ["a node", ["node", "--listen=127.0.0.1:0", "--gossip=127.0.0.1:0", "--client=none"]],
  ])(
    "%s opens no file of the working directory",
    async (name, argv) => {
      const trace = join(ROOT, `${name.replace(" ", "-")}.trace`);
      const strace = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=%file", "--"];
      const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
      const child = Bun.spawn([...strace, PROGRAM, ...argv], {
        cwd: HERE,
        env: TOOL_ENVIRONMENT,
        ...pipes,
      });
      if (name === "a node") {
        await child.stdout.getReader().read(); // It is ready.
        process.kill(firstPid(trace), "SIGTERM");
      }
      expect(await child.exited).toBe(0);
      expect(await child.stderr.text()).not.toContain(MARK);
      expect(openedIn(readFileSync(trace, "utf8"), HERE)).toEqual([]);
    },
    TEST_MS,
  );
});

/** The process that strace started: the first word of its first line is the process id. */
function firstPid(trace: string): number {
  return Number.parseInt(readFileSync(trace, "utf8"), 10);
}

/** Calls with a path that is relative, or inside `folder`. */
function openedIn(trace: string, folder: string): string[] {
  const calls = trace.split("\n").filter((line) => /^\d+ +\w+\(/.test(line));
  expect(calls.length).toBeGreaterThan(10);
  return calls.filter((line) => {
    if (/^\d+ +(?:getcwd|execve)\(/.test(line)) return false;
    const path = /"([^"]*)"/.exec(line)?.[1] ?? "";
    return path !== "" && (!path.startsWith("/") || path.startsWith(folder));
  });
}
