import { expect, test } from "bun:test";
import { GossipWorld } from "../../harness/sim/gossip-world.ts";
import { GOSSIP_STREAMS_MAX } from "../core/limits.ts";
import { NO_EVENTS } from "../net/transport.ts";

test("the oldest silent strangers are closed, so that a node can join", async () => {
  const world = new GossipWorld();
  await world.grow(1);
  let closed = 0;
  const silent = (host: string): void => {
    const onClose = (): void => {
      closed += 1;
    };
    const events = { ...NO_EVENTS, onClose };
    world.network.transport(host).connect(world.node(0).address, events);
  };
  for (let i = 0; i < 2 * GOSSIP_STREAMS_MAX; i += 1) silent(`stranger${i}`);
  world.run(100);
  expect(closed).toBe(GOSSIP_STREAMS_MAX);
  await world.grow(1);
  expect(world.node(0).alive()).toEqual(["n0", "n1"]);
  const { notices } = world.node(0);
  expect(notices.filter((it) => it.includes("Too many connections"))).toHaveLength(1);
  await world.stop();
});

test.each([
  ["with TLS", [21, 3, 3, 0, 2, 2, 10]],
  ["without TLS", [0x52, 0x4d, 1, 0, 0, 0, 0]],
])("what a page port %s answers is reported with the port that --join takes", async (_, bytes) => {
  const world = new GossipWorld();
  await world.grow(1);
  const address = { kind: "tcp", host: "pages", port: 7777 } as const;
  await world.network.transport("pages").listen(address, () => ({
    ...NO_EVENTS,
    onOpen: (stream) => void stream.write(Uint8Array.from(bytes), 0, bytes.length),
  }));
  const { failures } = await world.wait(world.node(0).cluster.join([address]));
  expect(failures).toEqual([
    "pages:7777: no gossip is there: --join takes the gossip port, 7946 by default",
  ]);
  await world.stop();
});
