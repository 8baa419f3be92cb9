/** Unused links (links.ts): keepalives, idle times and silent peers. */
import { describe, expect, test } from "bun:test";
import { BarePeer } from "../../harness/sim/channel-pair.ts";
import { addressOf, helloBytes, LinksWorld } from "../../harness/sim/links-world.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";

describe("Links: keepalive", () => {
  test("a quiet link stays up on a few bytes, for as long as both sides live", async () => {
    const world = new LinksWorld(8);
    const settings = { unusedMs: 1_000_000 };
    const one = await world.start(1, [2], { settings });
    const two = await world.start(2, [1], { settings });
    one.links.want(2);
    world.run(600_000);
    expect(one.log).toEqual(["up 2/102"]);
    const { keepalives_sent, bytes_sent } = one.peer(2).counters;
    expect(keepalives_sent).toBeGreaterThan(50);
    expect(keepalives_sent).toBeLessThan(310);
    expect(bytes_sent).toBeLessThan(20_000);
    expect(two.peer(1).counters.idle_timeouts).toBe(0);
    await world.stop();
  });

  test("a silent peer is given up after the idle time, which is the smaller of both", async () => {
    const world = new LinksWorld(9);
    const one = await world.start(1, [2], { settings: { keepaliveMs: 100, idleMs: 1000 } });
    const two = await world.start(2, [1]);
    one.links.want(2);
    world.until(() => one.isUp(2) && two.isUp(1));
    world.network.block("host1", "host2");
    world.network.block("host2", "host1");
    one.ask(2);
    world.run(800);
    expect(one.isUp(2) && two.isUp(1)).toBe(true);
    world.run(500);
    expect(one.log.at(-1)).toBe("down 2: nothing received for 1000 ms");
    expect(two.log.at(-1)).toBe("down 1: nothing received for 1000 ms");
    expect(one.outcomes.failures).toEqual([{ context: 1, status: TRANSPORT_STATUS.DIED }]);
    expect(one.peer(2).counters.idle_timeouts).toBe(1);
    world.network.unblock("host1", "host2");
    world.network.unblock("host2", "host1");
    await world.stop();
  });

  test("a peer that asks for too many keepalives gets them at the shortest interval", async () => {
    const world = new LinksWorld(10);
    const one = await world.start(1, [2]);
    const bare = new BarePeer();
    world.network.transport("host2").connect(addressOf(1), bare);
    bare.send(helloBytes({ keepaliveMs: 0, idleMs: 0 }));
    world.run(1000);
    // The peer answers none of them, so its link ends after twice the shortest interval.
    expect(one.log).toEqual(["up 2/102", "down 2: nothing received for 20 ms"]);
    expect(one.peer(2).counters.keepalives_sent).toBeLessThan(3);
    await world.stop();
  });

  test("an unused link is closed, and dialled again when it is wanted", async () => {
    const world = new LinksWorld(5);
    const settings = { unusedMs: 10_000 };
    const one = await world.start(1, [2], { settings });
    const two = await world.start(2, [1], { settings });
    one.links.want(2);
    world.until(() => one.isUp(2));
    for (let i = 0; i < 5; i += 1) {
      world.run(8000);
      two.ask(1); // A request of either side counts as use for both.
      world.until(() => two.outcomes.count === i + 1);
    }
    expect([one.isUp(2), two.isUp(1)]).toEqual([true, true]);
    world.run(15_000);
    expect([one.isUp(2), two.isUp(1)]).toEqual([false, false]);
    expect(one.log[1]).toMatch(/^down 2: (closed by the other side: )?not used for 10000 ms$/);
    expect(one.peer(2)).toMatchObject({ state: "idle", counters: { dials: 1, idle_timeouts: 0 } });
    one.links.want(2);
    world.until(() => one.isUp(2) && two.isUp(1));
    await world.stop();
  });
});
