/** Real Workers: the one of src/cold/worker.ts, and such that fail in every way. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodecRig } from "../../harness/contract/codec.ts";
import { recompressed, trained } from "../../harness/contract/recompressor.ts";
import { loadPageClass } from "../../harness/pages/load.ts";
import { SimClock } from "../../harness/sim/clock.ts";
import { BunZstd } from "../compress/bun-zstd.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { LZ4_LIBRARY, NativeLz4 } from "../compress/native/lz4.ts";
import { ZstdWithDictionaries } from "../compress/native/zstd.ts";
import { ZSTD_LIBRARY, ZstdLibrary } from "../compress/native/zstd-library.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { Log } from "../core/log.ts";
import { openMemory } from "../memory/open-memory.ts";
import { findLibrary } from "../memory/system-library.ts";
import type { WorkerSettings } from "./messages.ts";
import { BATCH_ZPAGES, type Recompressor } from "./recompressor.ts";
import { type StartedWorker, type StartWorker, workerStarter } from "./start-worker.ts";
import { WorkerRecompressor } from "./worker-recompressor.ts";
import type { ZpageBatch } from "./zpage-batch.ts";

const TEST_MS = 60_000;
const WORKER = join(import.meta.dir, "worker.ts");
const directory = mkdtempSync(join(tmpdir(), "ramster-cold-"));
const { pages } = loadPageClass("python");
const PAGE_COUNT = pages.byteLength / PAGE_BYTES;

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function pathOf(name: string): string | null {
  const found = findLibrary(name);
  return "path" in found ? found.path : null;
}

const lz4Path = pathOf(LZ4_LIBRARY);
const zstdPath = pathOf(ZSTD_LIBRARY);

interface Opened extends AsyncDisposable {
  readonly clock: SimClock;
  readonly lines: string[];
  /** Why each Worker has ended. */
  readonly ends: string[];
  readonly recompressor: WorkerRecompressor;
  /** Ends the Worker, whatever it does. */
  readonly terminate: () => void;
}

