import { beforeEach, describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { MEMBERS_MAX } from "../core/limits.ts";
import { MEMBER_STATE } from "../gossip/messages.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { ClusterCounters } from "./counters.ts";
import { Members, OWN_VERSIONS } from "./members.ts";
import { LAN } from "./settings.ts";

const BIND = { kind: "tcp", host: "10.0.0.1", port: 7946 } as const;
const SELF = { name: "self", addr: Uint8Array.of(10, 0, 0, 1), port: 7946, meta: new Uint8Array() };

let clock: SimClock;
let counters: ClusterCounters;
let events: string[];
let leaving: Set<string>;
let queue: BroadcastQueue;
let members: Members;

beforeEach(() => {
  clock = new SimClock();
  counters = new ClusterCounters();
  events = [];
  leaving = new Set();
  queue = new BroadcastQueue();
  members = new Members(
    {
      ...{ clock, counters, queue, awareness: new Awareness(8) },
      isLeaving: (name) => leaving.has(name),
      events: {
        onJoin: ({ name }) => void events.push(`join ${name}`),
        onUpdate: ({ name }) => void events.push(`update ${name}`),
        onLeave: ({ name }, how) => void events.push(`${how} ${name}`),
        onConflict: (reason) => void events.push(reason),
        onNotice: () => {},
      },
    },
    { ...LAN, bind: BIND, advertise: null, label: "" },
    SELF,
  );
});

function alive(node: string, incarnation: number, last = 2, meta = new Uint8Array()): void {
  const addr = Uint8Array.of(10, 0, 0, last);
  members.onAlive({
    ...{ kind: "alive", node, incarnation, addr, port: 7946, meta },
    vsn: OWN_VERSIONS,
  });
}

function suspect(node: string, incarnation: number, from = "other"): void {
  members.onSuspect({ kind: "suspect", node, incarnation, from });
}

function dead(node: string, incarnation: number, from = "other"): void {
  members.onDead({ kind: "dead", node, incarnation, from });
}

function state(name: string): string {
  const member = members.get(name);
  return member === null ? "unknown" : `${member.state} ${member.incarnation}`;
}

describe("claims about others", () => {
  test("alive takes a higher incarnation, suspect and dead one that is not lower", () => {
    alive("a", 3);
    suspect("a", 2);
    dead("a", 2);
    expect(state("a")).toBe("alive 3");
    suspect("a", 3);
    expect(state("a")).toBe("suspect 3");
    alive("a", 3);
    expect(state("a")).toBe("suspect 3");
    alive("a", 4);
    expect(state("a")).toBe("alive 4");
    dead("a", 4);
    expect(state("a")).toBe("dead 4");
    alive("a", 4);
    suspect("a", 9);
    expect(state("a")).toBe("dead 4");
    alive("a", 5);
    expect(state("a")).toBe("alive 5");
    expect(events).toEqual(["join a", "dead a", "join a"]);
  });

  test("a suspect that does not object is dead, one that does is not", () => {
    for (const name of ["a", "b"]) alive(name, 1, name === "a" ? 2 : 3);
    suspect("a", 1);
    suspect("b", 1);
    alive("b", 2, 3);
    clock.run(60_000);
    expect([state("a"), state("b")]).toEqual(["dead 1", "alive 2"]);
    expect(clock.pendingCount).toBe(0);
  });

  test("one that says itself that it is dead has left, and so has one that said that it leaves", () => {
    alive("a", 1);
    dead("a", 1, "a");
    alive("b", 1, 3);
    leaving.add("b");
    dead("b", 1);
    expect([state("a"), state("b")]).toEqual(["left 1", "left 1"]);
    expect(events.slice(-1)).toEqual(["left b"]);
  });

  test("other metadata are told once, with their incarnation", () => {
    alive("a", 1);
    alive("a", 1, 2, Uint8Array.of(1));
    alive("a", 2, 2, Uint8Array.of(1));
    alive("a", 3, 2, Uint8Array.of(1));
    expect(events).toEqual(["join a", "update a"]);
  });

  test("of nobody known, suspect and dead are nothing", () => {
    suspect("ghost", 1);
    dead("ghost", 1);
    expect([state("ghost"), queue.count]).toEqual(["unknown", 0]);
  });

  test("a name that is in use stays where it is, and one whose node is gone may move", () => {
    alive("a", 1, 2);
    alive("a", 9, 7);
    expect([state("a"), members.get("a")?.addr]).toEqual(["alive 1", "10.0.0.2"]);
    expect(counters.name_conflicts).toBe(1);
    dead("a", 1);
    alive("a", 9, 7);
    expect([state("a"), members.get("a")?.addr]).toEqual(["alive 9", "10.0.0.7"]);
  });

  test("there are MEMBERS_MAX members at most, and those that are gone are forgotten in time", () => {
    for (let i = 0; i < MEMBERS_MAX + 5; i += 1) alive(`m${i}`, 1);
    expect([members.count, counters.members_refused]).toEqual([MEMBERS_MAX, 6]);
    dead("m0", 1);
    clock.run(LAN.reapMs - 1);
    expect(members.reap()).toEqual([]);
    clock.run(LAN.reapMs + 1);
    expect(members.reap()).toEqual(["m0"]);
    expect(state("m0")).toBe("unknown");
  });

  test("a push/pull cannot kill: its dead become suspects, its left have left", () => {
    for (const [i, name] of ["a", "b", "c"].entries()) alive(name, 1, 2 + i);
    const facts = { addr: Uint8Array.of(10, 0, 0, 2), port: 7946, meta: new Uint8Array() };
    const member = { ...facts, incarnation: 1, vsn: OWN_VERSIONS };
    members.merge([
      { ...member, name: "a", state: MEMBER_STATE.DEAD },
      { ...member, name: "b", state: MEMBER_STATE.SUSPECT },
      { ...member, name: "c", state: MEMBER_STATE.LEFT },
    ]);
    expect(["a", "b", "c"].map(state)).toEqual(["suspect 1", "suspect 1", "left 1"]);
    members.stop();
  });
});

describe("claims about oneself", () => {
  test("that it is suspect or dead are objected to, with a higher incarnation", () => {
    suspect("self", 1);
    expect(state("self")).toBe("alive 2");
    dead("self", 7);
    expect(state("self")).toBe("alive 8");
    suspect("self", 7);
    expect([state("self"), counters.refutes]).toEqual(["alive 8", 2]);
  });

  test("from before a restart, at once", () => {
    const meta = Uint8Array.of(255, 0x80);
    alive("self", 40, 1, meta);
    expect(state("self")).toBe("alive 41");
    alive("self", 41, 1);
    expect(state("self")).toBe("alive 41");
  });

  test("that it is at another address is a conflict", () => {
    alive("self", 5, 66);
    expect(events).toEqual(['name "self" is taken by another node']);
    expect(state("self")).toBe("alive 1");
  });

  test("once it leaves, none are objected to", () => {
    members.leave();
    suspect("self", 9);
    dead("self", 9);
    expect(state("self")).toBe("left 1");
  });
});
