import { describe, expect, test } from "bun:test";
import { BarePeer, frameBytes } from "../../harness/sim/channel-pair.ts";
import { addressOf, helloBytes, LinksWorld } from "../../harness/sim/links-world.ts";
import { HANDSHAKES_MAX } from "../core/admission-limits.ts";
import { NODES_MAX } from "../core/limits.ts";
import { type Hello, ROLE } from "../wire/handshake.ts";
import { MESSAGE } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

describe("Links.want()", () => {
  test("dials, says hello both ways, and reports the link up on both sides", async () => {
    const world = new LinksWorld(1);
    const one = await world.start(1, [2]);
    const two = await world.start(2, [1]);
    expect(one.peer(2).state).toBe("idle");
    one.links.want(2);
    world.until(() => one.isUp(2) && two.isUp(1));
    expect([one.log, two.log]).toEqual([["up 2/102"], ["up 1/101"]]);
    expect(one.peer(2)).toMatchObject({ state: "up", name: "n2", address: "host2:7777" });
    one.ask(2);
    two.ask(1);
    world.until(() => one.outcomes.count + two.outcomes.count === 2);
    expect([one.requests, two.requests]).toEqual([[2], [1]]);
    expect(one.peer(2).counters.bytes_sent).toBe(two.peer(1).counters.bytes_received);
    await world.stop();
  });

  test("redials with back-off while wanted, logs that once, and gives up on unwant()", async () => {
    const world = new LinksWorld(2);
    const one = await world.start(1, [2]);
    one.links.want(2);
    world.run(10_000);
    const { dials, dials_failed } = one.peer(2).counters;
    // 50 ms doubled to 1 s: about 5 on the way up, then one in 0.5 to 1 s.
    expect(dials).toBeGreaterThan(12);
    expect(dials).toBeLessThan(28);
    expect(dials_failed).toBeGreaterThanOrEqual(dials - 1);
    expect(one.notices).toEqual(['Cannot link to node 2 at "host2:7777": connection refused']);
    expect(one.peer(2)).toMatchObject({ state: "waiting", failure: "connection refused" });
    one.links.unwant(2);
    world.run(10_000);
    expect(one.peer(2).counters.dials).toBeLessThanOrEqual(dials + 1);
    expect(one.peer(2).state).toBe("idle");

    one.links.want(2);
    const two = await world.start(2, [1]);
    world.until(() => one.isUp(2) && two.isUp(1), 4000);
    expect(one.peer(2).failure).toBe("");
    await world.stop();
  });

  test("an address that is set later, or changed, is used", async () => {
    const world = new LinksWorld(3);
    const one = await world.start(1, []);
    await world.start(2, [1]);
    one.links.setPeer(2, { kind: "tcp", host: "host2", port: 1 });
    one.links.want(2);
    world.run(1000);
    expect(one.isUp(2)).toBe(false);
    one.links.setPeer(2, addressOf(2));
    world.until(() => one.isUp(2), 4000);
    await world.stop();
  });

  test("forgetFailures() dials again without the back-off of earlier failures", async () => {
    const world = new LinksWorld(6);
    const one = await world.start(1, [2]);
    one.links.want(2);
    world.run(10_000);
    await world.start(2, [1]);
    one.links.forgetFailures(2);
    world.until(() => one.isUp(2), 20);
    await world.stop();
  });

  test("a connect without an answer is given up at the handshake deadline", async () => {
    const world = new LinksWorld(4);
    const one = await world.start(1, [2], { settings: { handshakeMs: 500 } });
    await world.start(2, [1]);
    world.network.block("host2", "host1");
    one.links.want(2);
    world.run(600);
    expect(one.peer(2).counters.dials_failed).toBe(1);
    expect(one.notices).toEqual([
      'Cannot link to node 2 at "host2:7777": no connection within 500 ms',
    ]);
    world.network.unblock("host2", "host1");
    world.until(() => one.isUp(2));
    await world.stop();
  });
});

