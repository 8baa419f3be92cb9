import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { SimNetwork } from "../../harness/sim/network.ts";
import { SimRecompressor } from "../../harness/sim/recompressor.ts";
import { type RecompressorSink, WARM_UP_PAGES } from "../cold/recompressor.ts";
import { Lz4 } from "../compress/lz4.ts";
import { Raw } from "../compress/raw.ts";
import { Log } from "../core/log.ts";
import { SeededRandom } from "../core/random.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { rehearse } from "./rehearsal.ts";

const MIB = 1024 * 1024;
const memory = new HeapMemory();
const codecs = [new Raw(memory), await Lz4.load(memory)] as const;

/** Counts its jobs and its dictionaries. */
class CountedRecompressor extends SimRecompressor {
  zpages = 0;
  isSilent = false;
  readonly numbers: number[] = [];
  readonly removed: number[] = [];

  override recompress(sink: RecompressorSink): void {
    this.zpages += this.batch.count;
    if (this.isSilent) return;
    super.recompress(sink);
  }

  override add(number: number, dictionary: Uint8Array): boolean {
    this.numbers.push(number);
    return super.add(number, dictionary);
  }

  override remove(number: number): void {
    this.removed.push(number);
    super.remove(number);
  }
}

/** A rehearsal under virtual time. `sizes`: of the process, after each burst, until the last one. */
function world(sizes: readonly number[], { stop = new AbortController(), cold = false } = {}) {
  const clock = new SimClock();
  const random = new SeededRandom(2);
  const recompressor = cold ? new CountedRecompressor({ clock, random }, codecs) : null;
  const network = new SimNetwork(clock, new SeededRandom(1));
  const env = {
    clock,
    transport: network.transport("127.0.0.1"),
    random,
    recompressor,
    memory,
    hostMemory: { read: () => null, process: () => ({}) },
    log: new Log(() => {}),
    disk: null,
  };
  let reads = -1;
  const residentBytes = (): number => {
    reads += 1;
    return sizes[Math.min(reads, sizes.length - 1)] ?? 0;
  };
  let result: unknown = null;
  const config = { codec: "wasm", placement: "blocks", seal: true } as const;
  const running = rehearse(env, codecs, {
    config,
    residentBytes,
    stop: stop.signal,
    isStandby: false,
  }).then(
    (done) => {
      result = done;
    },
    (error: unknown) => {
      result = error;
    },
  );
  const end = async () => {
    while (result === null) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      clock.step();
    }
    await running;
    return result;
  };
  return { clock, network, recompressor, end };
}

test("it ends a second after the process has stopped growing, and leaves nothing open", async () => {
  const steady = world([100 * MIB]);
  expect(await steady.end()).toMatchObject({ requestCount: expect.any(Number) });
  const steadyMs = steady.clock.now();
  expect(steadyMs).toBeGreaterThan(1000);
  const growing = world(Array.from({ length: 60 }, (_, index) => (100 + index) * MIB));
  const { requestCount } = (await growing.end()) as { requestCount: number };
  expect(requestCount).toBeGreaterThan(5000);
  expect(growing.clock.now()).toBeGreaterThan(steadyMs);
  expect(growing.network.streams.size).toBe(0);
  expect(growing.network.listenerCount).toBe(0);
});

test("a process that grows without end is left after a while", async () => {
  const sizes = (mib: number) => Array.from({ length: 1e5 }, (_, index) => index * mib * MIB);
  const slow = world(sizes(0.001));
  await slow.end();
  expect(slow.clock.now()).toBeLessThan(30_000);
  const quick = world(sizes(1));
  expect(await quick.end()).toMatchObject({ requestCount: expect.any(Number) });
  expect(quick.clock.now()).toBeLessThan(10_000);
});

test("a signal ends it", async () => {
  const stop = new AbortController();
  stop.abort();
  const { clock, network, end } = world([MIB], { stop });
  expect(await end()).toEqual({ requestCount: 0 });
  expect(clock.now()).toBeLessThan(1000);
  expect(network.streams.size).toBe(0);
});

test("the Worker for cold pages has its share, and its dictionary is gone afterwards", async () => {
  const { recompressor, end } = world([MIB], { cold: true });
  await end();
  expect(recompressor?.zpages).toBeGreaterThanOrEqual(WARM_UP_PAGES);
  expect(recompressor?.numbers).toEqual([1]);
  expect(recompressor?.removed).toEqual([1]);
});

test("a Worker that fails, or never answers, keeps no node from starting", async () => {
  const failing = world([MIB], { cold: true });
  if (failing.recompressor !== null) failing.recompressor.failPercent = 100;
  expect(await failing.end()).toMatchObject({ requestCount: expect.any(Number) });
  expect(failing.recompressor?.numbers).toEqual([]);
  const unusable = world([MIB], { cold: true });
  if (unusable.recompressor !== null) unusable.recompressor.isUsable = false;
  expect(await unusable.end()).toMatchObject({ requestCount: expect.any(Number) });
  const silent = world([MIB], { cold: true });
  if (silent.recompressor !== null) silent.recompressor.isSilent = true;
  expect(await silent.end()).toMatchObject({ requestCount: expect.any(Number) });
  expect(silent.recompressor?.isUsable).toBe(false);
});

test("a network that takes nothing along ends it, and so does a signal meanwhile", async () => {
  const cut = world([MIB]);
  cut.network.block("127.0.0.1", "127.0.0.1");
  expect(await cut.end()).toMatchObject({ code: "TIMED_OUT" });
  expect(cut.network.listenerCount).toBe(0);
  const stop = new AbortController();
  const stopped = world([MIB], { stop });
  stopped.network.block("127.0.0.1", "127.0.0.1");
  stopped.clock.after(3000, () => stop.abort());
  expect(await stopped.end()).toEqual({ requestCount: 0 });
  expect(stopped.clock.now()).toBeLessThan(10_000);
});
