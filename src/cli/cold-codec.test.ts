import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkRecompressor } from "../../harness/contract/recompressor.ts";
import { BATCH_ZPAGES } from "../cold/recompressor.ts";
import { BunZstd } from "../compress/bun-zstd.ts";
import { CODEC } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import type { LibraryName } from "../compress/native/libraries.ts";
import { LZ4_LIBRARY } from "../compress/native/lz4.ts";
import { ZSTD_LIBRARY } from "../compress/native/zstd-library.ts";
import { Raw } from "../compress/raw.ts";
import { ConfigError } from "../core/errors.ts";
import { Log } from "../core/log.ts";
import { openMemory } from "../memory/open-memory.ts";
import { findLibrary } from "../memory/system-library.ts";
import { BunClock } from "../net/bun.ts";
import { openCodecs } from "./codecs.ts";
import { type ColdCodec, openRecompressor } from "./cold-codec.ts";

const TEST_MS = 60_000;
const directory = mkdtempSync(join(tmpdir(), "ramster-cold-codec-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const memory = openMemory();
const hot = [new Raw(memory), await Lz4.load(memory)] as const;
const found = findLibrary(ZSTD_LIBRARY);
const areHere = "path" in found && "path" in findLibrary(LZ4_LIBRARY);
const why = areHere ? "" : " (skipped: no libzstd here, or no liblz4)";
const INSTEAD = "the zstd of this program compresses cold pages, without dictionaries";

function environment(from: { directories?: string[]; fault?: string | null } = {}) {
  const lines: string[] = [];
  const log = new Log((level, _, line) => lines.push(`${level}: ${line}`));
  const { directories, fault } = from;
  const env = {
    ...{ memory, log, clock: new BunClock() },
    ...(directories === undefined ? null : { directories }),
    ...(fault === undefined ? null : { check: async () => fault }),
  };
  return { env, lines };
}

const NODE = { role: "node", codec: "auto", placement: "blocks", swap: "off" } as const;
const ZSTD = { ...NODE, coldCodec: "zstd" } as const;

/** Each zpage of a program gets shorter, and gives its page back. */
async function checkAndClose({ recompressor, codecs }: ColdCodec): Promise<void> {
  if (recompressor === null) throw new Error("there is no recompressor");
  expect(await checkRecompressor(recompressor, codecs)).toBe(BATCH_ZPAGES);
  recompressor.close();
}

test("none opens no library, and starts no Worker", async () => {
  const { env, lines } = environment({ fault: "the check was run" });
  const cold = await openRecompressor(env, { ...NODE, coldCodec: "none" }, Promise.resolve(hot));
  expect(cold).toEqual({ recompressor: null, codecs: hot });
  expect(lines).toEqual([]);
});

test(
  "without libzstd the runtime's zstd is taken, with one line",
  async () => {
    const { env, lines } = environment({ directories: [directory] });
    const opening = Promise.resolve(hot);
    const cold = await openRecompressor(env, ZSTD, opening);
    expect(cold.recompressor?.hasDictionaries).toBe(false);
    expect(cold.recompressor?.library).toMatch(/^the zstd of Bun \d/);
    expect(cold.codecs.length).toBe(3);
    expect(cold.codecs[CODEC.ZSTD]).toBeInstanceOf(BunZstd);
    const missing = `info: ${INSTEAD}: there is no ${ZSTD_LIBRARY} in ${directory}`;
    expect(lines).toEqual([missing]);
    await checkAndClose(cold);
  },
  TEST_MS,
);

test("is refused with the codecs of hot pages", async () => {
  const { env } = environment({ directories: [directory] });
  const opening = Promise.reject(new ConfigError("BAD_CONFIG", "no lz4"));
  const cold = openRecompressor(env, ZSTD, opening);
  await expect(cold).rejects.toThrow("no lz4");
});

describe.skipIf(!areHere)(`libzstd${why}`, () => {
  test(
    "passes its check in a process of its own, and is used with a dictionary",
    async () => {
      const { env, lines } = environment();
      const opening = openCodecs(env, { codec: "auto", role: "node" });
      const cold = await openRecompressor(env, ZSTD, opening);
      expect(cold.recompressor?.library).toMatch(/^libzstd \d+\.\d+\.\d+$/);
      expect(cold.recompressor?.hasDictionaries).toBe(true);
      await checkAndClose(cold);
      expect(lines).toEqual([]);
    },
    TEST_MS,
  );

  test("that is faulty is given up with a warning", async () => {
    const { env, lines } = environment({ fault: "it is odd" });
    const cold = await openRecompressor(env, ZSTD, Promise.resolve(hot));
    expect(cold.recompressor?.hasDictionaries).toBe(false);
    expect(lines).toEqual([`warn: ${INSTEAD}: it is odd`]);
    cold.recompressor?.close();
  });

  test("is checked while liblz4 is", async () => {
    const asked: LibraryName[] = [];
    const both = Promise.withResolvers<void>();
    const { env } = environment();
    const checking = async (name: LibraryName): Promise<string> => {
      asked.push(name);
      if (asked.length === 2) both.resolve();
      await both.promise;
      return "it is odd";
    };
    const slow = { ...env, check: checking };
    const opening = openCodecs(slow, { codec: "auto", role: "node" });
    const cold = await openRecompressor(slow, ZSTD, opening);
    expect(asked.sort()).toEqual(["lz4", "zstd"]);
    cold.recompressor?.close();
  });
});