describe("Links: two dial at once", () => {
  for (const seed of SEEDS) {
    for (const [first, second] of [
      [1, 2],
      [2, 1],
    ] as const) {
      test(`node ${first} first, seed ${seed}: one link, and nothing on it is lost`, async () => {
        const world = new LinksWorld(seed);
        const one = await world.start(1, [2]);
        const two = await world.start(2, [1]);
        const nodes = [one, two];
        nodes[first - 1]?.links.want(second);
        world.run(seed % 3 === 0 ? 0 : seed * 0.2);
        nodes[second - 1]?.links.want(first);
        world.until(() => one.isUp(2) && two.isUp(1));
        world.run(2000);
        expect(world.network.streams.size).toBe(2); // Both ends of one connection.
        // Every request that is made once the link is up gets its reply.
        for (let i = 0; i < 20; i += 1) {
          one.ask(2);
          two.ask(1);
        }
        world.run(1000);
        expect([one.outcomes.replies.length, two.outcomes.replies.length]).toEqual([20, 20]);
        expect([one.outcomes.failures, two.outcomes.failures]).toEqual([[], []]);
        await world.stop();
      });
    }
  }

  test("when hellos cross, the link of the higher number stays, and the other gets a goodbye", async () => {
    const world = new LinksWorld(1, { latencyMinMs: 1, latencyMaxMs: 1 });
    const one = await world.start(1, [2]);
    const two = await world.start(2, [1]);
    one.links.want(2);
    two.links.want(1);
    world.run(2.5); // Both connected, both hellos on their way.
    expect([one.peer(2).state, two.peer(1).state]).toEqual(["greeting", "greeting"]);
    world.run(1000);
    expect([one.log, two.log]).toEqual([["up 2/102"], ["up 1/101"]]);
    const dialled = [...world.network.streams].map((stream) => stream.remote).sort();
    expect(dialled).toEqual(["host1:7777", "host2:0"]);
    expect(two.links.strangers.duplicates_closed + one.peer(2).counters.duplicates_closed).toBe(2);
    expect([...one.notices, ...two.notices]).not.toContain("Cannot");
    await world.stop();
  });

  for (const seed of SEEDS) {
    test(`seed ${seed}: requests made at link up end once, and links settle`, async () => {
      const world = new LinksWorld(seed, { latencyMaxMs: 20 });
      const numbers = [1, 2, 3, 4, 5];
      for (const number of numbers) {
        const node = await world.start(
          number,
          numbers.filter((peer) => peer !== number),
        );
        const up = node.onLinkUp.bind(node);
        node.onLinkUp = (peer, bootId, channel) => {
          up(peer, bootId, channel);
          node.ask(peer);
        };
      }
      let requests = 0;
      for (const node of world.nodes.values()) {
        for (const peer of numbers) if (peer !== node.number) node.links.want(peer);
      }
      world.run(10_000);
      for (const node of world.nodes.values()) {
        for (const peer of numbers) expect(peer === node.number || node.isUp(peer)).toBe(true);
        requests = node.log.filter((line) => line.startsWith("up")).length;
        expect(node.outcomes.count).toBe(requests);
        expect(node.outcomes.contexts()).toEqual(Array.from({ length: requests }, (_, i) => i + 1));
      }
      expect(world.network.streams.size).toBe(20); // Ten pairs, two ends each.
      await world.stop();
    });
  }

  test("a dead link does not keep its peer out: it is probed and closed", async () => {
    const world = new LinksWorld(5);
    // Node 2 dials; then node 1 loses its end and dials while node 2 still believes in the link.
    const one = await world.start(1, [2]);
    const two = await world.start(2, [1]);
    two.links.want(1);
    world.until(() => one.isUp(2) && two.isUp(1));
    world.network.block("host1", "host2");
    one.links.channelOf(2)?.terminate("lost on this side only");
    world.run(100);
    expect(two.isUp(1)).toBe(true);
    one.links.want(2);
    world.run(1000);
    world.network.unblock("host1", "host2");
    world.until(() => one.isUp(2) && two.isUp(1) && one.log.length === 3, 10_000);
    one.ask(2);
    world.until(() => one.outcomes.replies.length === 1);
    await world.stop();
  });
});

