/** A node with few file descriptors, while strangers hold more connections than it may have. */
import { expect, test } from "bun:test";
import { parseAddress, type TcpAddress } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { NO_EVENTS } from "../../src/net/transport.ts";
import { Crowd } from "../hostile/crowd.ts";
import { logged, ProcessWorld, until } from "./process-world.ts";

const DESCRIPTORS = 128;
const transport = new BunTransport();

test("a node short of descriptors serves clients and peers, and logs that it refuses others", async () => {
  await using world = new ProcessWorld();
  const path = world.path("nbd");
  const flags = [
    "--gossip=127.0.0.1:0",
    `--nbd=unix:${path}`,
    "--nbd=127.0.0.1:0",
    "--export=a=1MiB",
    `--client=unix:${world.path("c")}`,
    "--client=127.0.0.1:0",
    "--no-swap",
  ];
  const limit = ["prlimit", `--nofile=${DESCRIPTORS}`];
  const node = await world.start("node", 1, flags, limit);
  const ports = `${node.listen},${node.gossip},${node.client},${node.nbd}`.split(",");
  const addresses = ports.map(parseAddress).filter((it): it is TcpAddress => it.kind === "tcp");
  expect(addresses).toHaveLength(4);
  const crowds = addresses.map((address) => new Crowd(transport, address, DESCRIPTORS));
  for (const door of ["peer port", "client door", "NBD port"]) {
    await logged(node, new RegExp(`Too many connections at the ${door}`));
  }
  await logged(node, /Too many connections at the gossip port/);
  let greeting = "";
  const client = transport.connect(
    { kind: "unix", path },
    { ...NO_EVENTS, onData: (_stream, bytes) => (greeting += new TextDecoder().decode(bytes)) },
  );
  await until("an NBD client is greeted", () => greeting.startsWith("NBDMAGIC"));
  const other = await world.start("server", 2, ["--gossip=127.0.0.1:0", `--join=${node.gossip}`]);
  await logged(other, /link to "\w+" is up|member "n1" has joined/);
  client.terminate();
  for (const crowd of crowds) crowd.stop();
});
