import { expect, test } from "bun:test";
import { GossipWorld } from "../../harness/sim/gossip-world.ts";
import {
  decodeKeyResponse,
  decodeQuery,
  decodeQueryResponse,
  encodeKeyRequest,
  encodeQuery,
  encodeQueryResponse,
} from "../gossip/serf-queries.ts";

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
      latest: "",
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
