/** The disk tier of real processes on file systems that run short. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import type { Client } from "../../src/client/client.ts";
import type { Pool } from "../../src/client/pool.ts";
import { counter, countRight, keys, logged, ProcessWorld, pageOf, until } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const MIB = 2 ** 20;
/** More than fits in memory and on the disk together. */
const PAGES = 8000;
const TEST_MS = 60_000;
const SPILL = ["--memory=1MiB", "--spill-size=40MiB", "--selfshrink=off", "--put-wait=100ms"];

/** Puts pages from `from` on until one is refused. @returns how many pages there are then. */
async function fillUp(pool: Pool, from = 0): Promise<number> {
  for (let count = from; count < PAGES; count += 64) {
    const batch = keys(64, count).map((key) => ({ ...key, page: pageOf(key.index) }));
    const refused = (await pool.putMany(batch)).findIndex(({ stored }) => !stored);
    if (refused >= 0) return count + refused;
  }
  return PAGES;
}

/** Waits until the room on the disk reaches this value. */
function untilMax(client: Client, isSo: (bytesMax: number) => boolean): Promise<void> {
  return until("the room is known", async () => isSo(await counter(client, "spill_bytes_max")));
}

const isRoot = process.getuid?.() === 0;
const lacks = (tool: string) => !areToolsRequired && which(tool) === null;

describe("a disk for pages that is short", () => {
  test.skipIf(!isRoot || lacks("unshare"))(
    "a full file system: its room is known, no page is lost, and puts succeed again",
    async () => {
      await using world = new ProcessWorld();
      const directory = world.path("small");
      mkdirSync(directory);
      const mount = `mount -t tmpfs -o size=6m none ${directory}`;
      const filler = `head -c ${3 * MIB} /dev/zero > ${directory}/filler`;
      const under = ["unshare", "-m", "sh", "-c", `${mount} && ${filler} && exec "$@"`, "sh"];
      const node = await world.start("node", 0, [...SPILL, `--spill=${directory}`], under);
      const client = await world.connect(node);
      await logged(node, /The spill file should be on a disk, but it is on tmpfs, which is memory/);
      await logged(node, /has room for 3MiB of the 40MiB of --spill-size/);
      const pool = await client.newPool({ persistent: true, storeWhole: true });
      const count = await fillUp(pool);
      expect(await counter(client, "spill_bytes_max")).toBeLessThanOrEqual(3 * MIB);
      expect(await counter(client, "spill_bytes")).toBeGreaterThan(2 * MIB);
      const { stdout } = await world.run(["status", "--client", node.client]);
      expect(stdout).toContain("DEGRADED: the disk has room for 3MiB, not 40MiB (--spill-size)");
      expect(await countRight(pool, count)).toBe(count);
      rmSync(`/proc/${node.pid}/root${directory}/filler`);
      await untilMax(client, (bytesMax) => bytesMax > 5 * MIB);
      const more = await fillUp(pool, count);
      expect(more).toBeGreaterThan(count + 500);
      expect(await countRight(pool, more)).toBe(more);
      expect(await node.stop()).toBe(0);
    },
    TEST_MS,
  );

  test.skipIf(lacks("prlimit"))(
    "a limit on file sizes (SIGXFSZ, EFBIG), also one that is set while the node runs",
    async () => {
      await using world = new ProcessWorld();
      const flags = [...SPILL, `--spill=${world.path("spill")}`];
      const node = await world.start("node", 0, flags, ["prlimit", `--fsize=${4 * MIB}:`]);
      const client = await world.connect(node);
      await untilMax(client, (bytesMax) => bytesMax === 4 * MIB);
      const pool = await client.newPool({ persistent: true, storeWhole: true });
      const count = await fillUp(pool);
      expect(await counter(client, "spill_bytes")).toBeGreaterThan(3 * MIB);
      expect(await counter(client, "spill_bytes")).toBeLessThanOrEqual(4 * MIB);
      // The disk is emptied first, so that the limit may be far below its former size.
      await pool.flush();
      await until("it is empty", async () => (await counter(client, "spill_bytes")) === 0);
      const limit = (fsize: string) => {
        return world.spawnCommand(["prlimit", `--pid=${node.pid}`, `--fsize=${fsize}:`]).exited;
      };
      expect(await limit(String(MIB))).toBe(0);
      const few = await fillUp(pool);
      expect(few).toBeLessThan(count);
      expect(await countRight(pool, few)).toBe(few);
      await untilMax(client, (bytesMax) => bytesMax <= MIB);
      expect(await limit(String(4 * MIB))).toBe(0);
      await untilMax(client, (bytesMax) => bytesMax > 3 * MIB);
      expect(await fillUp(pool, few)).toBeGreaterThan(few);
      expect(await node.stop()).toBe(0);
    },
    TEST_MS,
  );

  test.skipIf(lacks("prlimit"))(
    "a limit that is too low for any spill file ends the node",
    async () => {
      await using world = new ProcessWorld();
      const flags = [...SPILL, `--spill=${world.path("spill")}`];
      const node = world.startUnready("node", 0, flags, ["prlimit", "--fsize=4096:"]);
      expect(await node.child.exited).toBe(3);
      await logged(node, /files may have at most 4096 bytes: raise ulimit -f/);
    },
  );
});
