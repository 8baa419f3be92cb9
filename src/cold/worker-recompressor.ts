/**
 * WorkerRecompressor: a Recompressor over one Worker at a time.
 *
 *     started -> ready -> job -> ready ...
 *        \_________\________\___> failed -> after a pause, another one is started
 *
 * A Worker that ends, throws, or does not answer in time has failed. So has its job. It may still
 * write to the batch, so the next one has other memory. After FAILURES_MAX failures without a job
 * that was done there is no next one. A job that comes during the pause waits for its end.
 *
 * In swap mode (node/swap-mode.ts) the memory of the first Worker is locked with all other. That of
 * a later one is locked soon after it is ready.
 *
 * Not here: what a job does (recompression.ts), and what a Worker is (start-worker.ts).
 */
import { DICTIONARY_NUMBER_MAX, type ZstdWithDictionaries } from "../compress/native/zstd.ts";
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";
import type { Faults, FromWorker, WorkerSettings } from "./messages.ts";
import {
  BATCH_ZPAGES,
  type Recompressor,
  type RecompressorSink,
  SAMPLE_ZPAGES,
} from "./recompressor.ts";
import type { StartedWorker, StartWorker } from "./start-worker.ts";
import { ZpageBatch } from "./zpage-batch.ts";

/** A batch takes milliseconds, and a start some ten of them. */
const ANSWER_MS_MAX = 30_000;
/**
 * Training is one call of 0.2 s. At the lowest priority, on a machine that is busy all the time, it
 * may take hundreds of times as long.
 */
const TRAINING_MS_MAX = 600_000;

export const FAILURES_MAX = 5;
/** Before the second Worker. The pause doubles with each failure in a row. */
const PAUSE_MS_MIN = 1000;

export interface WorkerEnvironment {
  readonly clock: Clock;
  readonly log: Log;
  readonly start: StartWorker;
}

/** What decompresses with dictionaries on the thread that serves. */
type Decompressor = Pick<ZstdWithDictionaries, "add" | "remove">;

export interface WorkerRecompressorOptions extends WorkerSettings {
  readonly library: string;
  /** Gets the dictionaries too, for the thread that serves. Null: there are none. */
  readonly decompressor: Decompressor | null;
}

type Job =
  | { readonly kind: "recompress"; readonly sink: RecompressorSink }
  | { readonly kind: "train"; readonly samples: ZpageBatch; readonly sink: RecompressorSink };

export class WorkerRecompressor implements Recompressor {
  readonly library: string;
  readonly hasDictionaries: boolean;
  readonly sampleZpages = SAMPLE_ZPAGES;
  readonly batch = ZpageBatch.make(BATCH_ZPAGES);
  /** Resolves when the first Worker is ready, or has failed. */
  readonly started: Promise<void>;
  /** Inputs that did not decompress, and outputs that did not give their page back. */
  readonly faults = { badInputs: 0, wrongOutputs: 0 };
  /** Workers that have failed. */
  failures = 0;
  private readonly env: WorkerEnvironment;
  private readonly settings: WorkerSettings;
  private readonly decompressor: Decompressor | null;
  private readonly timers: Timers;
  private readonly dictionaries = new Map<number, Uint8Array>();
  private resolveStarted: () => void = () => {};
  private worker: StartedWorker | null = null;
  private isReady = false;
  private job: Job | null = null;
  private failuresInARow = 0;
  private isClosed = false;

  constructor(env: WorkerEnvironment, options: WorkerRecompressorOptions) {
    const { library, decompressor, ...settings } = options;
    this.env = env;
    this.settings = settings;
    this.decompressor = decompressor;
    this.library = library;
    this.hasDictionaries = decompressor !== null;
    this.timers = new Timers(env.clock);
    this.started = new Promise((resolve) => {
      this.resolveStarted = resolve;
    });
    this.start();
  }

  get isUsable(): boolean {
    return !this.isClosed && this.failuresInARow < FAILURES_MAX;
  }

  get isStarting(): boolean {
    return this.worker !== null && !this.isReady;
  }

  recompress(sink: RecompressorSink): void {
    const { count, capacity, dictionaries } = this.batch;
    assert(count >= 1 && count <= capacity, "the batch is empty");
    for (const number of dictionaries.subarray(0, count)) {
      assert(number === 0 || this.dictionaries.has(number), "there is no such dictionary");
    }
    this.begin({ kind: "recompress", sink });
  }

  train(samples: ZpageBatch, sink: RecompressorSink): void {
    assert(this.hasDictionaries, "there are no dictionaries without libzstd");
    this.begin({ kind: "train", samples, sink });
  }

  newSamples(): ZpageBatch {
    return ZpageBatch.make(SAMPLE_ZPAGES);
  }

