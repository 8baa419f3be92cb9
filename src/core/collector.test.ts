import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import {
  BUFFER_GARBAGE_BYTES_MAX,
  Collector,
  OBJECT_GARBAGE_BYTES_MIN,
  OLD_BUFFER_BYTES_MAX,
} from "./collector.ts";

interface Rates {
  readonly objectsAlive: number;
  /** Bytes of garbage a second. */
  readonly objects: number;
  readonly buffers: number;
  /** Bytes of buffers that are in use at each collection of new objects. None by default. */
  readonly buffersInUse?: number;
}

/**
 * Garbage comes at a rate, and goes at a collection: objects at a full one, and buffers at either.
 * Buffers in use at a collection of new objects go at a full one.
 */
function world(rates: Rates) {
  const clock = new SimClock();
  const counts = { all: 0, new: 0, mostBlocks: 0, mostBuffers: 0 };
  let allMs = 0;
  let anyMs = 0;
  let oldBuffers = 0;
  const grown = (rate: number, sinceMs: number) => (rate * (clock.now() - sinceMs)) / 1000;
  const use = () => {
    const blockBytes = rates.objectsAlive + grown(rates.objects, allMs);
    const bufferBytes = 4e9 + oldBuffers + grown(rates.buffers, anyMs);
    counts.mostBlocks = Math.max(counts.mostBlocks, blockBytes);
    counts.mostBuffers = Math.max(counts.mostBuffers, bufferBytes);
    return { blockBytes, objectBytes: rates.objectsAlive, bufferBytes };
  };
  const collectNew = () => {
    counts.new += 1;
    oldBuffers += rates.buffersInUse ?? 0;
    anyMs = clock.now();
  };
  const collectAll = () => {
    counts.all += 1;
    oldBuffers = 0;
    anyMs = clock.now();
    allMs = anyMs;
  };
  const collector = new Collector(clock, { use, collectNew, collectAll });
  collector.start();
  return { clock, collector, counts };
}

test("garbage objects are bounded, by collecting all objects now and then", () => {
  const { clock, counts } = world({ objectsAlive: 8e6, objects: 1e6, buffers: 0 });
  clock.run(100_000);
  expect(counts.mostBlocks).toBeLessThanOrEqual(8e6 + OBJECT_GARBAGE_BYTES_MIN + 1e6);
  expect(counts.all).toBeGreaterThan(10);
  expect(counts.all).toBeLessThan(13);
  expect(counts.new).toBe(0);
});

test("garbage objects may be half as large as what is alive", () => {
  const { clock, counts } = world({ objectsAlive: 100e6, objects: 10e6, buffers: 0 });
  clock.run(50_000);
  expect(counts.mostBlocks).toBeGreaterThan(149e6);
  expect(counts.mostBlocks).toBeLessThan(153e6);
});

test("garbage buffers are bounded by collecting new objects, however much is mapped", () => {
  const { clock, counts } = world({ objectsAlive: 8e6, objects: 0, buffers: 10e6 });
  clock.run(100_000);
  expect(counts.mostBuffers).toBeLessThanOrEqual(4e9 + BUFFER_GARBAGE_BYTES_MAX + 3e6);
  expect(counts.new).toBeGreaterThan(50);
  expect(counts.new).toBeLessThan(60);
  expect(counts.all).toBe(0);
});

test("buffers that were in use at a collection are bounded by collecting all objects", () => {
  const rates = { objectsAlive: 8e6, objects: 0, buffers: 100e6, buffersInUse: 12e6 };
  const { clock, counts } = world(rates);
  clock.run(100_000);
  const newMost = BUFFER_GARBAGE_BYTES_MAX + 25e6;
  expect(counts.mostBuffers).toBeLessThanOrEqual(4e9 + OLD_BUFFER_BYTES_MAX + newMost);
  // Three collections of new objects leave 36e6 bytes.
  expect(counts.all).toBeGreaterThan(100);
  expect(counts.all * 3).toBe(counts.new - (counts.new % 3));
});

test("nothing is collected without garbage", () => {
  const { clock, counts } = world({ objectsAlive: 8e6, objects: 0, buffers: 0 });
  clock.run(100_000);
  expect(counts.all + counts.new).toBe(0);
});

test("a stopped collector checks no more", () => {
  const { clock, collector, counts } = world({ objectsAlive: 1e6, objects: 10e6, buffers: 90e6 });
  collector.stop();
  clock.run(10_000);
  expect(counts.all + counts.new).toBe(0);
});