async function open(path: string, settings: WorkerSettings): Promise<Opened> {
  const [lines, ends, clock]: [string[], string[], SimClock] = [[], [], new SimClock()];
  const log = new Log((level, _, line) => lines.push(`${level}: ${line}`));
  const real = workerStarter(path);
  const workers: StartedWorker[] = [];
  const start: StartWorker = ({ onMessage, onEnd }) => {
    const worker = real({
      onMessage,
      onEnd: (reason) => {
        ends.push(reason);
        onEnd(reason);
      },
    });
    workers.push(worker);
    return worker;
  };
  const terminate = (): void => workers.at(-1)?.terminate();
  const decompressor = settings.zstdPath === null ? null : { add: () => true, remove: () => {} };
  const options = { library: "a library", ...settings, decompressor };
  const recompressor = new WorkerRecompressor({ clock, log, start }, options);
  await recompressor.started;
  const close = async (): Promise<void> => {
    recompressor.close();
    await until(() => ends.some((it) => it.startsWith("it ended")));
  };
  return { clock, lines, ends, recompressor, terminate, [Symbol.asyncDispose]: close };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** @returns whether it was done, and its time. */
function recompress(recompressor: Recompressor, dictionary = 0): Promise<[boolean, number]> {
  recompressor.batch.dictionaries.fill(dictionary);
  return recompressed(recompressor);
}

function fill(batch: ZpageBatch, codec: Codec, count: number): void {
  const rig = new CodecRig(codec);
  batch.count = 0;
  for (let i = 0; i < count; i += 1) {
    batch.add(rig.zpageOf(pages.slice(i * PAGE_BYTES, (i + 1) * PAGE_BYTES)), codec.id);
  }
}

/** Checks that each output gives the page of its input. */
function expectPages(batch: ZpageBatch, codec: Codec): void {
  const rig = new CodecRig(codec);
  for (let i = 0; i < batch.count; i += 1) {
    const at = i * PAGE_BYTES;
    expect(rig.decompress(batch.output.slice(at, at + (batch.outputBytes[i] ?? 0)))).toBe(true);
    expect(Buffer.compare(rig.decompressed(), pages.subarray(at, at + PAGE_BYTES))).toBe(0);
  }
}

describe("the Worker", () => {
  test(
    "compresses pages again without any library",
    async () => {
      await using opened = await open(WORKER, { lz4Path: null, zstdPath: null });
      const { recompressor, lines } = opened;
      const lz4 = await Lz4.load(openMemory());
      for (let round = 0; round < 3; round += 1) {
        fill(recompressor.batch, lz4, BATCH_ZPAGES);
        const [isDone, busyMs] = await recompress(recompressor);
        expect([isDone, busyMs > 0, busyMs < 10_000]).toEqual([true, true, true]);
        expectPages(recompressor.batch, new BunZstd());
      }
      expect([lines, recompressor.faults.badInputs]).toEqual([[], 0]);
    },
    TEST_MS,
  );

  test.skipIf(zstdPath === null || lz4Path === null)(
    "trains a dictionary, and compresses with it",
    async () => {
      await using opened = await open(WORKER, { lz4Path, zstdPath });
      const { recompressor, lines } = opened;
      const lz4 = new NativeLz4(lz4Path ?? "");
      const samples = recompressor.newSamples();
      fill(samples, lz4, PAGE_COUNT);
      const dictionary = await trained(recompressor, samples);
      if (dictionary === null) throw new Error("no dictionary came of the training");
      const reader = new ZstdWithDictionaries(new ZstdLibrary(zstdPath ?? ""));
      expect(reader.add(5, dictionary)).toBe(true);
      recompressor.add(5, dictionary);
      fill(recompressor.batch, lz4, BATCH_ZPAGES);
      expect((await recompress(recompressor, 5))[0]).toBe(true);
      expectPages(recompressor.batch, reader);
      recompressor.remove(5);
      fill(recompressor.batch, lz4, 1);
      expect((await recompress(recompressor))[0]).toBe(true);
      expect(lines).toEqual([]);
    },
    TEST_MS,
  );

  test(
    "takes a low priority when its code is compiled, and no other thread changes its own",
    async () => {
      await using opened = await open(WORKER, { lz4Path: null, zstdPath });
      const { batch } = opened.recompressor;
      const before = priorities();
      const own = before.get(String(process.pid)) ?? Number.NaN;
      const low = Math.min(own + 10, 19);
      const batches = 8192 / BATCH_ZPAGES;
      for (let i = 0; i < batches; i += 1) {
        if (i === batches - 1) expect(changed(before)).toEqual([]);
        batch.count = 0;
        for (let k = 0; k < BATCH_ZPAGES; k += 1)
          batch.add(pages.subarray(0, PAGE_BYTES), CODEC.RAW);
        expect((await recompress(opened.recompressor))[0]).toBe(true);
      }
      if (low !== own) await until(() => changed(before).length > 0);
      expect(changed(before)).toEqual(low === own ? [] : [low]);
    },
    TEST_MS,
  );
});

/** The nice value of each thread: proc_pid_stat(5). */
function priorities(): Map<string, number> {
  const found = new Map<string, number>();
  for (const task of readdirSync("/proc/self/task")) {
    try {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, "latin1");
      found.set(task, Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]));
    } catch {
      // The thread has ended meanwhile.
    }
  }
  return found;
}

/** The nice values of threads that had another one before. */
function changed(before: ReadonlyMap<string, number>): number[] {
  return [...priorities()]
    .filter(([task, nice]) => before.has(task) && before.get(task) !== nice)
    .map(([, nice]) => nice);
}

