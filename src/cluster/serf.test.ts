import { expect, test } from "bun:test";
import { WireError } from "../core/errors.ts";
import { encodeMsgpack } from "../gossip/msgpack.ts";
import { decodeSerfState, encodeIntent, encodeSerfState, SERF } from "../gossip/serf-messages.ts";
import { Serf } from "./serf.ts";

const EMPTY = {
  ltime: 0n,
  statusLTimes: new Map<string, bigint>(),
  leftMembers: [],
  eventLTime: 0n,
  events: [],
  queryLTime: 0n,
};

function serfOf(name: string, left: string[] = []): Serf {
  return new Serf(name, {
    onLeave: (node, prune) => void left.push(prune ? `${node} pruned` : node),
  });
}

/** The subject of the news in a message. */
function subject(serf: Serf, message: Uint8Array): string | null {
  const news = serf.onMessage(message);
  return news !== null && "subject" in news ? news.subject : null;
}

function leave(node: string, ltime: bigint): Uint8Array {
  return encodeIntent({ kind: "leave", ltime, node, prune: false });
}

function join(node: string, ltime: bigint): Uint8Array {
  return encodeIntent({ kind: "join", ltime, node, prune: false });
}

test("an intent is news once, and only when it is later than the known one", () => {
  const serf = serfOf("self");
  expect(subject(serf, leave("a", 5n))).toBe("serf a");
  expect(subject(serf, leave("a", 5n))).toBeNull();
  expect(subject(serf, join("a", 4n))).toBeNull();
  expect(serf.isLeaving("a")).toBe(true);
  expect(subject(serf, join("a", 6n))).toBe("serf a");
  expect(serf.isLeaving("a")).toBe(false);
});

test("own intents are later than all received ones", () => {
  const serf = serfOf("self");
  serf.onMessage(join("a", 1000n));
  const other = serfOf("other");
  other.onMessage(join("self", 1000n));
  expect(subject(other, serf.announce("leave"))).toBe("serf self");
  expect(other.isLeaving("self")).toBe(true);
});

test("a push/pull names the members that left", () => {
  const serf = serfOf("self");
  const statusLTimes = new Map([
    ["a", 3n],
    ["b", 4n],
  ]);
  serf.merge(encodeSerfState({ ...EMPTY, ltime: 9n, statusLTimes, leftMembers: ["b"] }));
  expect([serf.isLeaving("a"), serf.isLeaving("b")]).toEqual([false, true]);
  const far = serfOf("far");
  far.merge(serf.state(["b"]));
  expect([far.isLeaving("a"), far.isLeaving("b")]).toEqual([false, true]);
});

test("a member that is found alive no longer leaves, until a new intent", () => {
  const serf = serfOf("self");
  serf.onMessage(leave("a", 5n));
  serf.onAlive("a");
  expect(subject(serf, leave("a", 5n))).toBeNull();
  expect(serf.isLeaving("a")).toBe(false);
  serf.onMessage(leave("a", 6n));
  expect(serf.isLeaving("a")).toBe(true);
});

test("an own leave from before a restart is a mistake, until the node announces itself", () => {
  const serf = serfOf("self");
  serf.announce("join");
  serf.onMessage(leave("self", 50n));
  expect(serf.isMistaken).toBe(true);
  serf.announce("join");
  expect(serf.isMistaken).toBe(false);
  serf.announce("leave");
  expect(serf.isMistaken).toBe(false);
});

test("any number of unknown names leaves the status of members", () => {
  const serf = serfOf("self");
  for (let i = 0; i < 5000; i += 1) serf.onMessage(leave(`ghost${i}`, 1n));
  expect(subject(serf, leave("a", 2n))).toBe("serf a");
  expect(serf.isLeaving("a")).toBe(true);
});

test("a leave at the highest time is answered with a later join, which is heard", () => {
  for (const last of [2n ** 64n - 1n, 2n ** 53n - 1n, 2n ** 63n]) {
    const serf = serfOf("self");
    const other = serfOf("other");
    for (const it of [serf, other]) it.onMessage(leave("self", last));
    expect([serf.isMistaken, other.isLeaving("self")]).toEqual([true, true]);
    expect(subject(other, serf.announce("join"))).toBe("serf self");
    expect(other.isLeaving("self")).toBe(false);
    // A new member hears of it in its first push/pull.
    const late = serfOf("late");
    late.merge(serf.state([]));
    expect(subject(serf, late.announce("join"))).toBe("serf late");
    expect(subject(serf, late.announce("leave"))).toBe("serf late");
  }
});

test("a leave that is news is reported once, with its prune flag", () => {
  const left: string[] = [];
  const serf = serfOf("self", left);
  serf.onMessage(leave("a", 5n));
  serf.onMessage(leave("a", 5n));
  serf.onMessage(leave("self", 6n));
  const prune = { kind: "leave", ltime: 7n, node: "a", prune: true } as const;
  serf.onMessage(encodeIntent(prune));
  serf.merge(encodeSerfState({ ...EMPTY, statusLTimes: new Map([["b", 3n]]), leftMembers: ["b"] }));
  expect(left).toEqual(["a", "a pruned", "b"]);
});

test("events are news once, also from a push/pull, and are part of the next one", () => {
  const serf = serfOf("self");
  const event = (ltime: number, name: string): Uint8Array => {
    const fields = { LTime: ltime, Name: name, Payload: Uint8Array.of(1), CC: true };
    return Uint8Array.from([SERF.USER_EVENT, ...encodeMsgpack(fields)]);
  };
  expect(serf.onMessage(event(4, "deploy"))?.kind).toBe("event");
  expect(serf.onMessage(event(4, "deploy"))).toBeNull();
  expect(serf.onMessage(event(4, "other"))?.kind).toBe("event");
  const far = serfOf("far");
  far.merge(serf.state([]));
  expect(far.onMessage(event(4, "other"))).toBeNull();
  expect(far.onMessage(event(5, "other"))?.kind).toBe("event");
  const state = decodeSerfState(far.state([]));
  expect(state?.eventLTime).toBe(6n);
  expect(state?.events.map(([time, events]) => [time, events.map(({ name }) => name)])).toEqual([
    [4n, ["deploy", "other"]],
    [5n, ["other"]],
  ]);
});

test("queries are news once, answers always, and messages of later versions never", () => {
  const serf = serfOf("self");
  const query = (id: number): Uint8Array => {
    const fields = { LTime: 9, ID: id, Addr: Uint8Array.of(10, 0, 0, 1), Port: 1, Flags: 2 };
    return Uint8Array.from([SERF.QUERY, ...encodeMsgpack({ ...fields, Name: "uptime" })]);
  };
  expect(serf.onMessage(query(1))).toMatchObject({ kind: "query", query: { isBroadcast: false } });
  expect(serf.onMessage(query(1))).toBeNull();
  expect(serf.onMessage(query(2))?.kind).toBe("query");
  expect(serf.onMessage(Uint8Array.of(SERF.QUERY_RESPONSE, 0x80))).toMatchObject({
    kind: "response",
    response: { from: "" },
  });
  expect(serf.onMessage(Uint8Array.of(77, 0x80))).toBeNull();
  expect(serf.onMessage(new Uint8Array(0))).toBeNull();
  expect(() => serf.onMessage(Uint8Array.of(SERF.QUERY, 0xc1))).toThrow(WireError);
});
