import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { COLLECT_BYTES_MIN, Collector } from "./collector.ts";

/** Garbage comes at a rate, and all of it goes at a collection. */
function world(aliveBytes: number, bytesPerSecond: number) {
  const clock = new SimClock();
  let collections = 0;
  let sinceMs = 0;
  let most = 0;
  const byteCount = () => {
    const bytes = aliveBytes + (bytesPerSecond * (clock.now() - sinceMs)) / 1000;
    most = Math.max(most, bytes);
    return bytes;
  };
  const collect = () => {
    collections += 1;
    sinceMs = clock.now();
  };
  const collector = new Collector(clock, { byteCount, collect });
  collector.start();
  return { clock, collector, counts: () => ({ collections, most }) };
}

test("garbage is bounded, and a node that makes none has nothing collected", () => {
  const busy = world(8e6, 1e6);
  busy.clock.run(100_000);
  const { collections, most } = busy.counts();
  expect(most).toBeLessThanOrEqual(8e6 + COLLECT_BYTES_MIN + 2e6);
  expect(collections).toBeGreaterThan(10);
  expect(collections).toBeLessThan(30);
  const idle = world(8e6, 0);
  idle.clock.run(100_000);
  expect(idle.counts().collections).toBe(0);
});

test("where much is alive, garbage may be half of that", () => {
  const { clock, counts } = world(100e6, 10e6);
  clock.run(50_000);
  expect(counts().most).toBeGreaterThan(149e6);
  expect(counts().most).toBeLessThan(161e6);
});

test("one that is stopped looks no more", () => {
  const { clock, collector, counts } = world(1e6, 10e6);
  collector.stop();
  clock.run(10_000);
  expect(counts().collections).toBe(0);
});
