import { expect, test } from "bun:test";
import { encodeIntent, encodeSerfState } from "../gossip/serf-messages.ts";
import { Serf } from "./serf.ts";

function leave(node: string, ltime: bigint): Uint8Array {
  return encodeIntent({ kind: "leave", ltime, node });
}

function join(node: string, ltime: bigint): Uint8Array {
  return encodeIntent({ kind: "join", ltime, node });
}

test("an intent is news once, and only when it is later than what is known", () => {
  const serf = new Serf("self");
  expect(serf.onMessage(leave("a", 5n))).toBe("serf a");
  expect(serf.onMessage(leave("a", 5n))).toBeNull();
  expect(serf.onMessage(join("a", 4n))).toBeNull();
  expect(serf.isLeaving("a")).toBe(true);
  expect(serf.onMessage(join("a", 6n))).toBe("serf a");
  expect(serf.isLeaving("a")).toBe(false);
});

test("own intents are later than all that was heard", () => {
  const serf = new Serf("self");
  serf.onMessage(join("a", 1000n));
  const other = new Serf("other");
  other.onMessage(join("self", 1000n));
  expect(other.onMessage(serf.announce("leave"))).toBe("serf self");
  expect(other.isLeaving("self")).toBe(true);
});

test("a push/pull tells who left", () => {
  const serf = new Serf("self");
  const statusLTimes = new Map([
    ["a", 3n],
    ["b", 4n],
  ]);
  serf.merge(encodeSerfState({ ltime: 9n, statusLTimes, leftMembers: ["b"] }));
  expect([serf.isLeaving("a"), serf.isLeaving("b")]).toEqual([false, true]);
  const far = new Serf("far");
  far.merge(serf.state(["b"]));
  expect([far.isLeaving("a"), far.isLeaving("b")]).toEqual([false, true]);
});

test("one that is found alive leaves no longer, until it says so anew", () => {
  const serf = new Serf("self");
  serf.onMessage(leave("a", 5n));
  serf.onAlive("a");
  expect(serf.onMessage(leave("a", 5n))).toBeNull();
  expect(serf.isLeaving("a")).toBe(false);
  serf.onMessage(leave("a", 6n));
  expect(serf.isLeaving("a")).toBe(true);
});

test("a leave of its own from before a restart is a mistake, until it says that it is there", () => {
  const serf = new Serf("self");
  serf.announce("join");
  serf.onMessage(leave("self", 50n));
  expect(serf.isMistaken).toBe(true);
  serf.announce("join");
  expect(serf.isMistaken).toBe(false);
  serf.announce("leave");
  expect(serf.isMistaken).toBe(false);
});

test("any number of names that are no members do not crowd out those that are", () => {
  const serf = new Serf("self");
  for (let i = 0; i < 5000; i += 1) serf.onMessage(leave(`ghost${i}`, 1n));
  expect(serf.onMessage(leave("a", 2n))).toBe("serf a");
  expect(serf.isLeaving("a")).toBe(true);
});

test("a leave at the last time there is, is answered with a later one, and heard", () => {
  for (const last of [2n ** 64n - 1n, 2n ** 53n - 1n, 2n ** 63n]) {
    const serf = new Serf("self");
    const other = new Serf("other");
    for (const it of [serf, other]) it.onMessage(leave("self", last));
    expect([serf.isMistaken, other.isLeaving("self")]).toEqual([true, true]);
    expect(other.onMessage(serf.announce("join"))).toBe("serf self");
    expect(other.isLeaving("self")).toBe(false);
    // And one that comes new hears of it in its first push/pull.
    const late = new Serf("late");
    late.merge(serf.state([]));
    expect(serf.onMessage(late.announce("join"))).toBe("serf late");
    expect(serf.onMessage(late.announce("leave"))).toBe("serf late");
  }
});
