/**
 * Clusters of real processes: nodes find each other, choose lenders, notice who dies and who
 * leaves, and admit nobody without the key. Tests under virtual time cover gossip in detail
 * (src/cluster, node/membership).
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { Client } from "../../src/client/client.ts";
import type { PageError } from "../../src/client/errors.ts";
import { BODY_BYTES_MAX } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MEMBER_STATE } from "../../src/gossip/messages.ts";
import { encodeTags } from "../../src/gossip/serf-tags.ts";
import { encodeStream } from "../../src/gossip/stream.ts";
import { tagsOf } from "../../src/node/tags.ts";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { Detour } from "../stress/detour.ts";
import type { NodeProcess } from "./node-process.ts";
import {
  answerTo,
  counter,
  countRight,
  ended,
  fill,
  isPage,
  keys,
  logged,
  PROGRAM,
  ProcessWorld,
  until,
} from "./process-world.ts";

const TEST_MS = 60_000;
/** Three times as many pages as a node with 1 MiB keeps. */
const PAGES = 1500;
const GOSSIP = "--gossip=127.0.0.1:0";

interface Cluster {
  servers: NodeProcess[];
  node: NodeProcess;
  client: Client;
}

/** Servers that lend, and a node that knows all of them. The first server is the seed. */
async function cluster(
  world: ProcessWorld,
  serverCount: number,
  flags: readonly string[] = [],
): Promise<Cluster> {
  const seed = await world.start("server", 0, [GOSSIP, "--memory=32MiB", ...flags]);
  const join = [GOSSIP, `--join=${seed.gossip}`, ...flags];
  const servers = [seed];
  for (let i = 1; i < serverCount; i += 1) {
    servers.push(await world.start("server", i, [...join, "--memory=32MiB"]));
  }
  const node = await world.start("node", serverCount, [
    ...[...join, "--memory=1MiB", "--selfshrink=off"],
  ]);
  const client = await world.connect(node);
  await until("it knows all servers", async () => {
    return (await client.stats()).peers.length === serverCount;
  });
  return { servers, node, client };
}

async function foreignPages(world: ProcessWorld, server: NodeProcess): Promise<number> {
  return counter(await world.connect(server), "foreign_pers_pages");
}

