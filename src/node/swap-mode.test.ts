import { describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
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
  wasStartedAgain = false;

  lockMemory(): Refusal {
    this.calls.push("lock");
    if (this.lockRefusal === null) this.lockedBytes = 100 * 2 ** 20;
    return this.lockRefusal;
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

/** The lines of the log, and the error that was thrown. */
function entered(host: HostProcess | null, options = { isStrict: false }) {
  const lines: string[] = [];
  const log = new Log((level, _area, line) => lines.push(`${level}: ${line}`));
  const mode = new SwapMode(host, log, options);
  let error: unknown = null;
  try {
    mode.begin();
    mode.lock();
  } catch (thrown) {
    error = thrown;
  }
  return { lines, error };
}

const ALL_HOLDS = [
  "info: swap mode: all threads are IO flushers",
  "info: swap mode: the OOM killer spares this process",
  "info: swap mode: memory is locked, 40MiB of it",
];

describe("SwapMode", () => {
  test("requests everything, checks that it holds, and logs that", () => {
    const host = new FakeHost();
    expect(entered(host, { isStrict: true })).toEqual({ lines: ALL_HOLDS, error: null });
    expect(host.calls).toEqual(["flusher", "again", "score -1000", "lock"]);
  });

  test("requests nothing that already holds, so it does not restart for ever", () => {
    const host = new FakeHost();
    host.flushers = host.threads;
    host.wasStartedAgain = true;
    host.score = -1000;
    expect(entered(host).lines).toEqual(ALL_HOLDS);
    expect(host.calls).toEqual(["lock"]);
  });

  test("starts once more for the settings of the runtime, whoever made its threads IO flushers", () => {
    const host = new FakeHost();
    host.flushers = host.threads;
    entered(host);
    expect(host.calls).toEqual(["again", "score -1000", "lock"]);
  });

  test("logs why each condition does not hold, and goes on", () => {
    const host = new FakeHost();
    host.flusherRefusal = "prctl(PR_SET_IO_FLUSHER): EPERM";
    host.oomRefusal = "writing /proc/self/oom_score_adj: EACCES";
    host.lockRefusal = "mlockall: ENOMEM, RLIMIT_MEMLOCK is 8388608";
    expect(entered(host)).toEqual({
      lines: [
        "warn: swap mode: some threads are not IO flushers (0 of 8 are), swap may deadlock: prctl(PR_SET_IO_FLUSHER): EPERM",
        "warn: swap mode: the OOM killer may end this process: writing /proc/self/oom_score_adj: EACCES",
        "warn: swap mode: memory may be swapped out: mlockall: ENOMEM, RLIMIT_MEMLOCK is 8388608",
      ],
      error: null,
    });
    expect(host.calls).toEqual(["flusher", "again", "score -1000", "lock"]);
  });

  test("trusts what /proc shows, not what the calls return", () => {
    const host = new FakeHost();
    host.setOomScore = () => null;
    host.lockMemory = () => null;
    host.startAgain = () => null;
    expect(entered(host).lines).toEqual([
      "warn: swap mode: some threads are not IO flushers (1 of 8 are), swap may deadlock",
      "warn: swap mode: the OOM killer may end this process: oom_score_adj is 0",
      "warn: swap mode: memory may be swapped out: the kernel reports that it is not locked",
    ]);
  });

  test("with strict it refuses in one line", () => {
    const host = new FakeHost();
    host.oomRefusal = "writing /proc/self/oom_score_adj: EACCES";
    const { error } = entered(host, { isStrict: true });
    expect(error).toMatchObject({
      code: "NO_DEVICE",
      message:
        'Cannot run with --swap "strict": the OOM killer may end this process: writing /proc/self/oom_score_adj: EACCES',
    });
    expect(host.calls).not.toContain("lock");
  });

  test("with strict it refuses memory that is not locked", () => {
    const host = new FakeHost();
    host.lockRefusal = "mlockall: EPERM";
    const { error } = entered(host, { isStrict: true });
    expect(String(error)).toContain("memory may be swapped out: mlockall: EPERM");
  });

  test("is unavailable without a C library", () => {
    const { lines, error } = entered(null, { isStrict: true });
    expect(lines).toEqual(["warn: swap mode: unavailable: no C library for bun:ffi"]);
    expect(error).toMatchObject({ code: "NO_DEVICE" });
  });
});

describe("touch()", () => {
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
    await new SwapMode(null, log, { isStrict: false }).touch(holding, { clock, stop: stop.signal });
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
