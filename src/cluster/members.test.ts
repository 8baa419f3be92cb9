import { beforeEach, describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { MEMBERS_GONE_MAX, MEMBERS_MAX } from "../core/limits.ts";
import { MEMBER_STATE } from "../gossip/messages.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { ClusterCounters } from "./counters.ts";
import { Members } from "./members.ts";
import { LAN } from "./settings.ts";
import { OWN_VERSIONS } from "./versions.ts";

const BIND = { kind: "tcp", host: "10.0.0.1", port: 7946 } as const;
const SELF = { name: "self", addr: Uint8Array.of(10, 0, 0, 1), port: 7946, meta: new Uint8Array() };

let clock: SimClock;
let counters: ClusterCounters;
let events: string[];
let notices: string[];
let leaving: Set<string>;
let queue: BroadcastQueue;
let members: Members;

beforeEach(() => {
  clock = new SimClock();
  counters = new ClusterCounters();
  events = [];
  notices = [];
  leaving = new Set();
  queue = new BroadcastQueue();
  members = new Members(
    {
      clock,
      counters,
      queue,
      awareness: new Awareness(8),
      isLeaving: (name) => leaving.has(name),
      events: {
        onJoin: ({ name }) => void events.push(`join ${name}`),
        onUpdate: ({ name }) => void events.push(`update ${name}`),
        onLeave: ({ name }, how) => void events.push(`${how} ${name}`),
        onConflict: (reason) => void events.push(reason),
        onNotice: (level, line) => {
          if (level === "warn") notices.push(line);
        },
      },
    },
    { ...LAN, bind: BIND, advertise: null, label: "" },
    SELF,
  );
});

function alive(node: string, incarnation: number, last = 2, meta = new Uint8Array()): void {
  const addr = Uint8Array.of(10, 0, 0, last);
  members.onAlive({
    kind: "alive",
    node,
    incarnation,
    addr,
    port: 7946,
    meta,
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
  test("alive needs a higher incarnation; suspect and dead need one that is not lower", () => {
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

  test("a suspect that does not object is dead, and one that objects is alive", () => {
    for (const name of ["a", "b"]) alive(name, 1, name === "a" ? 2 : 3);
    suspect("a", 1);
    suspect("b", 1);
    alive("b", 2, 3);
    clock.run(60_000);
    expect([state("a"), state("b")]).toEqual(["dead 1", "alive 2"]);
    expect(clock.pendingCount).toBe(0);
  });

  test("a member has left if it reports its own death, or announced its leave", () => {
    alive("a", 1);
    dead("a", 1, "a");
    alive("b", 1, 3);
    leaving.add("b");
    dead("b", 1);
    expect([state("a"), state("b")]).toEqual(["left 1", "left 1"]);
    expect(events.slice(-1)).toEqual(["left b"]);
  });

  test("changed metadata are one event, with their incarnation", () => {
    alive("a", 1);
    alive("a", 1, 2, Uint8Array.of(1));
    alive("a", 2, 2, Uint8Array.of(1));
    alive("a", 3, 2, Uint8Array.of(1));
    expect(events).toEqual(["join a", "update a"]);
  });

  test("suspect and dead claims about unknown members are ignored", () => {
    suspect("ghost", 1);
    dead("ghost", 1);
    expect([state("ghost"), queue.count]).toEqual(["unknown", 0]);
  });

  test("a name in use keeps its address, and the name of a gone node may move", () => {
    alive("a", 1, 2);
    alive("a", 9, 7);
    expect([state("a"), members.get("a")?.addr]).toEqual(["alive 1", "10.0.0.2"]);
    expect(counters.name_conflicts).toBe(1);
    dead("a", 1);
    alive("a", 9, 7);
    expect([state("a"), members.get("a")?.addr]).toEqual(["alive 9", "10.0.0.7"]);
  });

  test("past MEMBERS_MAX a new member is refused, with a warning", () => {
    for (let i = 0; i < MEMBERS_MAX + 5; i += 1) alive(`m${i}`, 1);
    expect([members.count, counters.members_refused]).toEqual([MEMBERS_MAX, 6]);
    expect(notices.at(-1)).toBe(
      'Cannot accept member "m1028": the cluster is full: it has 1024 members',
    );
    // A member that left or died makes room.
    dead("m0", 1, "m0");
    dead("m1", 1);
    alive("m1023", 1);
    alive("m1024", 1);
    expect([state("m1023"), state("m1024"), members.count]).toEqual([
      "alive 1",
      "alive 1",
      MEMBERS_MAX + 2,
    ]);
    // A member that returns may find the cluster full.
    alive("m0", 2);
    expect(state("m0")).toBe("left 1");
    alive("m3", 2);
    expect(state("m3")).toBe("alive 2");
  });

  test("gone members are forgotten in time, or when many more are gone", () => {
    alive("m0", 1);
    dead("m0", 1);
    clock.run(LAN.reapMs - 1);
    expect(members.reap()).toEqual([]);
    clock.run(LAN.reapMs + 1);
    expect(members.reap()).toEqual(["m0"]);
    expect(state("m0")).toBe("unknown");
    for (let i = 0; i < MEMBERS_GONE_MAX + 3; i += 1) {
      alive(`g${i}`, 1);
      dead(`g${i}`, 1, i % 2 === 0 ? `g${i}` : "other");
      clock.run(clock.now() + 1);
    }
    expect(["g0", "g1", "g2", "g3"].map(state)).toEqual([
      "unknown",
      "unknown",
      "unknown",
      "dead 1",
    ]);
    expect(members.count).toBe(1 + MEMBERS_GONE_MAX);
  });

  test("a member whose versions do not fit is refused, and not gossiped", () => {
    const vsns = [
      [1, 5, 2, 0, 0, 0] as const,
      [0, 0, 0, 0, 0, 0] as const,
      [2, 4, 4, 2, 5, 4] as const,
      [5, 5, 5, 2, 5, 4] as const,
      [1, 5, 1, 2, 5, 4] as const,
      [1, 6, 6, 2, 5, 4] as const,
      [1, 5, 2, 5, 5, 5] as const,
      [1, 5, 2, 2, 4, 4] as const,
      [1, 5, 2, 2, 6, 6] as const,
    ];
    const addr = Uint8Array.of(10, 0, 0, 9);
    const facts = { kind: "alive", incarnation: 1, addr, port: 7946, meta: addr } as const;
    for (const [i, vsn] of vsns.entries()) members.onAlive({ ...facts, node: `u${i}`, vsn });
    expect([members.count, queue.count, counters.members_unfit]).toEqual([1, 0, vsns.length]);
    expect(notices[0]).toBe(
      'Cannot accept member "u0": it speaks delegate protocol 0 and understands 0 to 0, ' +
        "but must understand 2 to 5: upgrade it",
    );
    // The versions of Serf 0.8, 0.9 and 0.10.
    for (const vsn of [[1, 5, 2, 2, 5, 4] as const, [1, 5, 2, 2, 5, 5] as const]) {
      members.onAlive({ ...facts, node: `fit${vsn[5]}`, vsn });
    }
    expect([state("fit4"), state("fit5")]).toEqual(["alive 1", "alive 1"]);
  });

  test("suspicion and death set the incarnation of their claim", () => {
    alive("a", 1);
    suspect("a", 7);
    expect(state("a")).toBe("suspect 7");
    alive("a", 7);
    expect(state("a")).toBe("suspect 7");
    alive("a", 8);
    dead("a", 20);
    expect(state("a")).toBe("dead 20");
    alive("a", 20);
    expect(state("a")).toBe("dead 20");
    alive("a", 21);
    expect(state("a")).toBe("alive 21");
  });

  test("a dead member can be given up or forgotten at once, and a live one cannot", () => {
    for (const [i, name] of ["a", "b", "c"].entries()) alive(name, 1, 2 + i);
    dead("a", 1);
    dead("b", 1);
    clock.run(1000);
    for (const name of ["a", "c", "nobody"]) members.giveUp(name, false);
    for (const name of ["b", "c"]) members.giveUp(name, true);
    members.giveUp("a", false);
    expect(["a", "b", "c"].map(state)).toEqual(["left 1", "unknown", "alive 1"]);
    expect(events.filter((it) => it.startsWith("left"))).toEqual(["left a", "left b"]);
    clock.run(LAN.reapMs + 1);
    expect(members.reap()).toEqual(["a"]);
  });

  test("a member is heard even after the highest incarnation", () => {
    alive("a", 5);
    for (const incarnation of [2 ** 31 - 1, 2 ** 32 - 1, 2 ** 31 + 5]) {
      dead("a", incarnation);
      alive("a", incarnation === 2 ** 32 - 1 ? 1 : incarnation + 1);
      expect(members.get("a")?.state).toBe("alive");
    }
    // Also for a member that was never there: one that joins with that name goes beyond it.
    alive("b", 2 ** 32 - 1, 3);
    alive("b", 1, 3);
    expect(state("b")).toBe("alive 1");
    // No old incarnation is news again.
    dead("b", 2 ** 32 - 1);
    expect(state("b")).toBe("alive 1");
  });

  test("a push/pull makes no member dead: its dead become suspects, its left have left", () => {
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
  test("as suspect or dead are refuted with a higher incarnation", () => {
    suspect("self", 1);
    expect(state("self")).toBe("alive 2");
    dead("self", 7);
    expect(state("self")).toBe("alive 8");
    suspect("self", 7);
    expect([state("self"), counters.refutes]).toEqual(["alive 8", 2]);
  });

  test("at the highest incarnation are refuted with 1, which is newer", () => {
    suspect("self", 2 ** 31 - 2);
    dead("self", 2 ** 32 - 3);
    expect(state("self")).toBe(`alive ${2 ** 32 - 2}`);
    dead("self", 2 ** 32 - 1);
    expect(state("self")).toBe("alive 1");
    members.setMeta(Uint8Array.of(1));
    expect(state("self")).toBe("alive 2");
    dead("self", 2 ** 32 - 1);
    expect(state("self")).toBe("alive 2");
  });

  test("from before a restart are refuted at once", () => {
    const meta = Uint8Array.of(255, 0x80);
    alive("self", 40, 1, meta);
    expect(state("self")).toBe("alive 41");
    alive("self", 41, 1);
    expect(state("self")).toBe("alive 41");
  });

  test("at another address are a conflict", () => {
    alive("self", 5, 66);
    expect(events).toEqual(['name "self" is taken by another node']);
    expect(state("self")).toBe("alive 1");
  });

  test("are not refuted once the node leaves", () => {
    members.leave();
    suspect("self", 9);
    dead("self", 9);
    expect(state("self")).toBe("left 1");
  });
});