describe("a cluster of real processes", () => {
  test(
    "nodes without numbers get one each, and pages go to all lenders",
    async () => {
      await using world = new ProcessWorld();
      const { servers, client } = await cluster(world, 3);
      const pool = await client.newPool({ persistent: true });
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      const stats = await client.stats();
      expect(new Set([stats.node.number, ...stats.peers.map((peer) => peer.node)]).size).toBe(4);
      for (const server of servers) expect(await foreignPages(world, server)).toBeGreaterThan(0);
      await pool.flush();
      for (const server of servers) {
        await until("all is flushed", async () => (await foreignPages(world, server)) === 0);
      }
    },
    TEST_MS,
  );

  test(
    "a killed node is dead, a stopped node has left, a node that returns is alive",
    async () => {
      await using world = new ProcessWorld();
      const { servers, node, client } = await cluster(world, 3);
      const [seed, killed, stopped] = servers;
      if (seed === undefined || killed === undefined || stopped === undefined) throw new Error();
      await killed.kill();
      expect(await stopped.stop()).toBe(0);
      await logged(node, /member "n2" has left/);
      await logged(node, /member "n1" is dead/);
      await until("one peer is left", async () => (await client.stats()).peers.length === 1);
      const flags = [GOSSIP, `--join=${seed.gossip}`, "--memory=32MiB"];
      await world.start("server", 1, flags);
      await until("it is known", async () => (await client.stats()).peers.length === 2);
      const pool = await client.newPool({ persistent: true });
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );

  test(
    "two halves of a cut network go on, and join again with all pages",
    async () => {
      await using world = new ProcessWorld();
      const detour = new Detour(new SeededRandom(1), { loss: 0, delayMs: 0 });
      world.onEnd(() => detour.close());
      const start = async (command: "node" | "server", number: number, flags: string[]) => {
        const way = await detour.addNode(number);
        const all = [...way.flags, ...way.gossipFlags, ...flags];
        const node = world.startUnready(command, number, all);
        detour.pids.set(number, node.pid);
        await node.ready();
        return { node, gossip: way.gossip };
      };
      const seed = await start("server", 0, ["--memory=32MiB"]);
      const join = `--join=${seed.gossip}`;
      const far = await start("server", 1, ["--memory=32MiB", join]);
      const { node } = await start("node", 2, ["--memory=1MiB", "--selfshrink=off", join]);
      const client = await world.connect(node);
      await until("it knows both", async () => (await client.stats()).peers.length === 2);
      const pool = await client.newPool({ persistent: true });
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await foreignPages(world, far.node)).toBeGreaterThan(0);

      detour.relay.partition([0, 2], [1]);
      await logged(node, /member "n1" is dead/);
      await logged(far.node, /member "n0" is dead/);
      const results = await pool.getMany(keys(PAGES)).catch((error: PageError) => error.results);
      expect(results.filter((it) => it === "unreachable").length).toBeGreaterThan(0);
      for (const [i, it] of results.entries())
        if (it !== "unreachable") expect(isPage(it, i)).toBe(true);

      detour.relay.heal();
      await logged(node, /member "n1" is dead(.|\n)*member "n1" has joined/);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );

  test(
    "a newcomer is refused for a number or name in use, and for another cluster",
    async () => {
      await using world = new ProcessWorld();
      const seed = await world.start("server", 0, [GOSSIP, "--number=5", "--memory=1MiB"]);
      const join = [GOSSIP, `--join=${seed.gossip}`];
      for (const [flags, reason] of [
        [["--number=5"], 'Cannot join the cluster: number 5 is taken by node "n0"'],
        [["--name=n0"], 'Cannot join the cluster: name "n0" is taken by another node'],
        [["--cluster=other"], '"n0" has cluster "ramster", this node has cluster "other"'],
      ] as const) {
        const late = world.startUnready("server", 9, [...join, "--memory=1MiB", ...flags]);
        await expect(late.ready()).rejects.toThrow(reason);
        expect(await late.child.exited).toBe(3);
      }
      expect((await (await world.connect(seed)).stats()).peers).toEqual([]);
    },
    TEST_MS,
  );
});

test(
  "status shows the members; get reads and set changes settings",
  async () => {
    await using world = new ProcessWorld();
    const { servers, node } = await cluster(world, 2, ["--http=127.0.0.1:0"]);
    const metrics = await (await fetch(`http://${node.http}/metrics`)).text();
    expect(metrics).toContain('ramster_members{state="alive"} 3\n');
    expect((await fetch(`http://${node.http}/readyz`)).status).toBe(200);
    const door = `--client=${node.client}`;
    const status = await world.run(["status", door]);
    expect([status.stderr, status.code]).toEqual(["", 0]);
    for (const name of ["n0", "n1", "n2"]) {
      expect(status.stdout).toMatch(new RegExp(`^\\d+ +${name} +alive `, "m"));
    }
    for (const line of status.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    const json = await world.run(["status", door, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      members: expect.arrayContaining([
        expect.objectContaining({ name: "n0", role: "server", state: "alive", lend_frames: 8192 }),
      ]),
    });
    const seed = (await world.connect(servers[0] as NodeProcess)).nodeNumber;
    const get = () => world.run(["get", "remote_target_nodenum", door]);
    expect((await get()).stdout).toBe("auto\n");
    const set = await world.run(["set", "remote_target_nodenum", `${seed}`, door]);
    expect([set.stdout, set.code]).toEqual([`${seed}\n`, 0]);
    expect((await get()).stdout).toBe(`${seed}\n`);
    const refused = await world.run(["set", "remote_target_nodenum", "77", door]);
    expect(refused.stderr).toMatch(/^ramster: Cannot set [^\n]+: it is not one of the peers\n$/);
    expect(refused.code).toBe(1);
    expect((await world.run(["get", door])).stdout).toContain("pers_remotify_enable 1\n");
    for (const words of [
      ["get", "nonsense"],
      ["set", "nonsense", "1"],
    ]) {
      const unknown = await world.run([...words, door]);
      expect(unknown.stderr).toStartWith('ramster: Cannot find setting "nonsense": ');
      expect([unknown.stdout, unknown.code]).toEqual(["", 2]);
    }
  },
  TEST_MS,
);

test("a node that waits for a cluster stops on a signal", async () => {
  await using world = new ProcessWorld();
  const flags = [GOSSIP, "--join=127.0.0.1:1", "--memory=1MiB"];
  const node = world.startUnready("node", 1, flags);
  await logged(node, /Cannot join at /);
  expect(await node.stop()).toBe(0);
});

describe("a key", () => {
  test(
    "is made once, readable by its owner alone, and secures everything",
    async () => {
      await using world = new ProcessWorld();
      const path = world.path("cluster.key");
      expect(await world.run(["keygen", `--out=${path}`])).toEqual({
        stdout:
          `the key is in "${path}": copy it to each machine of the cluster with scp -p, ` +
          "which keeps it unreadable for others\n",
        stderr: "",
        code: 0,
      });
      const printed = await world.run(["keygen"]);
      expect(parseKeyFile(printed.stdout, null).gossipKeys.length).toBe(1);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const again = await world.run(["keygen", `--out=${path}`]);
      expect([again.code, again.stderr]).toEqual([
        2,
        `ramster: Cannot use --out "${path}": the file exists, and may be somebody's key\n`,
      ]);
      const door = "--client=tcp:127.0.0.1:0";
      const { node, client } = await clusterOverTcp(world, [`--key=${path}`, door]);
      const pool = await client.newPool({ persistent: true });
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      const without = await world.run(["stats", `--client=${node.client}`]);
      expect(without.code).not.toBe(0);
      const withKey = await world.run(["stats", `--client=${node.client}`, `--key=${path}`]);
      expect([withKey.stderr, withKey.code]).toEqual(["", 0]);
    },
    TEST_MS,
  );

  test("that cannot be written completely leaves no file behind", async () => {
    await using world = new ProcessWorld();
    const path = world.path("cluster.key");
    const short = ["prlimit", "--fsize=100", ...PROGRAM, "keygen", `--out=${path}`];
    const { stderr, code } = await ended(world.spawnCommand(short));
    expect([stderr, code]).toEqual([
      `ramster: Cannot write ${JSON.stringify(path)}: EFBIG: file too large, write\n`,
      1,
    ]);
    expect(existsSync(path)).toBe(false);
  });

  test(
    "of gossip is rotated in steps while nodes run, and no node is lost",
    async () => {
      await using world = new ProcessWorld();
      const path = world.path("cluster.key");
      await world.run(["keygen", `--out=${path}`]);
      const { servers, node } = await cluster(world, 2, [`--key=${path}`]);
      const doors = [...servers, node].map((it) => `--client=${it.client}`);
      const key = (...words: string[]) => world.run(["key", ...words]);
      const [door = ""] = doors;
      const [old = ""] = (await key("list", door)).stdout.split("  encrypts\n");
      const added = (await key("add", door)).stdout.trim().split("\n");
      const fresh = added[0]?.replace("gossip-key = ", "") ?? "";
      expect(added[1]).toBe(`${old}  encrypts`);
      const print = added[2]?.replace("  new", "") ?? "";
      for (const other of doors.slice(1)) expect((await key("add", fresh, other)).code).toBe(0);
      for (const it of doors)
        expect((await key("use", print, it)).stdout).toBe(`${print}  encrypts\n${old}\n`);
      for (const it of doors)
        expect((await key("remove", old, it)).stdout).toBe(`${print}  encrypts\n`);
      const last = await key("remove", print, door);
      expect([last.code, last.stderr]).toEqual([
        1,
        "ramster: Cannot remove the key that encrypts: " + "use another key first\n",
      ]);
      // A node with only the old key is refused, a node whose file has the new one is admitted.
      const seed = servers[0] as NodeProcess;
      const flags = [GOSSIP, `--join=${seed.gossip}`, `--key=${path}`, "--memory=1MiB"];
      const late = world.startUnready("server", 8, flags);
      await logged(late, /Cannot join at /);
      await late.kill();
      writeFileSync(path, `gossip-key = ${fresh}\n${readFileSync(path, "utf8")}`);
      const client = await world.connect(await world.start("server", 9, flags));
      await until("it knows all", async () => (await client.stats()).peers.length === 3);
    },
    TEST_MS,
  );

  test(
    "that differs admits nobody, and both sides log that",
    async () => {
      await using world = new ProcessWorld();
      for (const name of ["a", "b"]) {
        await world.run(["keygen", `--out=${world.path(name)}`]);
      }
      const ours = `--key=${world.path("a")}`;
      const seed = await world.start("server", 0, [GOSSIP, ours, "--memory=1MiB"]);
      const join = [GOSSIP, `--join=${seed.gossip}`, "--memory=1MiB"];
      for (const key of [[`--key=${world.path("b")}`], []]) {
        const late = world.startUnready("server", 1, [...join, ...key]);
        const hint = key.length === 0 ? "this node has no --key" : "its gossip key";
        await logged(late, new RegExp(`Cannot join at .*${hint}`));
        await late.kill();
      }
      await logged(
        seed,
        /Cannot read gossip from .*no gossip key of this node fits|it is not encrypted/,
      );
      expect((await (await world.connect(seed)).stats()).peers).toEqual([]);
    },
    TEST_MS,
  );

  test.each([
    ["other users can read it", (path: string) => chmodSync(path, 0o644)],
    ["it is not a key file", (path: string) => Bun.write(path, "hello")],
  ])("file is refused when %s", async (reason, spoil) => {
    await using world = new ProcessWorld();
    const path = world.path("key");
    await world.run(["keygen", `--out=${path}`]);
    await spoil(path);
    const { stderr, code } = await world.run(["node", `--key=${path}`]);
    expect(stderr).toStartWith(`ramster: Cannot use --key "${path}": ${reason}`);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect(code).toBe(2);
    expect(readFileSync(path, "utf8").length).toBeGreaterThan(0);
  });

  test("is needed where others can connect, unless --insecure is given", async () => {
    await using world = new ProcessWorld();
    const flags = ["--number=1", "--gossip=none", "--listen=0.0.0.0:0"];
    const { stderr, code } = await world.run(["node", ...flags]);
    expect([stderr, code]).toEqual([
      'ramster: Cannot use --listen "0.0.0.0:0": other machines can connect there, use --key, ' +
        "or --insecure\n",
      2,
    ]);
    await world.start("node", 1, ["--listen=0.0.0.0:0", "--insecure"]);
  });
});

/** Like `cluster` with one server, but with client doors on TCP, which need the key. */
async function clusterOverTcp(world: ProcessWorld, flags: readonly string[]) {
  const seed = await world.start("server", 0, [GOSSIP, "--memory=32MiB", ...flags]);
  const more = [`--join=${seed.gossip}`, "--memory=1MiB", "--selfshrink=off"];
  const node = await world.start("node", 1, [GOSSIP, ...more, ...flags]);
  const client = await world.connect(node, 30_000, readFileSync(world.path("cluster.key"), "utf8"));
  await until("it knows the server", async () => (await client.stats()).peers.length === 1);
  return { node, client };
}

test(
  "a node that knows a thousand members with long names lists all of them",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, [GOSSIP, "--memory=1MiB"]);
    const client = await world.connect(node);
    const names = Array.from({ length: 1020 }, (_, i) => `${i}-${'"'.repeat(120)}`);
    for (let from = 0; from < names.length; from += 250) {
      await sendMembers(node.gossip, names.slice(from, from + 250));
    }
    const { members, peers } = await client.stats();
    expect(members.map((member) => member.name).sort()).toEqual(["n1", ...names].sort());
    expect(peers).toEqual([]);
    const { code } = await world.run(["status", `--client=${node.client}`]);
    expect(code).toBe(0);
    expect(JSON.stringify(members).length).toBeGreaterThan(BODY_BYTES_MAX);
  },
  TEST_MS,
);

/** Sends all members, as a joining node does. Resolves once the node has answered. */
async function sendMembers(gossip: string, names: readonly string[]): Promise<void> {
  const vsn = [2, 5, 5, 2, 5, 4] as const;
  const addr = Uint8Array.from([127, 0, 0, 1]);
  const counts = {
    lendFrames: 0,
    freeFrames: 0,
    grantedFrames: 0,
    foreignPages: 0,
    ownFrames: 0,
    pressure: 0,
    codecs: 127,
    isDrained: false,
  };
  const facts = { ...counts, number: null, claim: null, page: null, zone: null, target: "none" };
  const cluster = '"'.repeat(330); // Twice as long as JSON.
  const tags = tagsOf({ ...facts, role: "node", protocol: 1, bootId: 1n, cluster });
  const meta = encodeTags(tags);
  const members = names.map((name) => ({
    name,
    addr,
    port: 9,
    incarnation: 1,
    state: MEMBER_STATE.ALIVE,
    vsn,
    meta,
  }));
  const options = { keyring: null, label: "" };
  const userState = new Uint8Array(0);
  await answerTo(
    gossip,
    encodeStream({ kind: "push-pull", members, userState, join: true }, options, "dialled"),
  );
}
