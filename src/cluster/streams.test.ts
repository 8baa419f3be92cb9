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
