import { beforeEach, describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { GossipWorld } from "../../harness/sim/gossip-world.ts";
import { SeededRandom } from "../core/random.ts";
import {
  decodeKeyResponse,
  decodeQuery,
  decodeQueryResponse,
  encodeKeyRequest,
  encodeQuery,
  encodeQueryResponse,
  type Query,
} from "../gossip/serf-queries.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { ClusterCounters } from "./counters.ts";
import { Members } from "./members.ts";
import { type Asked, SerfAsks } from "./serf-asks.ts";
import { LAN } from "./settings.ts";
import { OWN_VERSIONS } from "./versions.ts";

const KEY = new Uint8Array(32).fill(1);
const LIST = encodeKeyRequest(new Uint8Array(0));
/** Serf's timeout: the interval of gossip, 16 times, times the decimal logarithm of the members. */
const TIMEOUT_MS = 200 * 16;

test("a query is answered by all members, this one too", async () => {
  const world = new GossipWorld({ keys: [KEY] });
  await world.grow(6);
  const startMs = world.clock.now();
  const { answers, silent } = await world.wait(world.node(2).cluster.ask("_serf_list-keys", LIST));
  expect([...answers.keys()].sort()).toEqual(["n0", "n1", "n2", "n3", "n4", "n5"]);
  for (const answer of answers.values()) {
    expect(decodeKeyResponse(answer)).toEqual({
      done: true,
      message: "",
      keys: [Buffer.from(KEY).toString("base64")],
      inFile: null,
    });
  }
  expect(silent).toEqual([]);
  expect(world.clock.now() - startMs).toBeLessThan(TIMEOUT_MS);
  await world.stop();
});

test("it ends without the members that do not answer, and late answers are ignored", async () => {
  const world = new GossipWorld({ keys: [KEY] });
  await world.grow(4);
  world.node(3).crash();
  const startMs = world.clock.now();
  const { answers, silent } = await world.wait(world.node(0).cluster.ask("_serf_list-keys", LIST));
  expect([...answers.keys()].sort()).toEqual(["n0", "n1", "n2"]);
  expect(silent).toEqual(["n3"]);
  expect(world.clock.now() - startMs).toBe(TIMEOUT_MS);
  const again = await world.wait(world.node(0).cluster.ask("_serf_list-keys", LIST));
  expect(again.answers.size).toBe(3);
  await world.stop();
});

test("it ends when the node stops", async () => {
  const world = new GossipWorld({ keys: [KEY] });
  await world.grow(2);
  world.node(1).crash();
  const asking = world.node(0).cluster.ask("_serf_list-keys", LIST);
  await world.node(0).cluster.stop();
  expect((await asking).silent).toEqual(["n1"]);
  await world.stop();
});

test("a query and its response are read as they were written", () => {
  const query = {
    ltime: 2n ** 40n,
    id: 7,
    addr: Uint8Array.of(10, 0, 0, 1),
    port: 7946,
    source: "a",
    filters: [],
    wantsAck: true,
    isBroadcast: false,
    relays: 2,
    name: "_serf_ping",
    payload: Uint8Array.of(1, 2),
  };
  expect(decodeQuery(encodeQuery(query, 5000).subarray(1))).toEqual(query);
  for (const payload of [Uint8Array.of(3), null]) {
    const response = { ltime: 9n, id: 7, from: "b", payload };
    expect(decodeQueryResponse(encodeQueryResponse(response).subarray(1))).toEqual(response);
  }
});

test("it says which members are dead, but not which have left", async () => {
  const world = new GossipWorld({ keys: [KEY] });
  await world.grow(4);
  world.node(3).crash();
  world.until("it is dead", () => world.node(0).member("n3")?.state === "dead", 60_000);
  await world.wait(world.node(2).cluster.leave());
  await world.node(2).cluster.stop();
  world.until("it has left", () => world.node(0).member("n2")?.state === "left", 60_000);
  const asked = await world.wait(world.node(0).cluster.ask("_serf_list-keys", LIST));
  expect([...asked.answers.keys()].sort()).toEqual(["n0", "n1"]);
  expect([asked.silent, asked.dead]).toEqual([[], ["n3"]]);
  await world.stop();
});

describe("the sender of an answer", () => {
  const OWN = Uint8Array.of(1);
  const FALSE = Uint8Array.of(2);
  let clock: SimClock;
  let members: Members;
  let query: Query;
  let asked: Asked | null;
  let asks: SerfAsks;

  beforeEach(() => {
    clock = new SimClock();
    const nothing = () => {};
    members = new Members(
      {
        clock,
        counters: new ClusterCounters(),
        awareness: new Awareness(8),
        queue: new BroadcastQueue(),
        isLeaving: () => false,
        events: {
          onJoin: nothing,
          onUpdate: nothing,
          onLeave: nothing,
          onConflict: nothing,
          onNotice: nothing,
        },
      },
      { ...LAN, bind: { kind: "tcp", host: "10.0.0.1", port: 7946 }, advertise: null, label: "" },
      { name: "m1", addr: Uint8Array.of(10, 0, 0, 1), port: 7946, meta: new Uint8Array(0) },
    );
    for (let last = 2; last < 4; last += 1) {
      const facts = { node: `m${last}`, addr: Uint8Array.of(10, 0, 0, last), port: 7946 };
      const meta = new Uint8Array(0);
      members.onAlive({ kind: "alive", incarnation: 1, ...facts, meta, vsn: OWN_VERSIONS });
    }
    const parts = {
      clock,
      random: new SeededRandom(1),
      members,
      queryTime: () => 1n,
      answerOf: () => OWN,
      spread: (it: Query) => {
        query = it;
      },
    };
    asks = new SerfAsks(parts, { gossipIntervalMs: 200 });
    asked = null;
    void asks.ask("_serf_list-keys", LIST).then((it) => {
      asked = it;
    });
  });

  function say(from: string, payload: Uint8Array, host: string | null, port = 7946): void {
    const { ltime, id } = query;
    const sender = host === null ? null : ({ kind: "tcp", host, port } as const);
    asks.onResponse({ ltime, id, from, payload }, sender);
  }

  async function answers(): Promise<Record<string, number>> {
    await Promise.resolve();
    if (asked === null) clock.run(clock.now() + 60_000);
    await Promise.resolve();
    return Object.fromEntries(
      [...(asked?.answers ?? [])].map(([name, [byte = 0]]) => [name, byte]),
    );
  }

  test("is the member", async () => {
    say("m2", OWN, "10.0.0.2");
    say("m3", OWN, "::ffff:10.0.0.3");
    await Promise.resolve();
    expect(asked?.silent).toEqual([]);
    expect(await answers()).toEqual({ m1: 1, m2: 1, m3: 1 });
    expect(clock.now()).toBe(0);
  });

  test("is not another member, nor its host", async () => {
    say("m2", OWN, "10.0.0.2");
    say("m3", FALSE, "10.0.0.2");
    say("m3", FALSE, "10.0.0.2", 9);
    say("m3", FALSE, "10.0.0.1", 9);
    expect(await answers()).toEqual({ m1: 1, m2: 1 });
    expect(asked?.silent).toEqual(["m3"]);
  });

  test("may be unknown, and counts then without an answer of the member itself", async () => {
    say("m2", OWN, "10.9.9.9", 5);
    say("m2", OWN, "10.9.9.9", 5);
    say("m3", FALSE, null);
    await Promise.resolve();
    expect(asked).toBeNull();
    say("m3", OWN, "10.0.0.3");
    expect(await answers()).toEqual({ m1: 1, m2: 1, m3: 1 });
    expect(clock.now()).toBeGreaterThan(0);
  });

  test("does not change its answer: two that differ are none", async () => {
    say("m2", OWN, "10.0.0.2");
    say("m2", OWN, "10.0.0.2");
    say("m2", FALSE, "10.0.0.2");
    say("m2", OWN, "10.0.0.2");
    say("m3", OWN, "10.9.9.9");
    say("m3", FALSE, "10.9.9.8");
    expect(await answers()).toEqual({ m1: 1 });
    expect(asked?.silent).toEqual(["m2", "m3"]);
  });

  test("is no stranger, and no member that is gone", async () => {
    say("m9", OWN, "10.0.0.9");
    members.onDead({ kind: "dead", incarnation: 1, node: "m2", from: "m3" });
    say("m2", OWN, "10.0.0.2");
    say("m3", OWN, "10.0.0.3");
    expect(await answers()).toEqual({ m1: 1, m3: 1 });
    expect([asked?.silent, asked?.dead]).toEqual([[], ["m2"]]);
  });
});
