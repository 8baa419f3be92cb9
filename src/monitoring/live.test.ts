import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { nodeStats } from "../../harness/stress/node-stats.ts";
import { LIVE_EVENTS_MAX, LIVE_SHARE } from "../core/monitoring-limits.ts";
import { LIVE_START, Live, type LiveMessage } from "./live.ts";

function world() {
  const clock = new SimClock();
  const live = new Live(clock);
  const { events } = live;
  const second = (costMs = 0) => {
    clock.run(clock.now() + 1000);
    const stop = costMs === 0 ? () => {} : live.watch(() => clock.run(clock.now() + costMs));
    live.observe(nodeStats(1));
    stop();
  };
  const read = (cursor = LIVE_START) => {
    const message = live.messageAfter(cursor);
    if (message === null) throw new Error("there is no report");
    return { ...(JSON.parse(message.text) as LiveMessage), next: message.next };
  };
  return { clock, events, live, second, read };
}

test("before the first report there is no message", () => {
  expect(world().live.messageAfter(LIVE_START)).toBeNull();
});

test("the first message has what is kept, later ones what is new", () => {
  const { events, second, read } = world();
  for (let i = 0; i < 5; i += 1) second();
  events.add("died", "one");
  second();
  const first = read();
  expect(first.overview.seconds).toBe(1);
  expect([first.events.length, first.minutes.rows.length]).toEqual([1, 2]);
  expect(read(first.next)).toMatchObject({ events: [], minutes: { rows: [] } });
  events.add("died", "two");
  second();
  const later = read(first.next);
  expect(later.events.map(({ text }) => text)).toEqual(["two"]);
  expect(later.minutes.rows).toHaveLength(1);
});

test("a watcher that got nothing for a while gets all events and rows that it missed", () => {
  const { events, second, read } = world();
  second();
  const { next } = read();
  for (let i = 0; i < 10; i += 1) {
    events.add("died", String(i));
    second();
  }
  expect(read(next).events).toHaveLength(10);
  expect(read(next).minutes.rows).toHaveLength(5);
});

test("the first message has a bounded number of events", () => {
  const { events, second, read } = world();
  for (let i = 0; i < 2 * LIVE_EVENTS_MAX; i += 1) events.add("died", String(i));
  second();
  expect(read().events).toHaveLength(LIVE_EVENTS_MAX);
  expect(read().events.at(-1)?.text).toBe(String(2 * LIVE_EVENTS_MAX - 1));
});

test("a watcher is told of each report until it stops", () => {
  const { live, second } = world();
  let count = 0;
  const stop = live.watch(() => {
    count += 1;
  });
  second();
  second();
  stop();
  second();
  expect(count).toBe(2);
});

test("watchers that cost much are told more seldom", () => {
  const { live, second } = world();
  let count = 0;
  live.watch(() => {
    count += 1;
  });
  const costMs = 30;
  for (let i = 0; i < 30; i += 1) second(costMs);
  // A message of 30 ms may come every 3 s.
  expect(count).toBeLessThanOrEqual(Math.ceil((30 * 1000 * LIVE_SHARE) / costMs) + 1);
  expect(count).toBeGreaterThan(5);
});