describe("Links: a peer that restarts", () => {
  test("is reported with its new boot id, after the old link is down", async () => {
    const world = new LinksWorld(6);
    const one = await world.start(1, [2]);
    const old = await world.start(2, [1]);
    one.links.want(2);
    world.until(() => one.isUp(2) && old.isUp(1));
    one.ask(2);
    old.answers = false;
    world.until(() => one.outcomes.count === 1);
    one.ask(2);
    world.run(100);
    world.network.crash("host2");
    world.network.boot("host2");
    const fresh = await world.start(2, [1], { bootId: 999n });
    fresh.links.want(1); // Node 1 has not noticed the restart yet.
    world.until(() => fresh.isUp(1));
    expect(one.log).toEqual([
      "up 2/102",
      "down 2: replaced by another link between us",
      "up 2/999",
    ]);
    expect(one.outcomes.count).toBe(2);
    one.ask(2);
    world.until(() => one.outcomes.count === 3);
    void old.links.stop();
    await world.stop();
  });

  test("is dialled again as soon as it runs and is wanted", async () => {
    const world = new LinksWorld(7);
    const one = await world.start(1, [2]);
    const old = await world.start(2, [1]);
    one.links.want(2);
    world.until(() => one.isUp(2));
    const stopped = old.links.stop();
    world.until(() => !one.isUp(2));
    world.run(100);
    await stopped;
    expect(one.log.at(-1)).toBe('down 2: closed by the other side: "n2" is stopping');
    one.links.want(2);
    world.run(3000);
    await world.start(2, [1], { bootId: 7n });
    world.until(() => one.isUp(2), 4000);
    expect(one.log.at(-1)).toBe("up 2/7");
    await world.stop();
  });
});

describe("Links: who is refused", () => {
  const cases: ReadonlyArray<readonly [string, Partial<Hello>, string]> = [
    ["another cluster name", { clusterName: "other" }, 'cluster is "other" there and "test" here'],
    [
      "a cluster name that would spoil a log",
      { clusterName: "a\n\u001b[31mb" },
      'cluster is "a [31mb" there and "test" here',
    ],
    ["another page size", { pageBytes: 16384 }, "page size is 16384 there and 4096 here"],
    ["a codec that it does not take", { codecs: 4 }, "it does not take codec 0"],
    ["a client", { role: ROLE.CLIENT }, "this address is for peers, not for clients"],
    ["its own number", { node: 1 }, "node number 1 is taken: two nodes claim it"],
    ["a number that is not a peer's", { node: 9 }, "node 9 is not one of the peers of node 1"],
    ["a number out of range", { node: NODES_MAX }, `node number ${NODES_MAX} is over`],
  ];
  for (const [name, changes, reason] of cases) {
    test(`${name}, with a clear line on both sides`, async () => {
      const world = new LinksWorld(11);
      const one = await world.start(1, [2]);
      const bare = new BarePeer();
      world.network.transport("host2").connect(addressOf(1), bare);
      bare.send(helloBytes(changes));
      world.run(2000);
      expect(bare.text).toContain(reason);
      expect(bare.closedFor).not.toBeNull();
      expect(one.notices).toHaveLength(1);
      expect(one.notices[0]).toContain(reason);
      expect(one.log).toEqual([]);
      expect(one.links.strangers.handshakes_refused).toBe(1);
      await world.stop();
    });
  }

  test("the dialling side reports why the other side refused it", async () => {
    const world = new LinksWorld(12);
    const one = await world.start(1, [2]);
    await world.start(2, [1], { clusterName: "other" });
    one.links.want(2);
    world.run(1000);
    const reason = 'cluster is "test" there and "other" here';
    expect(one.notices).toEqual([
      `Cannot link to node 2 at "host2:7777": refused by the other side: ${reason}`,
    ]);
    await world.stop();
  });

  test("another node at the address of a peer", async () => {
    const world = new LinksWorld(13);
    const one = await world.start(1, []);
    const three = await world.start(3, [1]);
    one.links.setPeer(2, addressOf(3));
    one.links.want(2);
    world.run(1000);
    expect(one.notices).toEqual([
      'Cannot link to node 2 at "host3:7777": expected node 2 there, found node 3',
    ]);
    expect(three.log.at(-1)).toContain("expected node 2 there, found node 3");
    expect(one.isUp(2) || one.isUp(3)).toBe(false);
    await world.stop();
  });

  test("another node under the number of a peer", async () => {
    for (const dialler of ["the peer's friend", "the impostor"]) {
      const world = new LinksWorld(16);
      const one = await world.start(1, []);
      const two = await world.start(2, [1]); // Its name is n2.
      one.links.setPeer(2, addressOf(2), "owner");
      if (dialler === "the impostor") two.links.want(1);
      else one.links.want(2);
      world.run(1000);
      const reason = 'node number 2 belongs to "owner", not to "n2"';
      expect([...one.notices, ...one.log, ...two.notices, ...two.log].join("\n")).toContain(reason);
      expect(one.isUp(2) || two.isUp(1)).toBe(false);
      await world.stop();
    }
  });

  test("itself, at its own address", async () => {
    const world = new LinksWorld(14);
    const one = await world.start(1, []);
    one.links.setPeer(2, addressOf(1));
    one.links.want(2);
    world.run(1000);
    expect(one.log).toEqual([]);
    expect(one.notices.join("\n")).toContain("two nodes claim it");
    await world.stop();
  });

  test("nobody, where unknown peers are accepted: their numbers identify them", async () => {
    const world = new LinksWorld(15);
    const server = await world.start(1, [], { settings: { acceptUnknownPeers: true } });
    const two = await world.start(2, [1]);
    two.links.want(1);
    world.until(() => server.isUp(2) && two.isUp(1));
    server.ask(2);
    world.until(() => server.outcomes.replies.length === 1);
    two.links.channelOf(1)?.terminate("gone");
    world.until(() => !server.isUp(2));
    server.links.want(2); // Without an address it can only wait for the peer.
    world.run(5000);
    expect(server.peer(2).counters.dials).toBe(0);
    await world.stop();
  });
});

