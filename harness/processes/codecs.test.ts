/** The compiled program, with the libraries of this machine and without them. */
import { describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { LZ4_LIBRARY } from "../../src/compress/native/lz4.ts";
import { findLibrary } from "../../src/memory/system-library.ts";
import { buildBadLibrary } from "../hostile/bad-libraries.ts";
import { countRight, fill, PROGRAM, ProcessWorld } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const TEST_MS = 60_000;
const found = findLibrary(LZ4_LIBRARY);
const library = "path" in found ? found.path : null;
const without = library === null ? " (skipped: no liblz4 here)" : "";

/** Starts a node, stores pages, and reads them back. @returns what it says of its codec. */
async function codecOf(world: ProcessWorld, flags: string[], under: readonly string[] = []) {
  const node = await world.start("node", 1, ["--http=127.0.0.1:0", ...flags], under);
  const client = await world.connect(node);
  const pool = await client.newPool({ persistent: true });
  expect(await fill(pool, 100)).toBe(100);
  expect(await countRight(pool, 100)).toBe(100);
  const status = await world.run(["status", `--client=${node.client}`]);
  const line = status.stdout.split("\n").find((it) => it.startsWith("codec: "));
  const metrics = await (await fetch(`http://${node.http}/metrics`)).text();
  const native = /^ramster_codec_native (\d)$/m.exec(metrics)?.[1];
  const { codec } = await client.stats();
  expect(line).toContain(codec?.name ?? "none");
  return { line, native, log: node.stderr.filter((it) => it.includes("lz4")) };
}

test(
  "a node compresses with lz4-wasm if it is to",
  async () => {
    await using world = new ProcessWorld();
    expect(await codecOf(world, ["--codec=wasm"])).toEqual({
      line: "codec: lz4, by WebAssembly",
      native: "0",
      log: [],
    });
  },
  TEST_MS,
);

describe.skipIf(library === null)(`liblz4${without}`, () => {
  test(
    "compresses, by default and with --codec native",
    async () => {
      for (const flags of [["--codec=auto"], ["--codec=native"]]) {
        await using world = new ProcessWorld();
        const { line, native, log } = await codecOf(world, flags);
        expect(line).toMatch(/^codec: lz4, by liblz4 \d+\.\d+\.\d+$/);
        expect({ native, log }).toEqual({ native: "1", log: [] });
      }
    },
    TEST_MS,
  );

  const hidden = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"'];
  const canHide = Bun.spawnSync([...hidden, library ?? "", "true"]).exitCode === 0;

  test.skipIf(!canHide)(
    "is given up with one line if the file is none",
    async () => {
      const under = [...hidden, library ?? ""];
      await using world = new ProcessWorld();
      const { line, native, log } = await codecOf(world, ["--codec=auto"], under);
      expect({ line, native }).toEqual({ line: "codec: lz4, by WebAssembly", native: "0" });
      expect(log).toHaveLength(1);
      expect(log[0]).toContain(`lz4-wasm compresses the pages: ${library} is not a regular file`);
    },
    TEST_MS,
  );

  test.skipIf(!canHide)(
    "is missed by --codec native with one line, and the node does not start",
    async () => {
      await using world = new ProcessWorld([...hidden, library ?? "", ...PROGRAM]);
      const node = ["node", "--number=1", "--gossip=none", "--listen=127.0.0.1:0"];
      const { stdout, stderr, code } = await world.run([...node, "--codec=native"]);
      const why = `${library} is not a regular file: install liblz4, or use --codec auto`;
      expect({ stdout, stderr, code }).toEqual({
        stdout: "",
        stderr: `ramster: Cannot use --codec native: ${why}\n`,
        code: 2,
      });
    },
    TEST_MS,
  );
});

const noGcc = !areToolsRequired && which("gcc") === null;

describe.skipIf(noGcc)(`the check of a library${noGcc ? " (skipped: no gcc here)" : ""}`, () => {
  const check = (world: ProcessWorld, path: string) => world.run(["check-library", "lz4", path]);

  test(
    "finds a bad one, and may crash with it",
    async () => {
      await using world = new ProcessWorld();
      const { stdout, code } = await check(
        world,
        buildBadLibrary(world.directory, "page.so", "PAGE"),
      );
      const line = "a page does not come back, page 0 of its check\n";
      expect({ stdout, code }).toEqual({ stdout: line, code: 0 });
      const crash = await check(world, buildBadLibrary(world.directory, "crash.so", "CRASH"));
      expect(crash.stdout).toBe("");
      expect(crash.code).not.toBe(0);
    },
    TEST_MS,
  );

  const asNobody = ["setpriv", "--reuid=65534", "--clear-groups"];
  const canBeNobody = process.getuid?.() === 0 && which("setpriv") !== null;

  test.skipIf(!canBeNobody)(
    "says that a library cannot be read",
    async () => {
      await using world = new ProcessWorld();
      const path = buildBadLibrary(world.directory, "closed.so", "PAGE");
      chmodSync(world.directory, 0o755);
      chmodSync(path, 0);
      const child = world.spawnCommand([...asNobody, ...PROGRAM, "check-library", "lz4", path]);
      const text = await child.stdout.text();
      expect([text.split("\n").length, await child.exited]).toEqual([2, 0]);
      expect(text).toContain(path);
    },
    TEST_MS,
  );
});