  add(number: number, dictionary: Uint8Array): boolean {
    const { decompressor } = this;
    assert(decompressor !== null, "there are no dictionaries without libzstd");
    assert(number >= 1 && number <= DICTIONARY_NUMBER_MAX && !this.dictionaries.has(number));
    if (!decompressor.add(number, dictionary)) return false;
    const copy = dictionary.slice();
    this.dictionaries.set(number, copy);
    if (this.isReady) this.worker?.post({ kind: "add", number, dictionary: copy });
    return true;
  }

  remove(number: number): void {
    const wasThere = this.dictionaries.delete(number);
    assert(wasThere, "there is no such dictionary");
    this.decompressor?.remove(number);
    if (this.isReady) this.worker?.post({ kind: "remove", number });
  }

  close(): void {
    this.isClosed = true;
    this.job = null;
    this.dictionaries.clear();
    this.end();
    this.resolveStarted();
  }

  private begin(job: Job): void {
    assert(this.isUsable && this.job === null, "a job is under way, or there is no Worker");
    this.job = job;
    if (this.isReady) this.send(job);
  }

  private send(job: Job): void {
    if (job.kind === "recompress") {
      this.worker?.post({ kind: "recompress", count: this.batch.count });
    } else {
      const { buffer, capacity, count } = job.samples;
      this.worker?.post({ kind: "train", buffer, capacity, count });
    }
    this.expect(job.kind === "train" ? TRAINING_MS_MAX : ANSWER_MS_MAX);
  }

  private expect(msMax: number): void {
    const seconds = msMax / 1000;
    this.timers.after("answer", msMax, () => this.fail(`no answer within ${seconds} s`));
  }

  private start(): void {
    // Events of a Worker that was given up come late.
    const ifCurrent = (act: () => void): void => {
      if (this.worker === worker) act();
    };
    let worker: StartedWorker | null = null;
    try {
      worker = this.env.start({
        onMessage: (message) => ifCurrent(() => this.take(message as FromWorker | null)),
        onEnd: (reason) => ifCurrent(() => this.fail(reason)),
      });
    } catch (error) {
      return this.fail(error instanceof Error ? error.message : String(error));
    }
    this.worker = worker;
    worker.post({ kind: "open", buffer: this.batch.buffer, ...this.settings });
    this.expect(ANSWER_MS_MAX);
  }

  private take(message: FromWorker | null): void {
    switch (message?.kind) {
      case "ready":
        return this.becomeReady();
      case "recompressed":
        return this.finish("recompress", message, ({ sink }) => {
          sink.onRecompressed(true, message.busyMs);
        });
      case "trained":
        return this.finish("train", message, ({ sink }) => {
          sink.onTrained(message.dictionary, message.busyMs);
        });
      case "failed":
        return this.fail(message.reason);
      default:
        return this.fail("it sent what is no message");
    }
  }

  private becomeReady(): void {
    if (this.isReady) return;
    this.isReady = true;
    this.timers.stop();
    for (const [number, dictionary] of this.dictionaries) {
      this.worker?.post({ kind: "add", number, dictionary });
    }
    if (this.job !== null) this.send(this.job);
    this.resolveStarted();
  }

  private finish(kind: Job["kind"], faults: Faults, report: (job: Job) => void): void {
    const { job } = this;
    if (job?.kind !== kind) return this.fail("it answered what was not asked");
    this.timers.stop();
    this.job = null;
    this.failuresInARow = 0;
    this.note(faults);
    report(job);
  }

  private note({ badInputs, wrongOutputs }: Faults): void {
    const { log } = this.env;
    this.faults.badInputs += badInputs;
    this.faults.wrongOutputs += wrongOutputs;
    if (badInputs > 0) log.write("warn", "ramster", `cold pages do not decompress: ${badInputs}`);
    if (wrongOutputs > 0) {
      const line = `cold pages stay as they are, ${this.library} compressed them wrongly`;
      log.write("warn", "ramster", `${line}: ${wrongOutputs}`);
    }
  }

  private fail(reason: string): void {
    const { job } = this;
    this.job = null;
    this.failures += 1;
    this.failuresInARow += 1;
    this.end();
    // The one that has failed may still run.
    this.batch.moveTo(ZpageBatch.make(BATCH_ZPAGES).buffer);
    if (this.isUsable) {
      const line = `the Worker for cold pages has failed, another one follows: ${reason}`;
      this.env.log.write("info", "ramster", line);
      const pauseMs = PAUSE_MS_MIN * 2 ** (this.failuresInARow - 1);
      this.timers.after("start", pauseMs, () => this.start());
    } else {
      const line = "cold pages are no longer compressed again, their Worker has failed too often";
      this.env.log.write("warn", "ramster", `${line}: ${reason}`);
    }
    if (job?.kind === "recompress") job.sink.onRecompressed(false, 0);
    if (job?.kind === "train") job.sink.onTrained(null, 0);
    this.resolveStarted();
  }

  /** Ends the Worker, and what is expected of it. */
  private end(): void {
    this.timers.stop();
    this.isReady = false;
    const { worker } = this;
    this.worker = null;
    worker?.terminate();
  }
}
