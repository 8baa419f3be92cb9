/** The gossip key of a cluster of real processes is replaced from one machine. */
import { expect, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import type { NodeProcess } from "./node-process.ts";
import { ProcessWorld, until } from "./process-world.ts";

const TEST_MS = 60_000;
const GOSSIP = "--gossip=127.0.0.1:0";
const NAMES = ["n0", "n1", "n2"] as const;

/** Three nodes, each with a key file of its own machine. */
async function startCluster(world: ProcessWorld): Promise<NodeProcess[]> {
  const first = world.path("key");
  expect((await world.run(["keygen", `--out=${first}`])).code).toBe(0);
  const nodes: NodeProcess[] = [];
  for (const [i, name] of NAMES.entries()) {
    copyFileSync(first, world.path(`${name}.key`));
    nodes.push(await startNode(world, i, nodes[0]));
  }
  const [door = ""] = nodes.map((it) => it.client);
  await until("all have joined", async () => {
    const { stdout } = await world.run(["status", "--json", "--client", door]);
    return JSON.parse(stdout).members.length === NAMES.length;
  });
  return nodes;
}

function startNode(world: ProcessWorld, i: number, seed?: NodeProcess, gossip = GOSSIP) {
  const join = seed === undefined ? [] : [`--join=${seed.gossip}`];
  const key = `--key=${world.path(`n${i}.key`)}`;
  return world.start("server", i, [gossip, "--network=local", "--memory=1MiB", key, ...join]);
}

/** Puts the line before the other keys of a file, as a person would. */
function writeKey(world: ProcessWorld, name: string, line: string): void {
  const path = world.path(`${name}.key`);
  writeFileSync(path, readFileSync(path, "utf8").replace("gossip-key", `${line}\ngossip-key`));
}

async function fingerprints(world: ProcessWorld, node: NodeProcess): Promise<string[]> {
  const { stdout } = await world.run(["key", "list", "--json", "--client", node.client]);
  return JSON.parse(stdout).keys.map((it: { fingerprint: string }) => it.fingerprint);
}

test(
  "key rotate walks through a rotation, and goes on after it was stopped and a node restarted",
  async () => {
    await using world = new ProcessWorld();
    const nodes = await startCluster(world);
    const [a, b, c] = nodes as [NodeProcess, NodeProcess, NodeProcess];
    const [old = ""] = await fingerprints(world, a);

    const stopped = world.spawn(["key", "rotate", "--client", a.client]);
    const reader = stopped.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("waiting for")) text += (await reader.read()).value;
    const [line = "", is = ""] = text.split("\n");
    expect(line).toStartWith("gossip-key = ");
    const key = is.replace("the new key is ", "");
    expect(text).toContain('waiting for the key files of: "n0", "n1", "n2"\n');
    expect(await fingerprints(world, c)).toEqual([old, key]);
    stopped.kill("SIGINT");
    expect(await stopped.exited).toBe(1);
    expect(await stopped.stderr.text()).toBe(
      "ramster: Cannot rotate the gossip key: stopped by SIGINT; " +
        `ramster key rotate ${key} goes on from here\n`,
    );

    // A node that restarts with the old file lacks the new key.
    for (const name of ["n0", "n1"]) writeKey(world, name, line);
    const { gossip } = c;
    c.kill();
    await c.child.exited;
    nodes[2] = await startNode(world, 2, a, `--gossip=${gossip}`);
    const fresh = await world.run(["key", "rotate", "--client", b.client]);
    expect([fresh.code, fresh.stdout]).toEqual([1, ""]);
    expect(fresh.stderr).toContain(`members have 2 keys, ${old} ("n0", "n1", "n2", encrypts); `);
    const again = world.spawn(["key", "rotate", key, "--client", b.client]);
    const lines = again.stdout.pipeThrough(new TextDecoderStream()).getReader();
    text = "";
    while (!text.includes("waiting for")) text += (await lines.read()).value;
    expect(text).toStartWith(`${line}\ngoes on with the key ${key}, which "n0", "n1" have\n`);
    expect(text).toContain('waiting for the key files of: "n2"\n');
    writeKey(world, "n2", line);
    for (let part = await lines.read(); !part.done; part = await lines.read()) text += part.value;
    expect(await again.exited).toBe(0);
    expect(text).toEndWith(
      `done: 3 members use the key ${key}, and no other\n` +
        'remove the other gossip-key lines from: "n0", "n1", "n2"\n',
    );
    for (const node of nodes) expect(await fingerprints(world, node)).toEqual([key]);
  },
  TEST_MS,
);

test("key rotate needs gossip with a key", async () => {
  await using world = new ProcessWorld();
  const alone = await world.start("node", 1);
  const { stderr, code } = await world.run(["key", "rotate", "--client", alone.client]);
  expect([stderr, code]).toEqual([
    "ramster: Cannot rotate the gossip key: this node does not gossip\n",
    1,
  ]);
});

test(
  "a key that comes through a pipe is rotated, and no question about it waits for the pipe",
  async () => {
    await using world = new ProcessWorld();
    const file = world.path("key");
    const pipe = world.path("pipe");
    expect((await world.run(["keygen", `--out=${file}`])).code).toBe(0);
    expect(Bun.spawnSync(["mkfifo", "-m", "600", pipe]).success).toBe(true);
    const starting = world.start("node", 1, [GOSSIP, `--key=${pipe}`, "--memory=1MiB"]);
    writeFileSync(pipe, readFileSync(file));
    const { client } = await starting;
    const reload = await world.run(["key", "reload", "--client", client]);
    expect([reload.code, reload.stderr]).toEqual([
      1,
      `ramster: Cannot reload the key: it is no regular file, which cannot be read again\n`,
    ]);
    const { code, stdout } = await world.run(["key", "rotate", "--client", client]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^gossip-key = .+\nthe new key is .+\nthe key files of "n1" cannot be seen .+\ndone: 1 member/,
    );
  },
  TEST_MS,
);

test(
  "two rotations at the same time, from two nodes, do not both end",
  async () => {
    await using world = new ProcessWorld();
    const nodes = await startCluster(world);
    const [a, b] = nodes as [NodeProcess, NodeProcess];
    const rotations = [a, b].map(({ client }) => world.run(["key", "rotate", "--client", client]));
    // A person serves the rotation that goes on, if one does.
    const ended = await Promise.race(rotations);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/got the key \w+ meanwhile|members have \d keys/);
  },
  TEST_MS,
);
