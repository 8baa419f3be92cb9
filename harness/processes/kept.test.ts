/** A node that keeps its memory (--keep): what a crash leaves, and what is refused. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { parseAddress } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { killNode } from "../kept/kills.ts";
import { BareClient, BLOCK_STATUS, READ, TRIM, WRITE } from "../nbd/bare-client.ts";
import type { NodeProcess } from "./node-process.ts";
import { logged, ProcessWorld } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const isRoot = process.getuid?.() === 0;
const lacks = (tool: string) => !areToolsRequired && which(tool) === null;
const KILLS = 5;
const TEST_MS = 60_000;

/** A folder on tmpfs, gone at the end of the world. */
function tmpfsFolder(world: ProcessWorld): string {
  const folder = mkdtempSync("/dev/shm/ramster-test-");
  world.onEnd(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "kept");
}

async function connectTo(node: NodeProcess): Promise<BareClient> {
  const client = new BareClient();
  new BunTransport().connect(parseAddress(node.nbd), client);
  await client.negotiate({ form: "structured", name: "a" });
  return client;
}

describe("a node that keeps its memory", () => {
  test.each([
    ["alone", "32MiB", 0, false],
    ["with most pages at two lenders, sealed", "4MiB", 2, false],
    ["with a standby that takes over, and two lenders", "8MiB", 2, true],
  ])(
    "has every page that it had acknowledged, after each kill: %s",
    async (_, memory, lenders, standby) => {
      await using world = new ProcessWorld();
      const holders: NodeProcess[] = [];
      for (let number = 2; number < 2 + lenders; number += 1) {
        holders.push(await world.start("server", number, ["--memory=64MiB"]));
      }
      const peers = holders.map(({ number, listen }) => `${number}@${listen}`);
      const folder = tmpfsFolder(world);
      const flags = [`--memory=${memory}`, "--seal"];
      if (peers.length > 0) flags.push(`--peers=${peers.join(",")}`);
      const random = new SeededRandom(lenders + 1);
      const what = { kills: KILLS, exportMib: 32, flags, folder, standby };
      const result = await killNode(world, { ...what, random, lenders: holders });
      expect(result.answered).toBeGreaterThan(100);
      expect(existsSync(folder)).toBe(false);
    },
    TEST_MS,
  );

  test("knows which pages of an export are there, and frees them on TRIM", async () => {
    await using world = new ProcessWorld();
    const nbd = `--nbd=unix:${world.path("nbd.sock")}`;
    const flags = [`--keep=${tmpfsFolder(world)}`, "--memory=8MiB", nbd, "--export=a=64MiB"];
    const first = await world.start("node", 1, [...flags, "--no-swap"]);
    const [offset, length] = [40 * 2 ** 20, PAGE_BYTES];
    const before = await connectTo(first);
    const data = new Uint8Array(PAGE_BYTES).fill(7);
    expect((await before.ask({ type: WRITE, offset, length, data })).error).toBe(0);
    await first.kill();
    const second = await world.start("node", 1, [...flags, "--no-swap"]);
    const client = await connectTo(second);
    const range = { offset: offset - PAGE_BYTES, length: 3 * PAGE_BYTES };
    // A hole, the page, and a hole.
    expect((await client.ask({ type: BLOCK_STATUS, ...range })).extents).toEqual([
      [PAGE_BYTES, 3],
      [PAGE_BYTES, 0],
      [PAGE_BYTES, 3],
    ]);
    expect((await client.ask({ type: READ, offset, length })).data).toEqual(data);
    expect((await client.ask({ type: TRIM, ...range })).error).toBe(0);
    expect((await client.ask({ type: READ, offset, length })).data).toEqual(data.fill(0));
    client.stream?.terminate();
    expect(await second.stop()).toBe(0);
  });

  // A mount of its own is tested in a guest: harness/guest/killed-node.sh.
  test.skipIf(!isRoot || lacks("unshare"))(
    "with --keep auto is in /dev/shm where its mount would not outlive it",
    async () => {
      await using world = new ProcessWorld();
      const name = `test-${process.pid}`;
      const nbd = `--nbd=unix:${world.path("nbd.sock")}`;
      const flags = ["--keep=auto", `--name=${name}`, "--memory=8MiB", "--no-swap", nbd];
      const under = ["unshare", "-m"];
      const start = () => world.start("node", 1, [...flags, "--export=a=16MiB"], under);
      const first = await start();
      const data = new Uint8Array(PAGE_BYTES).fill(7);
      const before = await connectTo(first);
      expect((await before.ask({ type: WRITE, offset: 0, length: 4096, data })).error).toBe(0);
      const folder = `/dev/shm/ramster-keep-0-${name}`;
      expect(existsSync(folder)).toBe(true);
      await first.kill();
      const second = await start();
      const client = await connectTo(second);
      expect((await client.ask({ type: READ, offset: 0, length: 4096 })).data).toEqual(data);
      client.stream?.terminate();
      expect(await second.stop()).toBe(0);
      expect(existsSync(folder)).toBe(false);
    },
    TEST_MS,
  );

  test("says what it took over, and drops pools of programs", async () => {
    await using world = new ProcessWorld();
    const flags = [`--keep=${tmpfsFolder(world)}`, "--memory=8MiB"];
    const first = await world.start("node", 1, flags);
    const client = await world.connect(first);
    const pool = await client.newPool({ persistent: true });
    await pool.put({ oid: [1n, 2n, 3n], index: 4 }, new Uint8Array(4096).fill(7));
    await first.kill();
    const second = await world.start("node", 1, flags);
    await logged(second, /took over 1 pages of the previous process, 0 of them lost/);
    await logged(second, /dropped 1 pages of programs: their pools ended/);
    expect(await second.stop()).toBe(0);
  });
});

