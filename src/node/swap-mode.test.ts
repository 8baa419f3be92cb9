import { describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { RamsterError } from "../core/errors.ts";
import type { HostProcess, Refusal } from "../core/host-process.ts";
import { Log } from "../core/log.ts";
import { SwapMode } from "./swap-mode.ts";

/** A fake kernel: what it refuses, and with which error. */
class FakeHost implements HostProcess {
  readonly calls: string[] = [];
  lockRefusal: Refusal = null;
  flusherRefusal: Refusal = null;
  startRefusal: Refusal = null;
  oomRefusal: Refusal = null;
  residentBytes = 40 * 2 ** 20;
  lockedBytes = 0;
  threads = 8;
  flushers = 0;
  score: number | null = 0;
  priorityRefusal: Refusal = null;
  realTime = 0;
  wasStartedAgain = false;

  lockMemory(): Refusal {
    this.calls.push("lock");
    if (this.lockRefusal === null) this.lockedBytes = 100 * 2 ** 20;
    return this.lockRefusal;
  }

  lockNewMemory(): Refusal {
    this.calls.push("lock new");
    return null;
  }

  residence() {
    return { residentBytes: this.residentBytes, lockedBytes: this.lockedBytes };
  }

  becomeIoFlusher(): Refusal {
    this.calls.push("flusher");
    if (this.flusherRefusal === null) this.flushers = 1;
    return this.flusherRefusal;
  }

  ioFlushers() {
    return { threads: this.threads, flushers: this.flushers };
  }

  takePriority(): Refusal {
    this.calls.push("priority");
    if (this.priorityRefusal === null) this.realTime = this.threads;
    return this.priorityRefusal;
  }

  priorities() {
    return { threads: this.threads, realTime: this.realTime };
  }

  /** A real call does not return. */
  startAgain(): Refusal {
    this.calls.push("again");
    if (this.startRefusal !== null) return this.startRefusal;
    if (this.flushers > 0) this.flushers = this.threads;
    this.wasStartedAgain = true;
    return null;
  }

  hasVariables(): boolean {
    return this.wasStartedAgain;
  }

  setOomScore(score: number): Refusal {
    this.calls.push(`score ${score}`);
    if (this.oomRefusal === null) this.score = score;
    return this.oomRefusal;
  }

  oomScore(): number | null {
    return this.score;
  }
}

/** 300 requests, with which the process grows by 20 MiB. */
const rehearsal = (host: HostProcess | null) => async () => {
  if (host instanceof FakeHost) host.residentBytes += 20 * 2 ** 20;
  return { requestCount: 300 };
};

/** The lines of the log, and the error that was thrown. */
async function entered(
  host: HostProcess | null,
  {
    isStrict = false,
    run = rehearsal(host),
    mayLock = (): boolean => true,
    keptMayBeSwapped = false,
  } = {},
) {
  const lines: string[] = [];
  const log = new Log((level, _area, line) => lines.push(`${level}: ${line}`));
  const clock = new SimClock();
  const mode = new SwapMode(host, { log, clock }, isStrict ? "strict" : "on");
  let error: unknown = null;
  try {
    mode.begin();
    const holding = { pendingBytes: 0, touch: async () => {} };
    const { signal: stop } = new AbortController();
    await mode.enter({ holding, rehearsal: run, mayLock, keptMayBeSwapped, stop });
  } catch (thrown) {
    error = thrown;
  }
  return { lines, error, clock, mode };
}

const ALL_HOLDS = [
  "info: swap mode: all threads are IO flushers",
  "info: swap mode: the OOM killer spares this process",
  "info: swap mode: memory is locked, 40MiB of it",
  "info: swap mode: 300 requests were rehearsed, and took 20MiB",
  "info: swap mode: its threads have real-time priority",
];

describe("SwapMode", () => {
  test("requests everything, checks that it holds, and logs that", async () => {
    const host = new FakeHost();
    expect(await entered(host, { isStrict: true })).toMatchObject({
      lines: ALL_HOLDS,
      error: null,
    });
    expect(host.calls).toEqual(["flusher", "again", "score -1000", "lock", "priority"]);
  });

  test("requests nothing that already holds, so it does not restart for ever", async () => {
    const host = new FakeHost();
    host.flushers = host.threads;
    host.wasStartedAgain = true;
    host.score = -1000;
    expect((await entered(host)).lines).toEqual(ALL_HOLDS);
    expect(host.calls).toEqual(["lock", "priority"]);
  });

  test("starts once more for the settings of the runtime, whoever made its threads IO flushers", async () => {
    const host = new FakeHost();
    host.flushers = host.threads;
    await entered(host);
    expect(host.calls).toEqual(["again", "score -1000", "lock", "priority"]);
  });

  test("logs why each condition does not hold, and goes on", async () => {
    const host = new FakeHost();
    host.flusherRefusal = "prctl(PR_SET_IO_FLUSHER): EPERM";
    host.oomRefusal = "writing /proc/self/oom_score_adj: EACCES";
    host.lockRefusal = "mlockall: ENOMEM, RLIMIT_MEMLOCK is 8388608";
    host.priorityRefusal = "sched_setscheduler: EPERM";
    expect(await entered(host)).toMatchObject({
      lines: [
        "warn: swap mode: some threads are not IO flushers (0 of 8 are), swap may deadlock: prctl(PR_SET_IO_FLUSHER): EPERM",
        "warn: swap mode: the OOM killer may end this process: writing /proc/self/oom_score_adj: EACCES",
        "warn: swap mode: memory may be swapped out: mlockall: ENOMEM, RLIMIT_MEMLOCK is 8388608",
        "warn: swap mode: its threads may wait for other programs, swap may stall: sched_setscheduler: EPERM",
      ],
      error: null,
    });
    expect(host.calls).toEqual(["flusher", "again", "score -1000", "lock", "priority"]);
  });

  test("trusts what /proc shows, not what the calls return", async () => {
    const host = new FakeHost();
    host.setOomScore = () => null;
    host.lockMemory = () => null;
    host.startAgain = () => null;
    host.takePriority = () => null;
    expect((await entered(host)).lines).toEqual([
      "warn: swap mode: some threads are not IO flushers (1 of 8 are), swap may deadlock",
      "warn: swap mode: the OOM killer may end this process: oom_score_adj is 0",
      "warn: swap mode: memory may be swapped out: the kernel reports that it is not locked",
      "warn: swap mode: its threads may wait for other programs, swap may stall: the kernel reports that they have no real-time priority",
    ]);
  });

  test("with strict it refuses in one line", async () => {
    const host = new FakeHost();
    host.oomRefusal = "writing /proc/self/oom_score_adj: EACCES";
    const { error } = await entered(host, { isStrict: true });
    expect(error).toMatchObject({
      code: "NO_DEVICE",
      message:
        'Cannot run with --swap "strict": the OOM killer may end this process: writing /proc/self/oom_score_adj: EACCES',
    });
    expect(host.calls).not.toContain("lock");
  });

  test("with strict it refuses memory that is not locked", async () => {
    const host = new FakeHost();
    host.lockRefusal = "mlockall: EPERM";
    const { error } = await entered(host, { isStrict: true });
    expect(String(error)).toContain("memory may be swapped out: mlockall: EPERM");
  });

  test("locks what is mapped later, until it is left", async () => {
    const host = new FakeHost();
    const { clock, mode } = await entered(host);
    clock.run(clock.now() + 10_000);
    expect(host.calls.filter((it) => it === "lock new").length).toBeGreaterThanOrEqual(10);
    mode.leave();
    const { length } = host.calls;
    clock.run(clock.now() + 10_000);
    expect(host.calls.length).toBe(length);
    const busy = new FakeHost();
    (await entered(busy, { mayLock: () => false })).clock.run(10_000);
    expect(busy.calls).not.toContain("lock new");
    const refusing = new FakeHost();
    refusing.lockRefusal = "mlockall: EPERM";
    (await entered(refusing)).clock.run(10_000);
    expect(refusing.calls).not.toContain("lock new");
  });

  test("warns when kept memory may be swapped out, and with strict it refuses", async () => {
    const line = "a successor may wait for itself: what is kept may be swapped out";
    const warned = await entered(new FakeHost(), { keptMayBeSwapped: true });
    expect(warned.lines.join("\n")).toContain(`warn: swap mode: ${line}`);
    const { error } = await entered(new FakeHost(), { keptMayBeSwapped: true, isStrict: true });
    expect(String(error)).toContain(`Cannot run with --swap "strict": ${line}`);
  });

  test("says why there was no rehearsal, and with strict it refuses", async () => {
    const run = () => {
      const why = 'Cannot listen on "127.0.0.1:0": no such address';
      return Promise.reject(new RamsterError("CANNOT_LISTEN", why));
    };
    const line =
      'it may run out of memory under load, no rehearsal: Cannot listen on "127.0.0.1:0": no such address';
    expect((await entered(new FakeHost(), { run })).lines).toContain(`warn: swap mode: ${line}`);
    const { error } = await entered(new FakeHost(), { run, isStrict: true });
    expect(error).toMatchObject({
      code: "NO_DEVICE",
      message: `Cannot run with --swap "strict": ${line}`,
    });
  });

  test("is unavailable without a C library", async () => {
    const { lines, error } = await entered(null, { isStrict: true });
    expect(lines).toEqual(["warn: swap mode: unavailable: no C library for bun:ffi"]);
    expect(error).toMatchObject({ code: "NO_DEVICE" });
  });
});

describe("enter()", () => {
  const MIB = 2 ** 20;

  /** Each slice takes three seconds. `stopAfter`: the slice after which a signal comes. */
  async function touched(stopAfter: number): Promise<string[]> {
    const lines: string[] = [];
    const log = new Log((level, _area, line) => lines.push(`${level}: ${line}`));
    const clock = new SimClock();
    const stop = new AbortController();
    const holding = {
      pendingBytes: 256 * MIB,
      touch: async (pause: () => Promise<boolean>): Promise<void> => {
        for (let slice = 1; holding.pendingBytes > 0; slice += 1) {
          holding.pendingBytes -= 64 * MIB;
          if (slice === stopAfter) stop.abort("SIGTERM");
          clock.run(clock.now() + 3000);
          const paused = pause();
          clock.run(clock.now());
          if (!(await paused)) return;
        }
      },
    };
    const mode = new SwapMode(null, { log, clock }, "on");
    const calm = { mayLock: () => true, keptMayBeSwapped: false };
    const entry = { holding, rehearsal: rehearsal(null), ...calm };
    await mode.enter({ ...entry, stop: stop.signal });
    return [...lines, `${holding.pendingBytes / MIB} MiB are left`];
  }

  test("logs what it will take, and its progress", async () => {
    expect(await touched(0)).toEqual([
      "info: swap mode: locking 256 MiB",
      "info: swap mode: 128 of 256 MiB are resident",
      "info: swap mode: 256 of 256 MiB are resident",
      "0 MiB are left",
    ]);
  });

  test("ends at a signal", async () => {
    expect(await touched(1)).toEqual(["info: swap mode: locking 256 MiB", "192 MiB are left"]);
  });
});
