import { expect, test } from "bun:test";
import { encodeIntent, encodeSerfState } from "../gossip/serf-messages.ts";
import { Serf } from "./serf.ts";

function leave(node: string, ltime: number): Uint8Array {
  return encodeIntent({ kind: "leave", ltime, node });
}

function join(node: string, ltime: number): Uint8Array {
  return encodeIntent({ kind: "join", ltime, node });
}

test("an intent is news once, and only when it is later than what is known", () => {
  const serf = new Serf("self");
  expect(serf.onMessage(leave("a", 5))).toBe("serf a");
  expect(serf.onMessage(leave("a", 5))).toBeNull();
  expect(serf.onMessage(join("a", 4))).toBeNull();
  expect(serf.isLeaving("a")).toBe(true);
  expect(serf.onMessage(join("a", 6))).toBe("serf a");
  expect(serf.isLeaving("a")).toBe(false);
});

test("own intents are later than all that was heard", () => {
  const serf = new Serf("self");
  serf.onMessage(join("a", 1000));
  const other = new Serf("other");
  other.onMessage(join("self", 1000));
  expect(other.onMessage(serf.announce("leave"))).toBe("serf self");
  expect(other.isLeaving("self")).toBe(true);
});

test("a push/pull tells who left", () => {
  const serf = new Serf("self");
  const statusLTimes = new Map([
    ["a", 3],
    ["b", 4],
  ]);
  serf.merge(encodeSerfState({ ltime: 9, statusLTimes, leftMembers: ["b"] }));
  expect([serf.isLeaving("a"), serf.isLeaving("b")]).toEqual([false, true]);
  const far = new Serf("far");
  far.merge(serf.state(["b"]));
  expect([far.isLeaving("a"), far.isLeaving("b")]).toEqual([false, true]);
});

test("one that is found alive leaves no longer, until it says so anew", () => {
  const serf = new Serf("self");
  serf.onMessage(leave("a", 5));
  serf.onAlive("a");
  expect(serf.onMessage(leave("a", 5))).toBeNull();
  expect(serf.isLeaving("a")).toBe(false);
  serf.onMessage(leave("a", 6));
  expect(serf.isLeaving("a")).toBe(true);
});

test("a leave of its own from before a restart is a mistake, until it says that it is there", () => {
  const serf = new Serf("self");
  serf.announce("join");
  serf.onMessage(leave("self", 50));
  expect(serf.isMistaken).toBe(true);
  serf.announce("join");
  expect(serf.isMistaken).toBe(false);
  serf.announce("leave");
  expect(serf.isMistaken).toBe(false);
});

test("any number of names that are no members do not crowd out those that are", () => {
  const serf = new Serf("self");
  for (let i = 0; i < 5000; i += 1) serf.onMessage(leave(`ghost${i}`, 1));
  expect(serf.onMessage(leave("a", 2))).toBe("serf a");
  expect(serf.isLeaving("a")).toBe(true);
});
