/** The recompressor over Workers that are played by the test, in virtual time. */
import { describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { CODEC } from "../compress/codec.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { Log } from "../core/log.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import type { RecompressorSink } from "./recompressor.ts";
import type { WorkerEvents } from "./start-worker.ts";
import { FAILURES_MAX, WorkerRecompressor } from "./worker-recompressor.ts";

/** A Worker that does what the test says. */
class FakeWorker {
  readonly got: ToWorker[] = [];
  readonly events: WorkerEvents;
  isTerminated = false;

  constructor(events: WorkerEvents) {
    this.events = events;
  }

  post(message: ToWorker): void {
    this.got.push(message);
  }

  terminate(): void {
    this.isTerminated = true;
  }

  say(message: FromWorker): void {
    this.events.onMessage(message);
  }

  kinds(): string[] {
    return this.got.map(({ kind }) => kind);
  }
}

const DONE: FromWorker = { kind: "recompressed", busyMs: 2, badInputs: 0, wrongOutputs: 0 };

class Rig implements RecompressorSink {
  readonly clock = new SimClock();
  readonly workers: FakeWorker[] = [];
  readonly lines: string[] = [];
  readonly heard: string[] = [];
  /** Whether a Worker can be started. */
  canStart = true;
  readonly recompressor: WorkerRecompressor;

  constructor(zstdPath: string | null = "/lib/libzstd.so.1") {
    const start = (events: WorkerEvents): FakeWorker => {
      if (!this.canStart) throw new Error("no thread");
      const worker = new FakeWorker(events);
      this.workers.push(worker);
      return worker;
    };
    const log = new Log((level, _, line) => this.lines.push(`${level}: ${line}`));
    const decompressor = zstdPath === null ? null : { add: () => true, remove: () => {} };
    const options = { library: "libzstd 1.2.3", lz4Path: null, zstdPath, decompressor };
    this.recompressor = new WorkerRecompressor({ clock: this.clock, log, start }, options);
  }

  onRecompressed(isDone: boolean, busyMs: number): void {
    this.heard.push(`${isDone} ${busyMs}`);
  }

  onTrained(dictionary: Uint8Array | null, busyMs: number): void {
    this.heard.push(`${dictionary?.length ?? "none"} ${busyMs}`);
  }

  /** The Worker of now. */
  get worker(): FakeWorker {
    const worker = this.workers.at(-1);
    if (worker === undefined) throw new Error("there is no Worker");
    return worker;
  }

  begin(dictionary = 0): void {
    const { batch } = this.recompressor;
    if (batch.count === 0) batch.add(new Uint8Array(PAGE_BYTES), CODEC.RAW);
    batch.dictionaries[0] = dictionary;
    this.recompressor.recompress(this);
  }

  pass(ms: number): void {
    this.clock.run(this.clock.now() + ms);
  }
}

test("a job waits until the Worker is ready, and dictionaries come before it", () => {
  const rig = new Rig();
  const { recompressor } = rig;
  expect([recompressor.library, recompressor.hasDictionaries]).toEqual(["libzstd 1.2.3", true]);
  recompressor.add(1, new Uint8Array(10));
  recompressor.add(2, new Uint8Array(20));
  recompressor.remove(1);
  rig.begin(2);
  expect(rig.worker.kinds()).toEqual(["open"]);
  rig.worker.say({ kind: "ready" });
  expect(rig.worker.kinds()).toEqual(["open", "add", "recompress"]);
  expect(rig.worker.got[2]).toEqual({ kind: "recompress", count: 1 });
  expect(rig.heard).toEqual([]);
  rig.worker.say(DONE);
  expect(rig.heard).toEqual(["true 2"]);
  recompressor.add(1, new Uint8Array(10));
  recompressor.remove(2);
  expect(rig.worker.kinds().slice(3)).toEqual(["add", "remove"]);
  recompressor.train(recompressor.newSamples(), rig);
  const dictionary = new Uint8Array(7);
  rig.worker.say({ kind: "trained", busyMs: 99, dictionary, badInputs: 0, wrongOutputs: 0 });
  expect(rig.heard).toEqual(["true 2", "7 99"]);
  expect(rig.clock.pendingCount).toBe(0);
  expect(rig.lines).toEqual([]);
});

test("pages that fail are counted, and logged", () => {
  const rig = new Rig();
  rig.worker.say({ kind: "ready" });
  rig.begin();
  rig.worker.say({ kind: "recompressed", busyMs: 1, badInputs: 2, wrongOutputs: 3 });
  expect(rig.recompressor.faults).toEqual({ badInputs: 2, wrongOutputs: 3 });
  expect(rig.heard).toEqual(["true 1"]);
  expect(rig.lines).toEqual([
    "warn: cold pages do not decompress: 2",
    "warn: cold pages stay as they are, libzstd 1.2.3 compressed them wrongly: 3",
  ]);
});

describe("a Worker that fails", () => {
  const WAYS: readonly [string, (rig: Rig) => void, string][] = [
    ["ends", (rig) => rig.worker.events.onEnd("it ended with code 7"), "it ended with code 7"],
    ["says so", (rig) => rig.worker.say({ kind: "failed", reason: "no memory" }), "no memory"],
    ["does not answer", (rig) => rig.pass(30_000), "no answer within 30 s"],
    ["sends nonsense", (rig) => rig.worker.events.onMessage(null), "it sent what is no message"],
    [
      "answers what was not asked",
      (rig) => {
        const faults = { badInputs: 0, wrongOutputs: 0 };
        rig.worker.say({ kind: "trained", busyMs: 0, dictionary: null, ...faults });
      },
      "it answered what was not asked",
    ],
  ];

  test.each(WAYS)("and %s: its job fails, and another one gets the next", (_, failing, reason) => {
    const rig = new Rig();
    const { recompressor } = rig;
    recompressor.add(9, new Uint8Array(5));
    rig.worker.say({ kind: "ready" });
    rig.begin();
    const { buffer } = recompressor.batch;
    const first = rig.worker;
    failing(rig);
    expect(rig.heard).toEqual(["false 0"]);
    expect(first.isTerminated).toBe(true);
    expect(recompressor.isUsable).toBe(true);
    const line = "the Worker for cold pages has failed, another one follows";
    expect(rig.lines).toEqual([`info: ${line}: ${reason}`]);
    // The first one may still write.
    expect(recompressor.batch.buffer).not.toBe(buffer);
    expect(recompressor.batch.count).toBe(0);
    rig.begin(9);
    rig.pass(999);
    expect(rig.workers.length).toBe(1);
    rig.pass(1);
    expect(rig.workers.length).toBe(2);
    expect(rig.worker.got[0]).toMatchObject({ kind: "open", buffer: recompressor.batch.buffer });
    // What the first one still says does not count.
    first.say({ kind: "ready" });
    first.say(DONE);
    first.events.onEnd("it ended with code 0");
    expect(rig.worker.kinds()).toEqual(["open"]);
    rig.worker.say({ kind: "ready" });
    expect(rig.worker.kinds()).toEqual(["open", "add", "recompress"]);
    rig.worker.say(DONE);
    expect(rig.heard).toEqual(["false 0", "true 2"]);
    expect(rig.recompressor.failures).toBe(1);
    expect(rig.clock.pendingCount).toBe(0);
  });

  test("again and again is given up after growing pauses, with one line", () => {
    const rig = new Rig();
    const startedMs = [0];
    for (let i = 1; i < FAILURES_MAX; i += 1) {
      rig.worker.events.onEnd("odd");
      while (rig.workers.length === i) rig.pass(1);
      startedMs.push(rig.clock.now());
    }
    expect(startedMs).toEqual([0, 1000, 3000, 7000, 15_000]);
    rig.begin();
    expect(rig.recompressor.isUsable).toBe(true);
    rig.worker.events.onEnd("odd");
    expect(rig.heard).toEqual(["false 0"]);
    expect(rig.recompressor.isUsable).toBe(false);
    expect(rig.lines.slice(-1)).toEqual([
      "warn: cold pages are no longer compressed again, their Worker has failed too often: odd",
    ]);
    rig.pass(1_000_000);
    expect([rig.workers.length, rig.lines.length]).toEqual([FAILURES_MAX, FAILURES_MAX]);
    expect(rig.clock.pendingCount).toBe(0);
    expect(() => rig.begin()).toThrow("a job is under way, or there is no Worker");
    // Dictionaries may still go.
    rig.recompressor.add(1, new Uint8Array(1));
    rig.recompressor.remove(1);
    rig.recompressor.close();
  });

  test("now and then is not given up", () => {
    const rig = new Rig();
    for (let i = 0; i < 3 * FAILURES_MAX; i += 1) {
      rig.worker.say({ kind: "ready" });
      rig.begin();
      rig.worker.say(DONE);
      rig.worker.events.onEnd("odd");
      rig.pass(1000);
    }
    expect([rig.recompressor.isUsable, rig.workers.length]).toEqual([true, 16]);
  });

  test("to start, or to become ready in time, is one that fails", async () => {
    const rig = new Rig();
    rig.pass(30_000);
    await rig.recompressor.started;
    rig.canStart = false;
    rig.pass(100_000);
    expect(rig.recompressor.isUsable).toBe(false);
    expect(rig.lines[1]).toContain("another one follows: no thread");
  });

  test("has more time to train, and then there is no dictionary", () => {
    const rig = new Rig();
    rig.worker.say({ kind: "ready" });
    rig.recompressor.train(rig.recompressor.newSamples(), rig);
    rig.pass(599_999);
    expect(rig.heard).toEqual([]);
    rig.pass(1);
    expect(rig.heard).toEqual(["none 0"]);
  });
});

test("close() ends the Worker, and no job calls back", async () => {
  const rig = new Rig();
  rig.worker.say({ kind: "ready" });
  rig.begin();
  rig.recompressor.close();
  expect(rig.worker.isTerminated).toBe(true);
  rig.worker.say(DONE);
  rig.worker.events.onEnd("it ended with code 0");
  rig.pass(1_000_000);
  expect([rig.heard, rig.lines, rig.workers.length]).toEqual([[], [], 1]);
  expect([rig.recompressor.isUsable, rig.clock.pendingCount]).toEqual([false, 0]);
  await rig.recompressor.started;
});

test("refuses what breaks its contract", () => {
  const rig = new Rig();
  const { recompressor } = rig;
  expect(() => recompressor.recompress(rig)).toThrow("the batch is empty");
  expect(() => rig.begin(4)).toThrow("there is no such dictionary");
  recompressor.add(4, new Uint8Array(1));
  expect(() => recompressor.add(4, new Uint8Array(1))).toThrow();
  expect(() => recompressor.remove(5)).toThrow("there is no such dictionary");
  rig.begin();
  expect(() => rig.begin()).toThrow("a job is under way");
  const without = new Rig(null);
  expect(without.recompressor.hasDictionaries).toBe(false);
  expect(() => without.recompressor.add(1, new Uint8Array(1))).toThrow("without libzstd");
  const samples = without.recompressor.newSamples();
  expect(() => without.recompressor.train(samples, without)).toThrow("without libzstd");
});
