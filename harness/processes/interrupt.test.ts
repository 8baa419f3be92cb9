/** Signals to a node whose export is in use, with a client in the place of the kernel. */
import { expect, test } from "bun:test";
import { parseAddress } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { BareClient } from "../nbd/bare-client.ts";
import { logged, ProcessWorld } from "./process-world.ts";

const TEST_MS = 60_000;
const FLAGS = ["--memory=1MiB", "--export=swap=8MiB", "--no-swap"];

async function nodeInUse(world: ProcessWorld) {
  const nbd = `unix:${world.path("nbd.sock")}`;
  const node = await world.start("node", 1, [...FLAGS, `--nbd=${nbd}`]);
  const client = new BareClient();
  new BunTransport().connect(parseAddress(nbd), client);
  await client.negotiate({ form: "simple", name: "swap" });
  return { node, client };
}

test(
  "the first Ctrl-C is answered, and the second one ends the node",
  async () => {
    await using world = new ProcessWorld();
    const { node, client } = await nodeInUse(world);
    node.child.kill("SIGINT");
    await logged(node, /Export "swap" is in use: run ramster swap off first\. Press Ctrl-C again/);
    expect((await client.ask({ type: 0, offset: 0, length: 4096 })).error).toBe(0);
    node.child.kill("SIGINT");
    expect(await node.child.exited).toBe(0);
    expect(client.isClosed).toBe(true);
  },
  TEST_MS,
);

test(
  "SIGTERM ends the node, with a warning",
  async () => {
    await using world = new ProcessWorld();
    const { node } = await nodeInUse(world);
    node.child.kill("SIGTERM");
    await logged(node, /Export "swap" is in use: its pages are lost with this node/);
    expect(await node.child.exited).toBe(0);
  },
  TEST_MS,
);

test(
  "a Ctrl-C ends a node whose client has left",
  async () => {
    await using world = new ProcessWorld();
    const { node, client } = await nodeInUse(world);
    client.stream?.end();
    await logged(node, /disconnected from export "swap"/);
    node.child.kill("SIGINT");
    expect(await node.child.exited).toBe(0);
  },
  TEST_MS,
);
