/** Cold pages of a real node, compressed again by a Worker. */
import { describe, expect, test } from "bun:test";
import type { Client } from "../../src/client/client.ts";
import type { Pool } from "../../src/client/pool.ts";
import { ZSTD_LIBRARY } from "../../src/compress/native/zstd-library.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { findLibrary } from "../../src/memory/system-library.ts";
import { loadPageClass } from "../pages/load.ts";
import { counter, keys, ProcessWorld, until } from "./process-world.ts";

const TEST_MS = 60_000;
/** A pool of so many gets a dictionary. */
const PAGES = 5000;
const BATCH = 250;
const COLD = ["--memory=64MiB", "--cold-codec=zstd", "--cold-share=100"];
const found = findLibrary(ZSTD_LIBRARY);
const library = "path" in found ? found.path : null;
const { pages: real } = loadPageClass("python");

/** A page of a program, with its number in front. */
function pageOf(number: number): Uint8Array {
  const at = (number % (real.byteLength / PAGE_BYTES)) * PAGE_BYTES;
  const page = real.slice(at, at + PAGE_BYTES);
  new DataView(page.buffer).setUint32(0, number);
  return page;
}

async function fill(pool: Pool): Promise<void> {
  for (let from = 0; from < PAGES; from += BATCH) {
    const batch = keys(BATCH, from).map((key) => ({ ...key, page: pageOf(key.index) }));
    const results = await pool.putMany(batch);
    expect(results.every(({ stored }) => stored)).toBe(true);
  }
}

async function checkAll(pool: Pool): Promise<void> {
  for (let from = 0; from < PAGES; from += BATCH) {
    const pages = await pool.getMany(keys(BATCH, from));
    for (const [i, page] of pages.entries()) expect(page).toEqual(pageOf(from + i));
  }
}

/**
 * Fills a pool, and waits until most of its pages were compressed again, as this figure counts.
 * Pages that are cold before the pool is large have no dictionary.
 */
async function recompressed(
  client: Client,
  figure: "cold_recompressed" | "zstd_dictionary_pages",
): Promise<void> {
  const pool = await client.newPool({ persistent: true, storeWhole: true });
  await fill(pool);
  const isDone = async () => (await counter(client, figure)) > PAGES / 2;
  await until("pages are compressed again", isDone);
  await checkAll(pool);
}

describe.skipIf(library === null)(
  `libzstd${library === null ? " (skipped: none here)" : ""}`,
  () => {
    test(
      "compresses cold pages with a dictionary of their pool, and each reads as it was put",
      async () => {
        await using world = new ProcessWorld();
        const node = await world.start("node", 1, COLD);
        const client = await world.connect(node);
        await recompressed(client, "zstd_dictionary_pages");
        expect(await counter(client, "dictionaries_trained")).toBe(1);
        const { stdout } = await world.run(["status", `--client=${node.client}`]);
        expect(stdout).toMatch(/^cold pages: zstd, by libzstd \d+\.\d+\.\d+$/m);
        expect(stdout).toMatch(/^pages by codec: .*zstd with a dictionary \d+ %$/m);
        expect(await node.stop()).toBe(0);
        expect(node.stderr.filter((line) => line.includes("cold"))).toEqual([]);
      },
      TEST_MS,
    );

    const hidden = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"'];
    const canHide = Bun.spawnSync([...hidden, library ?? "", "true"]).exitCode === 0;

    test.skipIf(!canHide)(
      "is not needed: the runtime compresses, without dictionaries, and a line says so",
      async () => {
        await using world = new ProcessWorld();
        const node = await world.start("node", 1, COLD, [...hidden, library ?? ""]);
        const client = await world.connect(node);
        await recompressed(client, "cold_recompressed");
        expect(await counter(client, "dictionaries_trained")).toBe(0);
        const { stdout } = await world.run(["status", `--client=${node.client}`]);
        expect(stdout).toMatch(/^cold pages: zstd, by the zstd of Bun \S+, without dictionaries$/m);
        const lines = node.stderr.filter((line) => line.includes("compresses cold pages"));
        expect(lines).toHaveLength(1);
      },
      TEST_MS,
    );
  },
);

test(
  "--cold-codec none and --placement zbud leave pages as they are",
  async () => {
    await using world = new ProcessWorld();
    for (const flags of [["--cold-codec=none"], ["--cold-codec=zstd", "--placement=zbud"]]) {
      const node = await world.start("node", 1, ["--memory=64MiB", ...flags]);
      const client = await world.connect(node);
      expect((await client.stats()).cold_codec).toBeNull();
      expect(await node.stop()).toBe(0);
    }
  },
  TEST_MS,
);
