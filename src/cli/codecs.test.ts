import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodecRig } from "../../harness/contract/codec.ts";
import { buildBadLibrary, type LibraryFault } from "../../harness/hostile/bad-libraries.ts";
import { loadPageClass } from "../../harness/pages/load.ts";
import { areToolsRequired, which } from "../../harness/processes/tools.ts";
import { CODEC } from "../compress/codec.ts";
import { LZ4_LIBRARY } from "../compress/native/lz4.ts";
import { ZSTD_LIBRARY } from "../compress/native/zstd-library.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { Log } from "../core/log.ts";
import { openMemory } from "../memory/open-memory.ts";
import { findLibrary } from "../memory/system-library.ts";
import type { NodeConfig } from "../node/config.ts";
import { openCodecs } from "./codecs.ts";
import { checkInProcess } from "./library-check.ts";

const TEST_MS = 60_000;
const directory = mkdtempSync(join(tmpdir(), "ramster-codecs-"));
const page = loadPageClass("python").pages.slice(0, PAGE_BYTES);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Opens the codecs of a node. @returns the one for lz4, and the lines of the log. */
async function open(
  codec: NodeConfig["codec"],
  from: { role?: "node" | "server"; directories?: string[]; fault?: string | null } = {},
) {
  const lines: string[] = [];
  const log = new Log((level, _, line) => lines.push(`${level}: ${line}`));
  const { role = "node", directories, fault } = from;
  const env = {
    memory: openMemory(),
    log,
    ...(directories === undefined ? null : { directories }),
    ...(fault === undefined ? null : { check: async () => fault }),
  };
  const codecs = await openCodecs(env, { codec, role });
  const lz4 = codecs[CODEC.LZ4];
  if (lz4 === undefined) throw new Error("there is no lz4");
  expect(lz4.id).toBe(CODEC.LZ4);
  const rig = new CodecRig(lz4);
  expect(rig.decompress(rig.zpageOf(page))).toBe(true);
  return { library: lz4.library, lines };
}

test("without the library auto says so in one line and takes lz4-wasm, native refuses", async () => {
  const where = `there is no ${LZ4_LIBRARY} in ${directory}`;
  expect(await open("auto", { directories: [directory] })).toEqual({
    library: null,
    lines: [`info: lz4-wasm compresses the pages: ${where}`],
  });
  expect(open("native", { directories: [directory] })).rejects.toThrow(
    `Cannot use --codec native: ${where}: install liblz4, or use --codec auto`,
  );
});

test("wasm, raw and servers open no library", async () => {
  const nothing = { library: null, lines: [] };
  const fault = "the check was run";
  expect(await open("wasm", { fault })).toEqual(nothing);
  expect(await open("raw", { fault })).toEqual(nothing);
  expect(await open("auto", { role: "server", fault })).toEqual(nothing);
});

const lz4 = findLibrary(LZ4_LIBRARY);
const zstd = findLibrary(ZSTD_LIBRARY);
const noLz4 = "path" in lz4 ? "" : " (skipped: no liblz4 here)";

describe.skipIf(noLz4 !== "")(`liblz4${noLz4}`, () => {
  test(
    "passes its check in a process of its own, and is used",
    async () => {
      const { library, lines } = await open("auto");
      expect(library).toMatch(/^liblz4 \d+\.\d+\.\d+$/);
      expect(lines).toEqual([]);
      expect((await open("native")).library).toBe(library);
    },
    TEST_MS,
  );

  test("is given up with one line when its check finds a fault", async () => {
    expect(await open("auto", { fault: "it is odd" })).toEqual({
      library: null,
      lines: ["warn: lz4-wasm compresses the pages: it is odd"],
    });
    expect(open("native", { fault: "it is odd" })).rejects.toThrow("native: it is odd: install");
  });

  test(
    "is no libzstd",
    async () => {
      const fault = await checkInProcess("zstd", "path" in lz4 ? lz4.path : "");
      expect(fault).toContain("ZSTD_versionString");
      expect(fault).not.toContain("\n");
    },
    TEST_MS,
  );
});

test.skipIf(!("path" in zstd))(
  "libzstd passes its check",
  async () => {
    expect(await checkInProcess("zstd", "path" in zstd ? zstd.path : "")).toBeNull();
  },
  TEST_MS,
);

test(
  "a file that is no library, or is missing, is a fault in one line",
  async () => {
    const path = join(directory, "text.so");
    writeFileSync(path, "no library\n");
    chmodSync(path, 0o644);
    for (const [file, what] of [
      [path, "text.so"],
      [join(directory, "none.so"), "none.so"],
      [directory, directory],
    ] as const) {
      const fault = await checkInProcess("lz4", file);
      expect(fault).toContain(what);
      expect(fault).not.toContain("\n");
    }
  },
  TEST_MS,
);

const noGcc = !areToolsRequired && which("gcc") === null;

describe.skipIf(noGcc)(`a bad library${noGcc ? " (skipped: no gcc here)" : ""}`, () => {
  const faults: readonly [LibraryFault, RegExp][] = [
    ["SYMBOL", /LZ4_compress_fast_extState/],
    ["STATE", /LZ4_sizeofState\(\) is 7$/],
    ["PAGE", /^a page does not come back, page 0 of its check$/],
    ["FORMAT", /^its zpage is not in the format, page 0 of its check$/],
    ["OVERRUN", /^it writes outside of the target, page 0 of its check$/],
    ["LENIENT", /^a page does not come back, page 0 of its check$/],
    ["CRASH", /^\/.*lib fails its check: (SIG[A-Z]+|exit code \d+)$/],
    ["HANG", /^\/.*lib fails its check: SIGKILL$/],
  ];

  beforeAll(() => {
    for (const [fault] of faults) buildBadLibrary(directory, `${fault}.lib`, fault);
  });

  test.each(faults)(
    "%s is found, and ends only the process of the check",
    async (fault, what) => {
      const timeoutMs = fault === "HANG" ? 2000 : undefined;
      expect(await checkInProcess("lz4", join(directory, `${fault}.lib`), timeoutMs)).toMatch(what);
    },
    TEST_MS,
  );

  const isRoot = process.getuid?.() === 0;
  test.skipIf(!isRoot)(
    "is given up by auto, and by native with an error",
    async () => {
      copyFileSync(join(directory, "FORMAT.lib"), join(directory, LZ4_LIBRARY));
      const directories = [directory];
      const line = "its zpage is not in the format, page 0 of its check";
      expect(await open("auto", { directories })).toEqual({
        library: null,
        lines: [`warn: lz4-wasm compresses the pages: ${line}`],
      });
      expect(open("native", { directories })).rejects.toThrow(`native: ${line}: install`);
      chmodSync(join(directory, LZ4_LIBRARY), 0o666);
      expect((await open("auto", { directories })).lines[0]).toContain("can be written by");
      rmSync(join(directory, LZ4_LIBRARY));
    },
    TEST_MS,
  );
});