describe("a bad Worker", () => {
  const onJob = (what: string) =>
    `self.onmessage = ({ data }) => {
       if (data.kind === "open") postMessage({ kind: "ready" });
       else ${what}
     };`;
  const BAD: readonly [string, string, RegExp][] = [
    ["is not there", "", /ModuleNotFound|Cannot find/],
    ["is no program", "const const;", /./],
    ["throws when it starts", `throw new Error("odd at first");`, /odd at first/],
    ["throws in a job", onJob(`throw new Error("odd");`), /odd/],
    ["rejects in a job", onJob(`Promise.reject(new Error("odd later"));`), /odd later/],
    ["ends the process in a job", onJob("process.exit(9);"), /it ended with code 9/],
  ];

  test.each(BAD)(
    "%s: its job fails, and the process goes on",
    async (name, text, reason) => {
      const path = join(directory, `${name.replaceAll(" ", "-")}.ts`);
      if (text !== "") writeFileSync(path, text);
      await using opened = await open(path, { lz4Path: null, zstdPath: null });
      const { recompressor, lines } = opened;
      if (recompressor.failures === 0) {
        recompressor.batch.add(pages.slice(0, PAGE_BYTES), CODEC.RAW);
        expect(await recompress(recompressor)).toEqual([false, 0]);
      }
      expect(recompressor.failures).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(reason);
      expect(lines[0]?.length).toBeLessThan(200);
    },
    TEST_MS,
  );

  test(
    "is terminated: its job fails",
    async () => {
      const path = join(directory, "idle.ts");
      writeFileSync(path, onJob("{}"));
      await using opened = await open(path, { lz4Path: null, zstdPath: null });
      opened.recompressor.batch.add(pages.slice(0, PAGE_BYTES), CODEC.RAW);
      const job = recompress(opened.recompressor);
      opened.terminate();
      expect(await job).toEqual([false, 0]);
      expect(opened.lines[0]).toContain("it ended with code");
    },
    TEST_MS,
  );

  test(
    "never answers: it is ended, also in the middle of a loop",
    async () => {
      const path = join(directory, "loop.ts");
      writeFileSync(path, onJob("for (;;) {}"));
      await using opened = await open(path, { lz4Path: null, zstdPath: null });
      const { recompressor, clock, ends } = opened;
      recompressor.batch.add(pages.slice(0, PAGE_BYTES), CODEC.RAW);
      const job = recompress(recompressor);
      clock.run(30_000);
      expect(await job).toEqual([false, 0]);
      await until(() => ends.length > 0);
      expect(ends[0]).toStartWith("it ended with code ");
    },
    TEST_MS,
  );
});

test(
  "a process with a Worker ends by itself, also while the Worker works",
  async () => {
    const script = join(directory, "ends.ts");
    const from = (name: string) => JSON.stringify(join(import.meta.dir, name));
    writeFileSync(
      script,
      `import { workerStarter } from ${from("start-worker.ts")};
       import { WorkerRecompressor } from ${from("worker-recompressor.ts")};
       import { Log } from ${from("../core/log.ts")};
       const clock = { now: () => 0, after: () => 0, cancel: () => {}, soon: () => {} };
       const env = { clock, log: new Log(console.log), start: workerStarter(process.argv[2]) };
       const none = { lz4Path: null, zstdPath: null };
       const recompressor = new WorkerRecompressor(env, { library: "none", ...none });
       await recompressor.started;
       recompressor.batch.add(new Uint8Array(${PAGE_BYTES}), ${CODEC.RAW});
       recompressor.recompress({});
       if (process.argv[3] === "exit") process.exit(3);`,
    );
    const loop = join(directory, "busy.ts");
    const ready = `if (data.kind === "open") postMessage({ kind: "ready" }); else for (;;) {}`;
    writeFileSync(loop, `self.onmessage = ({ data }) => { ${ready} };`);
    for (const [worker, how, code] of [
      [loop, "end", 0],
      [loop, "exit", 3],
      [WORKER, "exit", 3],
    ] as const) {
      const cmd = [process.execPath, script, worker, how];
      const child = Bun.spawn({ cmd, stdout: "pipe", stderr: "pipe" });
      const texts = Promise.all([child.stdout.text(), child.stderr.text()]);
      expect([await child.exited, ...(await texts)]).toEqual([code, "", ""]);
    }
  },
  TEST_MS,
);
