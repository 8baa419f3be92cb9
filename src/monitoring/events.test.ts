import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { nodeStats } from "../../harness/stress/node-stats.ts";
import { BODY_BYTES_MAX } from "../core/limits.ts";
import { EVENTS_KEPT } from "../core/monitoring-limits.ts";
import type { MemberStats, NodeStats } from "../wire/stats.ts";
import { EventRing, EventSource } from "./events.ts";

/** The events of a node whose reports follow each other at intervals of a second. */
class World {
  readonly clock = new SimClock();
  readonly ring = new EventRing(this.clock);
  private readonly source = new EventSource(this.clock, this.ring);
  private seen = 0;

  /** @returns the new events. */
  observe(own: Parameters<typeof nodeStats>[1] = {}): string[] {
    this.clock.run(this.clock.now() + 1000);
    this.source.observe(nodeStats(1, own));
    const events = this.ring.after(this.seen);
    this.seen = events.at(-1)?.number ?? this.seen;
    return events.map(({ kind, text }) => `${kind}: ${text}`);
  }
}

function member(name: string, state: MemberStats["state"], drained = false): MemberStats {
  const numbers = {
    number: 2,
    incarnation: 1,
    lend_frames: 0,
    free_frames: 0,
    foreign_pages: 0,
    own_frames: 0,
    pressure: 0,
  };
  const nulls = { rtt_ms: null, boot_id: null, zone: null, target: null, role: null };
  return { ...numbers, ...nulls, name, state, drained, address: "10.0.0.2:7946", note: "" };
}

test("begins with the verdict, and has one more when it changes", () => {
  const world = new World();
  expect(world.observe()).toEqual(["verdict: HEALTHY: all pages are here"]);
  expect(world.observe()).toEqual([]);
  const lost = { state: "LOST", name: "lost", level: 2, reason: "why", advice: "wait" } as const;
  expect(world.observe({ findings: [lost] })).toEqual(["verdict: LOST: why; wait"]);
  expect(world.observe({ findings: [{ ...lost, reason: "other figures" }] })).toEqual([]);
});

test("members come and go", () => {
  const world = new World();
  world.observe({ members: [member("n1", "alive"), member("b", "alive")] });
  const next = (...members: MemberStats[]) => world.observe({ members });
  expect(next(member("b", "alive"), member("c", "alive"))).toEqual([
    'joined: "c" joined the cluster',
  ]);
  expect(next(member("b", "suspect"), member("c", "left"))).toEqual([
    'suspected: "b" does not answer',
    'left: "c" left the cluster',
  ]);
  expect(next(member("b", "dead"), member("c", "alive"))).toEqual([
    'died: "b" is dead',
    'joined: "c" joined the cluster',
  ]);
  expect(next(member("b", "alive"), member("c", "alive", true))).toEqual([
    'recovered: "b" answers again',
    'drained: "c" is drained',
  ]);
  expect(next(member("b", "alive"), member("c", "alive"))).toEqual(['undrained: "c" lends again']);
  // What was dead or had left before this node joined is no news.
  expect(next(member("d", "dead"), member("e", "left"))).toEqual([]);
});

test("pages at risk are repaired after a while", () => {
  const world = new World();
  world.observe();
  expect(world.observe({ repair: { pages_at_risk: 900 } })).toEqual([]);
  expect(world.observe({ repair: { pages_at_risk: 1200 } })).toEqual([]);
  expect(world.observe()).toEqual([
    "repaired: all pages have their copies: at most 1,200 pages were at risk, for 2s",
  ]);
});

test("counters that rise make one event in ten seconds, with their sum", () => {
  const world = new World();
  const at = (failed: number) => world.observe({ counters: { nbd_errors: failed } });
  expect(at(5)).toEqual(["verdict: HEALTHY: all pages are here"]); // From before.
  expect(at(6)).toEqual(["failed: requests of block devices failed: 1"]);
  const next = Array.from({ length: 12 }, (_, i) => at(7 + i)).flat();
  expect(next).toEqual(["failed: requests of block devices failed: 10"]);
});

test.each<[string, NodeStats["counters"]]>([
  ["lost: 7 pages were lost: no node keeps a copy any more", { remote_pers_pages_lost: 7 }],
  ["refused: 7 pages were refused", { failed_pers_puts: 7 }],
  ["evicted: 7 pages were evicted from ephemeral pools", { foreign_evicted_eph_zpages: 7 }],
  [
    "pressure: the node lends less, since its machine is short of memory",
    { lend_pressure_shrinks: 7 },
  ],
])("%s", (text, counters) => {
  const world = new World();
  world.observe();
  expect(world.observe({ counters })).toEqual([text]);
});

test("a node that is drained", () => {
  const world = new World();
  world.observe({ knobs: { draining: "0" } });
  expect(world.observe({ knobs: { draining: "1" } })).toEqual([
    "drained: the node is being drained",
  ]);
  expect(world.observe({ knobs: { draining: "0" } })).toEqual([
    "undrained: the node is in use again",
  ]);
});

test("the ring keeps the last events, with their numbers and ages", () => {
  const clock = new SimClock();
  const ring = new EventRing(clock);
  for (let i = 1; i <= EVENTS_KEPT + 10; i += 1) ring.add("died", `text ${i}`);
  clock.run(clock.now() + 2500);
  const all = ring.after(0);
  expect(all).toHaveLength(EVENTS_KEPT);
  expect(all[0]).toEqual({ number: 11, kind: "died", text: "text 11", age_ms: 2500 });
  expect(ring.after(EVENTS_KEPT + 9).map(({ number }) => number)).toEqual([EVENTS_KEPT + 10]);
  expect(ring.after(EVENTS_KEPT + 10)).toEqual([]);
});

test("all events of any text fit one message", () => {
  const ring = new EventRing(new SimClock());
  for (let i = 0; i < EVENTS_KEPT; i += 1) ring.add("verdict", "\u0001\u{1f600}\n".repeat(10_000));
  expect(Buffer.byteLength(JSON.stringify(ring.after(0)))).toBeLessThan(BODY_BYTES_MAX / 2);
});