describe("what a node cannot keep memory in", () => {
  /** Starts a node that does not become ready. @returns its exit code, and its error. */
  async function refused(world: ProcessWorld, flags: readonly string[]): Promise<string> {
    const alone = ["--listen=127.0.0.1:0", "--gossip=none", "--client=none", "--codec=wasm"];
    const numbered = flags.some((flag) => flag.startsWith("--number=")) ? [] : ["--number=1"];
    const { code, stderr } = await world.run(["node", ...alone, ...numbered, ...flags]);
    // Log lines, such as that it took pages over, may come before.
    return `${code} ${stderr.trim().split("\n").at(-1) ?? ""}`;
  }

  test("a folder that another node uses, that is on a disk, or that others may read", async () => {
    await using world = new ProcessWorld();
    const folder = tmpfsFolder(world);
    const node = await world.start("node", 1, [`--keep=${folder}`, "--memory=8MiB"]);
    expect(await refused(world, [`--keep=${folder}`])).toContain(
      "3 ramster: Cannot keep memory in",
    );
    expect(await refused(world, [`--keep=${folder}`])).toContain("another node uses it");
    expect(await node.stop()).toBe(0);

    const onDisk = join(import.meta.dirname, "kept-on-disk");
    expect(await refused(world, [`--keep=${onDisk}`])).toContain("it is not on tmpfs");
    expect(existsSync(onDisk)).toBe(false);

    mkdirSync(folder);
    chmodSync(folder, 0o755);
    expect(await refused(world, [`--keep=${folder}`])).toContain("with mode 0700");
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    expect(await refused(world, [`--keep=${folder}`])).toContain("it is not a folder");
    expect(await refused(world, [`--keep=${folder}/a/b`])).toContain("it cannot be made");
  });

  test("memory of other settings, which stays as it is", async () => {
    await using world = new ProcessWorld();
    const folder = tmpfsFolder(world);
    const nbd = `--nbd=unix:${world.path("nbd.sock")}`;
    const given = [`--keep=${folder}`, "--memory=8MiB", nbd, "--export=a=16MiB", "--no-swap"];
    const first = await world.start("node", 1, given);
    await first.kill();
    const with_ = (from: string, to: string): string[] => {
      return given.map((flag) => flag.replace(from, to));
    };
    const smaller = await refused(world, with_("a=16MiB", "a=8MiB"));
    expect(smaller).toContain(
      'export "a" had 16MiB: give it as much, or remove the folder of --keep',
    );
    const larger = await refused(world, with_("=8MiB", "=16MiB"));
    expect(larger).toContain("its region frames has another length: start the node with --memory");
    const other = await refused(world, ["--number=2", ...given]);
    expect(other).toContain("it is that of node 1, and this is node 2");
    const second = await world.start("node", 1, given);
    await logged(second, /took over 0 pages/);
    expect(await second.stop()).toBe(0);
    expect(existsSync(folder)).toBe(false);
  });

  test("zbud, and a server", async () => {
    await using world = new ProcessWorld();
    const folder = tmpfsFolder(world);
    const zbud = await refused(world, [`--keep=${folder}`, "--placement=zbud"]);
    expect(zbud).toContain("2 ramster: Cannot use --keep");
    expect(zbud).toContain("it needs --placement blocks");
    const { code } = await world.run(["server", `--keep=${folder}`]);
    expect(code).toBe(2);
    expect(existsSync(folder)).toBe(false);
  });

  test.skipIf(!isRoot || lacks("unshare"))("a tmpfs that is too small", async () => {
    await using world = new ProcessWorld();
    const mount = world.path("small");
    mkdirSync(mount);
    const shell = `mount -t tmpfs -o size=4m,mode=0700 none ${mount} && exec "$@"`;
    const under = ["unshare", "-m", "sh", "-c", shell, "sh"];
    const flags = ["--insecure", "--memory=8MiB", `--keep=${mount}/kept`];
    const node = world.startUnready("node", 1, flags, under);
    expect(await node.child.exited).toBe(3);
    await logged(node, /its tmpfs has \dMiB left, and 8MiB are needed/);
  });

  test("a folder of a node that never was ready is used again", async () => {
    await using world = new ProcessWorld();
    const folder = tmpfsFolder(world);
    const given = [`--keep=${folder}`, "--memory=8MiB"];
    const first = await world.start("node", 1, given);
    await first.kill();
    for (const name of readdirSync(folder)) if (name === "header") rmSync(join(folder, name));
    const second = await world.start("node", 1, given);
    expect(second.stderr.join("\n")).not.toContain("took over");
    expect(await second.stop()).toBe(0);
  });
});
