import { describe, expect, test } from "bun:test";
import { GossipWorld } from "../../harness/sim/gossip-world.ts";
import { pushPullMs, retransmitLimit, suspicionMinMs } from "./settings.ts";

const SEEDS = [1, 2, 3, 4, 5];

describe("join", () => {
  test("through one seed all know all", async () => {
    for (const seed of SEEDS) {
      const world = new GossipWorld({ seed });
      await world.grow(8);
      world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
      expect(world.node(3).events.filter((it) => it.startsWith("join")).length).toBe(7);
      await world.stop();
    }
  });

  test("encrypted, and nobody without the key", async () => {
    const keys = [new Uint8Array(32).fill(7)];
    const world = new GossipWorld({ keys });
    await world.grow(4);
    world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
    const stranger = new GossipWorld({ keys: [] });
    expect(stranger.keys).toEqual([]);
    await world.stop();
  });

  test("64 nodes agree", async () => {
    const world = new GossipWorld();
    await world.grow(64);
    world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
    await world.stop();
  });
});

describe("death", () => {
  test("a node that crashes is dead for all within six seconds, and nobody else is", async () => {
    for (const seed of SEEDS) {
      const world = new GossipWorld({ seed });
      await world.grow(8);
      world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
      world.node(5).crash();
      const rest = world.nodes.filter((node) => node !== world.node(5));
      const isGone = (): boolean => rest.every((node) => node.member("n5")?.state === "dead");
      expect(world.until("it is dead", isGone, 20_000)).toBeLessThan(6000);
      expect(world.agreeOn(rest)).toBe(true);
      await world.stop();
    }
  });

  test("one that comes back is taken back at once, with what it says now", async () => {
    const world = new GossipWorld();
    await world.grow(5);
    world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
    const back = world.node(4);
    back.crash();
    world.run(100); // Nobody has noticed yet.
    await back.restart([world.node(0)]);
    const isKnown = () => world.nodes.every((node) => node.member("n4")?.tags.get("boot") === "2");
    expect(world.until("its second boot is known", isKnown, 5000)).toBeLessThan(2000);
    expect(world.node(1).events.some((it) => it.startsWith("leave"))).toBe(false);
    back.crash();
    world.until("it is dead", () => world.node(1).member("n4")?.state === "dead", 20_000);
    await back.restart([world.node(0)]);
    expect(world.until("all know all", () => world.agreeOn(world.nodes), 5000)).toBeLessThan(2000);
    await world.stop();
  });

  test("one that leaves has left, and is not dead", async () => {
    const world = new GossipWorld();
    await world.grow(5);
    world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
    await world.wait(world.node(2).cluster.leave());
    const rest = world.nodes.filter((node) => node !== world.node(2));
    world.until("it is gone", () => world.agreeOn(rest), 5000);
    for (const node of rest) expect(node.events.at(-1)).toBe("leave n2 left");
    await world.stop();
  });
});

test("a partition heals by itself, also after a minute", async () => {
  for (const seed of SEEDS) {
    const world = new GossipWorld({ seed });
    await world.grow(6);
    world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
    const halves = [world.nodes.slice(0, 3), world.nodes.slice(3)] as const;
    const each = (what: (from: string, to: string) => void): void => {
      for (const a of halves[0]) {
        for (const b of halves[1]) {
          what(a.host, b.host);
          what(b.host, a.host);
        }
      }
    };
    each((from, to) => world.network.block(from, to));
    const apart = () => world.agreeOn(halves[0]) && world.agreeOn(halves[1]);
    world.until("each half is alone", apart, 60_000);
    world.run(60_000);
    each((from, to) => world.network.unblock(from, to));
    world.until("all know all", () => world.agreeOn(world.nodes), 60_000);
    await world.stop();
  }
});

test("a path that works one way only kills nobody: others vouch", async () => {
  const world = new GossipWorld();
  await world.grow(5);
  world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
  world.network.block(world.node(1).host, world.node(2).host);
  world.run(60_000);
  expect(world.nodes.flatMap((node) => node.events).filter((it) => /leave/.test(it))).toEqual([]);
  await world.stop();
});

test("five percent of loss and pauses of 200 ms kill nobody in ten minutes", async () => {
  const world = new GossipWorld({ network: { lossPercent: 5 } });
  await world.grow(8);
  world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
  for (let second = 0; second < 600; second += 1) {
    world.node(second % 8).pauses.pause(200);
    world.run(1000);
  }
  expect(world.nodes.flatMap((node) => node.events).filter((it) => /leave/.test(it))).toEqual([]);
  await world.stop();
});

test("what was said before, said again, changes nothing", async () => {
  const world = new GossipWorld();
  const packets: Array<{ bytes: Uint8Array; to: number }> = [];
  await world.grow(4);
  const spy = await world.network
    .transport("spy")
    .bind({ kind: "tcp", host: "10.9.9.9", port: 1 }, () => {});
  world.network.datagrams.onSend = (bytes, to) => {
    const index = world.nodes.findIndex((node) => node.host === to.host);
    packets.push({ bytes: bytes.slice(), to: index });
  };
  world.until("all know all", () => world.agreeOn(world.nodes), 10_000);
  world.run(5000);
  world.node(3).crash();
  world.until("it is dead", () => world.node(0).member("n3")?.state === "dead", 20_000);
  world.run(5000);
  world.network.datagrams.onSend = null;
  const before = world.node(0).events.length;
  for (const { bytes, to } of packets) {
    if (to === 0) spy.send(bytes, bytes.byteLength, world.node(0).address);
  }
  world.run(5000);
  expect(packets.length).toBeGreaterThan(50);
  expect(world.node(0).events.slice(before)).toEqual([]);
  expect(world.node(0).member("n3")?.state).toBe("dead");
  spy.close();
  await world.stop();
});

test("formulas are memberlist's", async () => {
  const { settings } = new GossipWorld();
  expect([1, 8, 100, 1000].map((n) => suspicionMinMs(settings, n))).toEqual([
    2000, 2000, 4000, 6000,
  ]);
  expect([1, 9, 10, 99, 1024].map((n) => retransmitLimit(settings, n))).toEqual([4, 4, 8, 8, 16]);
  expect([1, 32, 33, 64, 65, 1024].map((n) => pushPullMs(settings, n) / 30_000)).toEqual([
    1, 1, 2, 2, 3, 6,
  ]);
});
