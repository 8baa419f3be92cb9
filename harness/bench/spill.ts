/**
 * The disk for pages, compared with bare node:fs on a temporary file. Pages go to the disk in
 * batches, as remotify sends them. Single pages come back, as many at once as Spill reads. The bare
 * file is written and read in pieces of the same sizes. Both take turns.
 *
 * The file system caches the file, so this measures the code between memory and file, and not the
 * disk.
 */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../../src/core/assert.ts";
import {
  REMOTIFY_BATCH_BYTES,
  SECTOR_BYTES,
  SPILL_HEADER_BYTES,
  SPILL_READS_MAX,
  SPILL_WRITES_MAX,
} from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { openDisk } from "../../src/disk/open-disk.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { BunClock } from "../../src/net/bun.ts";
import type { SpillBatch, SpillSink } from "../../src/spill/batch.ts";
import { SpillCounters } from "../../src/spill/counters.ts";
import { type ReadOutcome, Spill, type SpillReadSink } from "../../src/spill/spill.ts";
import { type Bench, type Figure, median } from "./bench.ts";

const MIB = 1024 * 1024;
/** The size of an average zpage. */
const ZPAGE_BYTES = 1400;
const PAGES_PER_BATCH = Math.floor(REMOTIFY_BATCH_BYTES / (ZPAGE_BYTES + 48));
const SECTORS = Math.ceil((SPILL_HEADER_BYTES + ZPAGE_BYTES) / SECTOR_BYTES);
const BATCH_BYTES = PAGES_PER_BATCH * SECTORS * SECTOR_BYTES;

/** Writes pages 1 .. pageCount to a Spill and reads them back. */
class Course implements SpillSink, SpillReadSink {
  private readonly spill: Spill;
  private readonly zpage = new Uint8Array(ZPAGE_BYTES).fill(7);
  private readonly batches: Array<SpillBatch | undefined> = [];
  private readonly pageCount: number;
  private next = 1;
  private done = 0;
  private resolve: () => void = () => {};

  constructor(pageCount: number) {
    this.pageCount = pageCount;
    const disk = openDisk(tmpdir(), { inSwapMode: false, warn: () => {} });
    const parts = { memory: openMemory(), disk, clock: new BunClock() };
    const rest = { log: new Log(() => {}), counters: new SpillCounters(), backoffMs: () => 50 };
    const options = { byteCount: 1024 * MIB, pageNumbers: { max: pageCount + 1, pinnedMax: 0 } };
    this.spill = new Spill({ ...parts, ...rest, onReady: () => {} }, options);
  }

  async write(): Promise<void> {
    await this.run(() => {
      for (let i = 0; i < SPILL_WRITES_MAX; i += 1) this.sendBatch();
    });
  }

  async read(): Promise<void> {
    await this.run(() => {
      for (let i = 0; i < SPILL_READS_MAX; i += 1) this.readNext();
    });
  }

  close(): void {
    this.spill.close();
  }

  onSpilled(context: number, isWritten: boolean): void {
    const batch = this.batches[context];
    assert(isWritten && batch !== undefined);
    for (let i = 0; i < batch.count; i += 1) this.spill.keep(batch, i, context + i);
    this.spill.finish(batch);
    this.ended(batch.count);
    this.sendBatch();
  }

  onRead(_read: number, outcome: ReadOutcome, bytes: Uint8Array, at: number): void {
    assert(outcome === "read" && bytes[at] === 7);
    this.ended(1);
    setImmediate(() => this.readNext());
  }

  private async run(begin: () => void): Promise<void> {
    this.next = 1;
    this.done = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.resolve = resolve;
    begin();
    await promise;
  }

  private ended(count: number): void {
    this.done += count;
    if (this.done === this.pageCount) this.resolve();
  }

  private sendBatch(): void {
    if (this.next > this.pageCount) return;
    const batch = this.spill.begin();
    for (let i = 0; i < PAGES_PER_BATCH; i += 1) {
      this.spill.add(batch, 1, this.zpage, 0, ZPAGE_BYTES);
    }
    this.batches[this.next] = batch;
    this.spill.write(batch, this, this.next);
    this.next += PAGES_PER_BATCH;
  }

  private readNext(): void {
    if (this.next > this.pageCount) return;
    if (this.spill.read(this.next, ZPAGE_BYTES, this) >= 0) this.next += 1;
  }
}

/** Reads or writes `count` pieces of a bare file, `depth` of them at once. */
async function bare(
  fd: number,
  kind: "read" | "write",
  count: number,
  depth: number,
): Promise<void> {
  const byteCount = kind === "write" ? BATCH_BYTES : SPILL_HEADER_BYTES + ZPAGE_BYTES;
  const step = kind === "write" ? BATCH_BYTES : SECTORS * SECTOR_BYTES;
  const { promise, resolve } = Promise.withResolvers<void>();
  let [next, done] = [0, 0];
  const go = (buffer: Uint8Array): void => {
    if (next === count) return;
    const at = next * step;
    next += 1;
    const onDone = (error: Error | null): void => {
      assert(error === null);
      done += 1;
      if (done === count) resolve();
      else go(buffer);
    };
    if (kind === "write") fs.write(fd, buffer, 0, byteCount, at, onDone);
    else fs.read(fd, buffer, 0, byteCount, at, onDone);
  };
  for (let i = 0; i < depth; i += 1) go(new Uint8Array(byteCount));
  await promise;
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}

function figure(name: string, mib: number, ours: number[], theirs: number[]): Figure {
  const [value, reference] = [mib / median(ours), mib / median(theirs)];
  return {
    name,
    value,
    unit: "MiB/s of zpages",
    ratio: value / reference,
    reference: { name: "bare node:fs", value: reference, unit: "MiB/s" },
  };
}

export const spillBench: Bench = {
  name: "spill",
  about: `Zpages of ${ZPAGE_BYTES} bytes to and from the disk, beside bare node:fs.`,
  async run({ quick }) {
    const batches = quick ? 200 : 1000;
    const pageCount = batches * PAGES_PER_BATCH;
    const mib = (pageCount * ZPAGE_BYTES) / MIB;
    const path = join(tmpdir(), `ramster-bench-${process.pid}`);
    const times = { write: [], read: [], bareWrite: [], bareRead: [] } as Record<string, number[]>;
    for (let round = 0; round < (quick ? 3 : 7); round += 1) {
      const course = new Course(pageCount);
      times.write?.push(await seconds(() => course.write()));
      times.read?.push(await seconds(() => course.read()));
      course.close();
      const fd = fs.openSync(path, "wx+");
      fs.unlinkSync(path);
      times.bareWrite?.push(await seconds(() => bare(fd, "write", batches, SPILL_WRITES_MAX)));
      times.bareRead?.push(await seconds(() => bare(fd, "read", pageCount, SPILL_READS_MAX)));
      fs.closeSync(fd);
    }
    const { write = [], read = [], bareWrite = [], bareRead = [] } = times;
    return [
      figure("to the disk, in batches", mib, write, bareWrite),
      figure("from the disk, single pages", mib, read, bareRead),
    ];
  },
};
