import { beforeEach, describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import type { Attached, AttachRequest, KernelDevice, KernelNbd } from "../nbd/kernel-nbd.ts";
import { KernelDevices } from "./kernel-devices.ts";

/** A kernel with nbd devices, whose sockets may be alive. */
class FakeKernel implements KernelNbd {
  readonly attached = new Map<number, AttachRequest>();
  /** Tries to attach again that are refused: the old socket is still alive. */
  aliveFor = 0;
  tries = 0;
  lastFd = 100;

  attach(request: AttachRequest): Attached | string {
    const index = request.index ?? [0, 1, 2].find((it) => !this.attached.has(it)) ?? -1;
    if (this.attached.has(index)) return "the device is in use";
    this.attached.set(index, request);
    this.lastFd += 1;
    return { index, fd: this.lastFd };
  }

  attachAgain({ index, backend }: KernelDevice): number | null {
    this.tries += 1;
    if (this.attached.get(index)?.backend !== backend) return null;
    if (this.aliveFor > 0) {
      this.aliveFor -= 1;
      return null;
    }
    this.lastFd += 1;
    return this.lastFd;
  }

  detach(index: number): string | null {
    return this.attached.delete(index) ? null : "the kernel has no such device";
  }

  devices(): KernelDevice[] {
    return [...this.attached].map(([index, { backend }]) => ({ index, backend }));
  }
}

describe("devices of the kernel", () => {
  let clock: SimClock;
  let kernel: FakeKernel;
  let served: string[];
  let notes: string[];

  beforeEach(() => {
    clock = new SimClock();
    kernel = new FakeKernel();
    served = [];
    notes = [];
  });

  function open(isKept: boolean, name = "n1"): KernelDevices {
    return new KernelDevices({
      clock,
      kernel,
      name,
      isKept,
      timeouts: { deviceTimeoutMs: 4001, deadTimeoutMs: 300_000 },
      serve: (exportName, fd, path) => {
        served.push(`${exportName} ${fd} ${path}`);
        return exportName !== "gone";
      },
      note: (level, line) => notes.push(`${level}: ${line}`),
    });
  }

  test("those that wait for an earlier process are left to it", () => {
    open(true).attach("swap", 4096, 1);
    const fresh = open(true);
    fresh.noteStrangers();
    expect(notes).toEqual([
      "error: /dev/nbd1 waits for another process, which has its pages: " +
        "this node has not taken them over",
    ]);
    expect(fresh.list()).toEqual([]);
    expect(fresh.attach("swap", 4096, null)).toBe("/dev/nbd0");
    fresh.stop();
    expect([...kernel.attached.keys()]).toEqual([1]);
  });

  test("a node attaches and detaches them, and knows its own", () => {
    const devices = open(true);
    kernel.attach({ ...(kernel.attached.get(9) as AttachRequest), index: 0, backend: "other" });
    expect(devices.attach("swap", 4096, null)).toBe("/dev/nbd1");
    expect(devices.list()).toEqual([{ path: "/dev/nbd1", exportName: "swap" }]);
    expect(served).toEqual(["swap 102 /dev/nbd1"]);
    expect(kernel.attached.get(1)).toMatchObject({
      backend: "ramster:n1:swap",
      requestSeconds: 5,
      deadSeconds: 300,
    });
    expect(() => devices.attach("swap", 4096, 1)).toThrow(
      "Cannot attach /dev/nbd1: the device is in use",
    );
    devices.detach(1);
    expect(devices.list()).toEqual([]);
    expect(() => devices.detach(1)).toThrow(
      "Cannot detach /dev/nbd1: the kernel has no such device",
    );
  });

  test("one that breaks is attached again, once the kernel takes a socket", () => {
    const devices = open(true);
    devices.attach("swap", 4096, 0);
    kernel.aliveFor = 3;
    devices.broken("/dev/nbd0");
    expect([kernel.tries, served.length]).toEqual([1, 1]);
    clock.run(clock.now() + 1000);
    expect([kernel.tries, served.length]).toEqual([4, 2]);
    expect(notes).toEqual(["info: attached /dev/nbd0 again"]);
  });

  test("it is not tried again when it was detached, or the node stops", () => {
    const devices = open(true);
    devices.attach("swap", 4096, 0);
    kernel.aliveFor = 1000;
    devices.broken("/dev/nbd0");
    clock.run(clock.now() + 100);
    const { tries } = kernel;
    kernel.attached.clear();
    clock.run(clock.now() + 10_000);
    expect(kernel.tries).toBeLessThanOrEqual(tries + 1);
    devices.attach("swap", 4096, 0);
    devices.broken("/dev/nbd0");
    devices.stop();
    expect(devices.list()).toEqual([]);
    const { tries: atStop } = kernel;
    clock.run(clock.now() + 10_000);
    expect(kernel.tries).toBe(atStop);
  });

  test("a successor takes over those of its name, and only those", () => {
    open(true).attach("swap", 4096, 0);
    open(true).attach("gone", 4096, 1);
    open(true, "n2").attach("swap", 4096, 2);
    served = [];
    open(true).takeOver();
    expect(served.map((it) => it.split(" ")[2])).toEqual(["/dev/nbd0", "/dev/nbd1"]);
    expect(notes).toEqual([
      "info: attached /dev/nbd0 again",
      'warn: /dev/nbd1 wants export "gone", which this node does not have',
    ]);
  });

  test("a node that keeps nothing lets the kernel fail at once", () => {
    const devices = open(false);
    devices.attach("swap", 4096, 0);
    expect(kernel.attached.get(0)).toMatchObject({ requestSeconds: 0, deadSeconds: 0 });
    devices.broken("/dev/nbd0");
    clock.run(clock.now() + 1000);
    expect(kernel.tries).toBe(0);
  });
});
