import { beforeEach, describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import {
  OUTPUT_END_MS,
  OUTPUT_QUEUE_BYTES_MAX,
  OUTPUT_QUIET_BYTES_MAX,
  OUTPUT_RETRY_MS,
} from "../core/limits.ts";
import { LogCounters } from "../core/log.ts";
import { LogWriter } from "./log-writer.ts";
import { Output, type OutputSink } from "./output.ts";

/** A reader with room for this many bytes. */
class Reader implements OutputSink {
  readonly chunkBytesMax = 4096;
  isBusy = false;
  room = Number.POSITIVE_INFINITY;
  isGone = false;
  text = "";

  write(bytes: Uint8Array): number {
    if (this.isGone) return -1;
    const count = Math.min(bytes.byteLength, this.room);
    this.text += Buffer.from(bytes.subarray(0, count)).toString();
    this.room -= count;
    return count;
  }

  writeLast(bytes: Uint8Array): number {
    return this.write(bytes);
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

const LINE = "x".repeat(1023);

let clock: SimClock;
let reader: Reader;
let output: Output;

beforeEach(() => {
  clock = new SimClock();
  reader = new Reader();
  output = new Output(() => reader, clock);
});

function pass(ms: number): void {
  clock.run(clock.now() + ms);
}

/** The same, for a promise that sets its next timer when it continues. */
async function passAwaited(ms: number): Promise<void> {
  for (const endMs = clock.now() + ms; clock.now() < endMs; ) {
    pass(OUTPUT_RETRY_MS);
    await Bun.sleep(0);
  }
}

describe("a reader that has stopped", () => {
  test("gets every line later, in order and whole, wherever it stopped", () => {
    reader.room = 7;
    const lines = Array.from({ length: 150 }, (_, i) => `line ${i} ${LINE}`);
    for (const line of lines) output.write(line);
    while (reader.lines.length < lines.length) {
      pass(OUTPUT_RETRY_MS);
      reader.room = 999;
    }
    expect(reader.lines).toEqual(lines);
  });

  test("costs no timer while nothing waits", () => {
    output.write("a");
    expect(clock.pendingCount).toBe(0);
    expect(reader.text).toBe("a\n");
  });

  test("loses lines beyond the queue, those below a warning first", async () => {
    const counters = new LogCounters();
    const writer = new LogWriter(
      { log: "text", isForJournal: true },
      () => ({ number: 3, name: "n" }),
      output,
      counters,
    );
    reader.room = 0;
    for (let i = 0; i < 300; i += 1) output.write(LINE, "info");
    const quiet = 300 - OUTPUT_QUIET_BYTES_MAX / 1024;
    expect(counters.log_lines_dropped).toBe(quiet);
    for (let i = 0; i < 100; i += 1) output.write(LINE, "warn");
    const urgent = 100 - (OUTPUT_QUEUE_BYTES_MAX - OUTPUT_QUIET_BYTES_MAX) / 1024;
    expect(counters.log_lines_dropped).toBe(quiet + urgent);
    reader.room = Number.POSITIVE_INFINITY;
    pass(OUTPUT_RETRY_MS);
    expect(reader.lines.length).toBe(OUTPUT_QUEUE_BYTES_MAX / 1024 + 1);
    const counts = `${urgent} warn, ${quiet} info`;
    const what = `log lines dropped, since the reader did not read them: ${counts}`;
    expect(reader.lines.at(-1)).toBe(`<4>ramster[n] doors warn: ${what}`);
    writer.write("info", "net", "next");
    expect(reader.lines.at(-1)).toBe("<6>ramster[n] net: next");
  });

  test("does not keep a process from ending", async () => {
    reader.room = 2;
    output.write("abc");
    const drained = output.drain();
    await passAwaited(OUTPUT_END_MS);
    await drained;
    output.finish("the end", (delayMs) => pass(delayMs));
    expect(reader.text).toBe("ab");
  });
});

test("finish() writes the waiting lines and then the last line", () => {
  reader.room = 2;
  output.write("abc");
  reader.room = 3;
  const sleep = (delayMs: number): void => {
    pass(delayMs);
    reader.room = 100;
  };
  output.finish("the end", sleep);
  expect(reader.text).toBe("abc\nthe end\n");
});

test("a reader that is gone delays nothing, and a new one reads on", () => {
  reader.isGone = true;
  for (let i = 0; i < 1000; i += 1) output.write(LINE);
  expect(clock.pendingCount).toBe(0);
  reader.isGone = false;
  output.write("next");
  expect(reader.text).toBe("next\n");
});

test("waits for a write under way when the process ends", async () => {
  output.write("abc");
  reader.isBusy = true;
  let isDrained = false;
  const drained = output.drain().then(() => {
    isDrained = true;
  });
  await passAwaited(OUTPUT_RETRY_MS);
  expect(isDrained).toBe(false);
  reader.isBusy = false;
  await passAwaited(OUTPUT_RETRY_MS);
  await drained;
});