describe("Links: strangers", () => {
  test("another protocol is closed with a reason, and the other links go on", async () => {
    const world = new LinksWorld(16);
    const one = await world.start(1, [2, 3]);
    const two = await world.start(2, [1]);
    two.links.want(1);
    world.until(() => one.isUp(2) && two.isUp(1));
    const http = new BarePeer();
    world.network.transport("host9").connect(addressOf(1), http);
    http.send(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    two.ask(1);
    world.run(2000);
    expect(http.closedFor).not.toBeNull();
    expect(http.text).toContain("magic is 0x4745");
    expect(one.notices[0]).toContain("magic is 0x4745");
    expect(one.links.strangers.malformed).toBe(1);
    expect(two.outcomes.replies).toHaveLength(1);
    await world.stop();
  });

  test("malformed bytes close that link only, with the reason on both sides", async () => {
    const world = new LinksWorld(17);
    const one = await world.start(1, [2, 3]);
    const three = await world.start(3, [1]);
    three.links.want(1);
    world.until(() => one.isUp(3) && three.isUp(1));
    const bare = new BarePeer();
    world.network.transport("host2").connect(addressOf(1), bare);
    bare.send(helloBytes());
    world.until(() => one.isUp(2));
    const before = three.ask(1);
    bare.send(frameBytes({ type: MESSAGE.GET, request: 2, declared: 0xffffffff }));
    world.run(2000);
    expect(one.log.at(-1)).toContain("body of 4294967295 bytes is over");
    expect(bare.text).toContain("body of 4294967295 bytes is over");
    expect(one.peer(2).counters.malformed).toBe(1);
    expect(three.outcomes.replies.map((reply) => reply.context)).toEqual([before]);
    expect(three.isUp(1)).toBe(true);
    await world.stop();
  });

  const early: ReadonlyArray<readonly [string, Uint8Array, string]> = [
    [
      "a request before HELLO",
      frameBytes({ type: MESSAGE.KEEPALIVE, request: 1 }),
      "expected HELLO",
    ],
    ["a HELLO that wants no reply", helloBytes({}, 0), "expected HELLO"],
    [
      "a HELLO that is cut short",
      frameBytes({ type: MESSAGE.HELLO, request: 1, body: new Uint8Array(10) }),
      "HELLO",
    ],
    ["a second HELLO", new Uint8Array([...helloBytes(), ...helloBytes({}, 2)]), "a second HELLO"],
  ];
  for (const [name, bytes, reason] of early) {
    test(`${name} closes the connection`, async () => {
      const world = new LinksWorld(18);
      const one = await world.start(1, [2]);
      const bare = new BarePeer();
      world.network.transport("host2").connect(addressOf(1), bare);
      bare.send(bytes);
      world.run(2000);
      expect(bare.closedFor).not.toBeNull();
      expect(bare.text).toContain(reason);
      expect(one.isUp(2)).toBe(false);
      await world.stop();
    });
  }

  test("a connection that never sends HELLO is closed at the deadline", async () => {
    const world = new LinksWorld(19);
    const one = await world.start(1, [2]);
    const bare = new BarePeer();
    world.network.transport("host9").connect(addressOf(1), bare);
    world.run(4900);
    expect(bare.closedFor).toBeNull();
    world.run(1000);
    expect(bare.closedFor).not.toBeNull();
    expect(one.notices[0]).toContain("no handshake within 5000 ms");
    await world.stop();
  });

  test("the oldest of too many are closed, and a peer gets in meanwhile", async () => {
    const world = new LinksWorld(20);
    const one = await world.start(1, [2]);
    const crowd = Array.from({ length: 2 * HANDSHAKES_MAX }, () => new BarePeer());
    for (const [i, bare] of crowd.entries()) {
      world.network.transport(`stranger${i}`).connect(addressOf(1), bare);
    }
    world.run(100);
    const isThere = crowd.map((bare) => bare.closedFor === null);
    expect(isThere.filter((it) => it)).toHaveLength(HANDSHAKES_MAX);
    expect(one.links.connectionsRefused).toBe(HANDSHAKES_MAX);
    expect(one.notices.filter((line) => line.includes("Too many connections"))).toHaveLength(1);
    const two = await world.start(2, [1]);
    two.links.want(1);
    world.until(() => one.isUp(2), 1000);
    await world.stop();
  });

  test("a message that peers do not send is answered with NO_HANDLER", async () => {
    const world = new LinksWorld(21);
    const one = await world.start(1, [2]);
    const bare = new BarePeer();
    world.network.transport("host2").connect(addressOf(1), bare);
    bare.send(helloBytes());
    world.until(() => one.isUp(2));
    world.run(100);
    bare.forget();
    bare.send(frameBytes({ type: MESSAGE.STATS, request: 5 }));
    bare.send(frameBytes({ type: 200, request: 6 }));
    world.run(100);
    const view = new DataView(bare.received.buffer);
    expect([view.getUint32(8), view.getUint8(13)]).toEqual([5, TRANSPORT_STATUS.NO_HANDLER]);
    expect([view.getUint32(28), view.getUint8(33)]).toEqual([6, TRANSPORT_STATUS.NO_HANDLER]);
    expect(one.isUp(2)).toBe(true);
    await world.stop();
  });
});

describe("Links: the end", () => {
  test("removePeer() sends a goodbye, and the peer is then refused", async () => {
    const world = new LinksWorld(22);
    const one = await world.start(1, [2]);
    const two = await world.start(2, [1]);
    one.links.want(2);
    world.until(() => one.isUp(2) && two.isUp(1));
    one.links.removePeer(2);
    expect(one.log.at(-1)).toBe('down 2: "n2" is no longer a peer');
    world.run(100);
    expect(two.log.at(-1)).toBe('down 1: closed by the other side: "n2" is no longer a peer');
    two.links.want(1);
    world.run(1000);
    expect(two.isUp(1)).toBe(false);
    expect(one.links.peers()).toEqual([]);
    await world.stop();
  });

  test("stop() in any state leaves no stream, timer or listener", async () => {
    for (const seed of SEEDS) {
      const world = new LinksWorld(seed, { latencyMaxMs: 5 });
      const numbers = [1, 2, 3, 4];
      for (const number of numbers) {
        await world.start(
          number,
          [...numbers, 5].filter((peer) => peer !== number),
        );
      }
      for (const node of world.nodes.values()) {
        for (const peer of [...numbers, 5]) if (peer !== node.number) node.links.want(peer);
      }
      world.run(seed * 1.5);
      await world.stop();
      for (const node of world.nodes.values()) {
        const ups = node.log.filter((line) => line.startsWith("up")).length;
        expect(node.log.filter((line) => line.startsWith("down"))).toHaveLength(ups);
      }
    }
  });

  test("stop() ends even when a peer is silent", async () => {
    const world = new LinksWorld(23);
    const one = await world.start(1, [2]);
    const two = await world.start(2, [1]);
    one.links.want(2);
    world.until(() => one.isUp(2) && two.isUp(1));
    world.network.block("host2", "host1");
    await world.stop();
  });

  test("after random cuts links come back, and every request has one outcome", async () => {
    for (const seed of SEEDS) {
      const world = new LinksWorld(seed, { latencyMaxMs: 3 });
      const one = await world.start(1, [2]);
      const two = await world.start(2, [1]);
      let requests = 0;
      for (let round = 0; round < 200; round += 1) {
        for (const [node, peer] of [
          [one, 2],
          [two, 1],
        ] as const) {
          if (!node.isUp(peer)) node.links.want(peer);
          else if (node.ask(peer) > 0 && node === one) requests += 1;
        }
        if (round % 10 === 9) world.network.cut("host1", "host2");
        world.run(20);
      }
      world.run(20_000);
      expect(one.outcomes.contexts()).toEqual(Array.from({ length: requests }, (_, i) => i + 1));
      expect(one.outcomes.replies.length).toBeGreaterThan(0);
      await world.stop();
    }
  });
});
