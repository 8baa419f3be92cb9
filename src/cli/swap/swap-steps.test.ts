import { describe, expect, test } from "bun:test";
import {
  type FakeDevice,
  FakeShell,
  quiet,
  refusal,
  textOf,
} from "../../../harness/nbd/fake-shell.ts";
import { parseAddress } from "../../net/address.ts";
import { Progress } from "../progress.ts";
import type { Shell } from "./shell.ts";
import { nbdDevices, parseSwaps } from "./swap-devices.ts";
import { swapOff, swapOn, swapReport, swapStatus } from "./swap-steps.ts";

const MIB = 1024 * 1024;
const NBD = "unix:/run/ramster/nbd.sock";
const AT = { nbd: parseAddress(NBD), exportName: "swap" };
const OFF = { nbd: AT.nbd, exportNames: ["swap"], device: null, force: false };
const NEVER = new AbortController().signal;

const on = (shell: Shell, device: string | null = null) => {
  return swapOn(shell, { ...AT, device, priority: 100 }, NEVER);
};

type Show = Parameters<typeof swapOff>[2];

const off = (shell: Shell, device: string | null = null, show: Show = quiet().show) => {
  return textOf(swapOff(shell, device === null ? OFF : { device, force: false }, show, NEVER));
};

describe("swapOn()", () => {
  test("attaches a free device, makes swap of it and switches it on", async () => {
    const shell = new FakeShell();
    expect(await on(shell)).toBe(
      `swap is on: /dev/nbd0, 1024MiB, priority 100, export "swap" of ${NBD}`,
    );
    expect(shell.commands).toEqual([
      "nbd-client -unix /run/ramster/nbd.sock /dev/nbd0 -N swap -b 4096 -swap -persist",
      "mkswap /dev/nbd0",
      "swapon --discard --priority 100 /dev/nbd0",
    ]);
  });

  test("names host and port of a node that listens on TCP", async () => {
    const shell = new FakeShell();
    const nbd = parseAddress("127.0.0.1:10809");
    const options = { nbd, exportName: "a b", device: "/dev/nbd1", priority: 5 };
    await swapOn(shell, options, NEVER);
    expect(shell.commands[0]).toBe(
      "nbd-client 127.0.0.1 10809 /dev/nbd1 -N a b -b 4096 -swap -persist",
    );
  });

  test("loads the module where there are no devices, and takes one that is free", async () => {
    const shell = new FakeShell();
    shell.hasModule = false;
    shell.devices[0] = { ...(shell.devices[0] as FakeDevice), isConnected: true };
    expect(await on(shell)).toStartWith("swap is on: /dev/nbd1");
    expect(shell.commands[0]).toBe("modprobe nbd");
  });

  test("lets the node of this machine attach and detach the device, without nbd-client", async () => {
    const shell = new FakeShell();
    shell.missing.add("nbd-client");
    shell.nodes = {
      attach: async ({ exportName }, device) => {
        await shell.run(["nbd-client", "node", device, "-N", exportName]);
        return null;
      },
      detach: async (device) => (await shell.run(["nbd-client", "-d", device])).code === 0,
    };
    expect(await on(shell)).toStartWith("swap is on: /dev/nbd0");
    expect(await off(shell)).toBe("swap is off: /dev/nbd0");
    expect(shell.commands.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "nbd-client node",
      "mkswap /dev/nbd0",
      "swapon --discard",
      "swapoff /dev/nbd0",
      "nbd-client -d",
    ]);
  });

  test("does not attach one export twice, however its address is written", async () => {
    const shell = new FakeShell();
    await on(shell);
    for (const path of [
      "/run/ramster/nbd.sock",
      "/run//ramster/nbd.sock",
      "/var/run/ramster/nbd.sock",
    ]) {
      const options = { ...AT, nbd: { kind: "unix", path }, device: null, priority: 1 } as const;
      const { message, exit } = await refusal(swapOn(shell, options, NEVER));
      expect(message).toBe(
        `Cannot switch swap on: export "swap" of ${NBD} is on already, as /dev/nbd0`,
      );
      expect(exit).toBe(3);
    }
    expect(shell.commands.length).toBe(3);
  });

  test("makes no swap of an export that is swap by another address", async () => {
    const shell = new FakeShell();
    await on(shell);
    const nbd = parseAddress("localhost:10809");
    const options = { ...AT, nbd, device: null, priority: 1 };
    const { message } = await refusal(swapOn(shell, options, NEVER));
    expect(message).toBe(
      'Cannot switch swap on: export "swap" of 127.0.0.1:10809 is on already, as /dev/nbd0',
    );
    expect(shell.commands.slice(3)).toEqual([
      "nbd-client 127.0.0.1 10809 /dev/nbd1 -N swap -b 4096 -swap -persist",
      "nbd-client -d /dev/nbd1",
    ]);
    await off(shell);
    await swapOn(shell, options, NEVER); // No device uses the swap on it now.
    expect(shell.commands.at(-1)).toBe("swapon --discard --priority 1 /dev/nbd0");
  });

  test("does not touch an attached device without swap, and says how to detach it", async () => {
    const shell = new FakeShell();
    await on(shell);
    Object.assign(shell.devices[0] as FakeDevice, { swapBytes: null });
    const { message } = await refusal(on(shell));
    expect(message).toBe(
      `Cannot switch swap on: export "swap" of ${NBD} is attached as /dev/nbd0 without swap: ` +
        "run ramster swap off to detach it",
    );
    expect(await off(shell)).toBe("swap is off: /dev/nbd0");
  });

  test.each([
    ["nbd-client", 2],
    ["mkswap", 3],
  ])("detaches again when it is interrupted during %s", async (program, commandCount) => {
    const shell = new FakeShell();
    const stop = new AbortController();
    shell.onCommand = (line) => {
      if (line.startsWith(`${program} `) && !line.includes(" -d ")) stop.abort("SIGINT");
    };
    const options = { ...AT, device: null, priority: 1 };
    const { message, exit } = await refusal(swapOn(shell, options, stop.signal));
    expect(message).toBe("Cannot switch swap on: stopped by SIGINT");
    expect(exit).toBe(1);
    expect(shell.commands.length).toBe(commandCount);
    expect(nbdDevices(shell)[0]).toMatchObject({ byteCount: 0, swap: null, at: null });
    expect(shell.files.size).toBe(0);
  });

  test("succeeds when it is interrupted after the last step", async () => {
    const shell = new FakeShell();
    const stop = new AbortController();
    shell.onCommand = (line) => {
      if (line.startsWith("swapon --discard")) stop.abort("SIGTERM");
    };
    const options = { ...AT, device: null, priority: 1 };
    expect(await swapOn(shell, options, stop.signal)).toStartWith("swap is on: /dev/nbd0");
  });

  test.each([
    ["this needs root", (shell: FakeShell) => Object.assign(shell, { isRoot: false })],
    [
      "there is no nbd-client, which is in the package nbd-client (nbd on Fedora, Arch and openSUSE); no node was asked",
      (shell: FakeShell) => shell.missing.add("nbd-client"),
    ],
    [
      "there is no mkswap, which is in the package util-linux",
      (shell: FakeShell) => shell.missing.add("mkswap"),
    ],
    [
      "there is no modprobe, which is in the package kmod",
      (shell: FakeShell) => {
        shell.hasModule = false;
        shell.missing.add("modprobe");
      },
    ],
    [
      "this kernel has no nbd devices: modprobe: FATAL: Module nbd not found",
      (shell: FakeShell) => {
        shell.hasModule = false;
        shell.failing.set("modprobe", "modprobe: FATAL: Module nbd not found");
      },
    ],
    [
      "this kernel has no nbd devices: modprobe nbd made no /dev/nbd0",
      (shell: FakeShell) => Object.assign(shell, { hasModule: false, canLoadModule: false }),
    ],
    [
      "all 2 nbd devices are in use",
      (shell: FakeShell) => {
        for (const device of shell.devices) device.byteCount = MIB;
      },
    ],
  ])("fails with %p before it does anything, with exit code 3", async (detail, spoil) => {
    const shell = new FakeShell();
    spoil(shell);
    const { message, exit } = await refusal(on(shell));
    expect({ message, exit }).toEqual({ message: `Cannot switch swap on: ${detail}`, exit: 3 });
    expect(shell.commands.filter((it) => it !== "modprobe nbd")).toEqual([]);
  });

  test.each([
    ["/dev/nbd7", "there is no /dev/nbd7"],
    ["/dev/nbd0", "/dev/nbd0 is swap already"],
    ["/dev/nbd1", "/dev/nbd1 is in use"],
  ])("refuses %s when %s", async (device, detail) => {
    const shell = new FakeShell();
    Object.assign(shell.devices[0] as FakeDevice, { byteCount: MIB, swapBytes: MIB });
    Object.assign(shell.devices[1] as FakeDevice, { isConnected: true });
    const { message } = await refusal(on(shell, device));
    expect(message).toBe(`Cannot switch swap on: ${detail}`);
  });

  test("reports why it cannot attach, and does nothing more", async () => {
    const shell = new FakeShell();
    shell.failing.set("nbd-client", "E: no such export");
    const { message, exit } = await refusal(on(shell));
    expect(message).toBe(`Cannot attach export "swap" of ${NBD} as /dev/nbd0: E: no such export`);
    expect(exit).toBe(1);
    expect(shell.commands.length).toBe(1);
  });

  test.each([
    ["mkswap", "Cannot make swap of /dev/nbd0: no"],
    ["swapon", "Cannot swap on /dev/nbd0: no"],
  ])("detaches again when %s fails", async (program, expected) => {
    const shell = new FakeShell();
    shell.failing.set(program, "no");
    const { message, exit } = await refusal(on(shell));
    expect({ message, exit }).toEqual({ message: expected, exit: 1 });
    expect(shell.commands.at(-1)).toBe("nbd-client -d /dev/nbd0");
    expect(nbdDevices(shell)[0]?.byteCount).toBe(0);
    expect(shell.files.size).toBe(0);
  });

  test("reports a device that stays attached", async () => {
    const shell = new FakeShell();
    shell.failing.set("mkswap", "no");
    shell.failing.set("detach", "neither");
    const { message } = await refusal(on(shell));
    expect(message).toBe("Cannot make swap of /dev/nbd0: no; /dev/nbd0 is still attached: neither");
    shell.failing.clear();
    expect(await off(shell)).toBe("swap is off: /dev/nbd0");
  });

  test("two commands at once exclude each other, which the systemd unit treats as a failure", async () => {
    const shell = new FakeShell();
    await on(shell);
    shell.isLocked = true;
    for (const [doing, word] of [
      [on(shell), "on"],
      [off(shell), "off"],
    ] as const) {
      const { message, exit } = await refusal(doing);
      expect(message).toBe(`Cannot switch swap ${word}: another ramster swap is at work`);
      expect(exit).toBe(1);
    }
    expect(shell.commands.length).toBe(3);
  });

  test("waits for an nbd-client that continues in the background", async () => {
    const shell = new FakeShell();
    shell.pollsUntilPid = 3;
    await on(shell);
    expect(await off(shell)).toBe("swap is off: /dev/nbd0");
    shell.pollsUntilPid = 1000;
    const { message } = await refusal(on(shell));
    expect(message).toEndWith("as /dev/nbd0: it is not connected");
  });

  test("gives up a device that stays empty", async () => {
    const shell = new FakeShell();
    const device = shell.devices[0] as FakeDevice;
    Object.defineProperty(device, "byteCount", { get: () => 0, set: () => {} });
    const { message } = await refusal(on(shell));
    expect(message).toEndWith("as /dev/nbd0: it is empty");
    expect(shell.commands.at(-1)).toBe("nbd-client -d /dev/nbd0");
  });
});

describe("swapOff()", () => {
  async function swapping(usedBytes: number): Promise<FakeShell> {
    const shell = new FakeShell();
    await on(shell);
    shell.commands.length = 0;
    (shell.devices[0] as FakeDevice).usedBytes = usedBytes;
    return shell;
  }

  test("brings all pages home before it detaches", async () => {
    const shell = await swapping(1000 * MIB);
    const { show } = quiet();
    expect(await off(shell, null, show)).toBe("swap is off: /dev/nbd0");
    expect(shell.commands).toEqual(["swapoff /dev/nbd0", "nbd-client -d /dev/nbd0"]);
  });

  test("shows its progress on a terminal, and as lines elsewhere", async () => {
    let shown = "";
    const stream = { isTTY: true, columns: 80, write: (text: string) => (shown += text) };
    const progress = new Progress(stream, { quiet: false });
    await off(await swapping(1000 * MIB), "/dev/nbd0", { progress, line: () => {} });
    expect(shown).toContain("swapoff  [############............] 500MiB of 1000MiB to come home");
    const { lines, show } = quiet();
    const shell = await swapping(1000 * MIB);
    shell.bytesPerPoll = 10 * MIB;
    await off(shell, "/dev/nbd0", show);
    expect(lines).toEqual([
      "750MiB of 1000MiB to come home",
      "500MiB of 1000MiB to come home",
      "250MiB of 1000MiB to come home",
    ]);
  });

  test("leaves the device attached when swapoff fails", async () => {
    const shell = await swapping(1000 * MIB);
    shell.failing.set("swapoff", "swapoff: /dev/nbd0: swapoff failed: Cannot allocate memory");
    const { message, exit } = await refusal(off(shell, "/dev/nbd0"));
    expect(message).toBe(
      "Cannot bring all pages of /dev/nbd0 home, 900MiB are still there, the device stays " +
        "attached: swapoff: /dev/nbd0: swapoff failed: Cannot allocate memory",
    );
    expect(exit).toBe(1);
    expect(shell.commands).toEqual(["swapoff /dev/nbd0"]);
    expect(nbdDevices(shell)[0]?.isConnected).toBe(true);
  });

  test("detaches those of several exports that are on", async () => {
    const shell = await swapping(0);
    const both = { ...OFF, exportNames: ["fresh", "swap"] };
    expect(await textOf(swapOff(shell, both, quiet().show, NEVER))).toBe("swap is off: /dev/nbd0");
    expect(await textOf(swapOff(shell, both, quiet().show, NEVER))).toBe(
      "swap is off already: no nbd device of this machine is swap",
    );
  });

  test("refuses when the memory that is available cannot hold the pages, unless forced", async () => {
    const shell = await swapping(300 * MIB);
    shell.files.set("/proc/meminfo", "MemTotal: 900000 kB\nMemAvailable:     204800 kB\n");
    const { message, exit } = await refusal(off(shell));
    expect(message).toBe(
      "Cannot switch swap off: 300MiB would come home, and there are 200MiB of memory and 0B of other swap: end programs, or add --force to try all the same",
    );
    expect(exit).toBe(1);
    expect(shell.commands).toEqual([]);
    const forced = textOf(swapOff(shell, { ...OFF, force: true }, quiet().show, NEVER));
    expect(await forced).toBe("swap is off: /dev/nbd0");
  });

  test("counts the room of other swap", async () => {
    const shell = await swapping(300 * MIB);
    shell.files.set("/proc/meminfo", "MemAvailable:     204800 kB\n");
    Object.assign(shell.devices[1] as FakeDevice, { byteCount: MIB, swapBytes: 100 * MIB });
    expect(await off(shell)).toBe("swap is off: /dev/nbd0");
  });

  test("detaches a device without swap, and does nothing when nothing is attached", async () => {
    const shell = await swapping(0);
    Object.assign(shell.devices[0] as FakeDevice, { swapBytes: null });
    expect(await off(shell, "/dev/nbd0")).toBe("swap is off: /dev/nbd0");
    expect(shell.commands).toEqual(["nbd-client -d /dev/nbd0"]);
    expect(await off(shell)).toBe("swap is off already: no nbd device of this machine is swap");
    expect(await off(shell, "/dev/nbd0")).toBe(
      "swap is off already: no nbd device of this machine is swap",
    );
  });

  test.each([
    ["a name", { exportNames: ["swpa"] }, 'export "swpa" of unix:/run/ramster/nbd.sock'],
    ["an address", { nbd: parseAddress("unix:/nbd.sock") }, 'export "swap" of unix:/nbd.sock'],
  ])("treats %s that does not match as a mistake while swap is on", async (_, wrong, what) => {
    const shell = await swapping(0);
    const options = { ...OFF, ...wrong };
    const { message, exit } = await refusal(swapOff(shell, options, quiet().show, NEVER));
    expect(message).toBe(
      `Cannot switch swap off: ${what} is not on; what is: /dev/nbd0, export "swap" of ${NBD}`,
    );
    expect(exit).toBe(3);
    expect((await refusal(off(shell, "/dev/nbd9"))).message).toBe(
      "Cannot switch swap off: there is no /dev/nbd9",
    );
    expect(shell.commands).toEqual([]);
  });

  test("does not mistake a device for what was attached to it before", async () => {
    const shell = await swapping(0);
    shell.pid = 1234;
    const { message } = await refusal(off(shell));
    expect(message).toEndWith("is not on; what is: /dev/nbd0");
    Object.assign(shell.devices[0] as FakeDevice, { isConnected: false });
    expect(await off(shell)).toBe("swap is off: /dev/nbd0"); // No one else could attach it.
  });

  test("lets swapoff continue when it is interrupted, and detaches when it is called again", async () => {
    const shell = await swapping(1000 * MIB);
    const stop = new AbortController();
    shell.onCommand = (line) => {
      if (line.startsWith("swapoff")) stop.abort("SIGINT");
    };
    const options = OFF;
    const { message } = await refusal(swapOff(shell, options, quiet().show, stop.signal));
    expect(message).toBe(
      "Cannot switch swap off: stopped by SIGINT, swapoff /dev/nbd0 continues, " +
        "run ramster swap off again afterwards to detach it",
    );
    while (shell.devices[0]?.swapBytes !== null) await shell.pause(1);
    expect(await off(shell)).toBe("swap is off: /dev/nbd0");
  });

  test("needs root, and reports when it cannot detach", async () => {
    const shell = await swapping(0);
    shell.failing.set("detach", "no");
    const { message } = await refusal(off(shell, "/dev/nbd0"));
    expect(message).toBe("Cannot detach /dev/nbd0, whose swap is off: no");
    shell.isRoot = false;
    const { exit } = await refusal(off(shell, "/dev/nbd0"));
    expect(exit).toBe(3);
  });
});

const size = (mib: number) => ({ size_bytes: mib * MIB });

test("swapStatus() and swapReport() show what is attached and how much of it is used", async () => {
  const shell = new FakeShell();
  expect(swapStatus(shell)).toEqual(["no nbd device is attached"]);
  await on(shell);
  Object.assign(shell.devices[0] as FakeDevice, { usedBytes: 3 * MIB, swapBytes: 1000 * MIB });
  Object.assign(shell.devices[1] as FakeDevice, { byteCount: 2 * MIB });
  expect(swapStatus(shell)).toEqual([
    `/dev/nbd0: 3MiB of 1000MiB used, priority 100, connected, export "swap" of ${NBD}`,
    "/dev/nbd1: 2MiB, not connected, no swap",
  ]);
  const swap = { size_bytes: 1000 * MIB, used_bytes: 3 * MIB, priority: 100 };
  expect(swapReport(shell)).toEqual([
    { device: "/dev/nbd0", is_connected: true, nbd: NBD, export: "swap", swap, ...size(1024) },
    { device: "/dev/nbd1", is_connected: false, nbd: null, export: null, swap: null, ...size(2) },
  ]);
});

test("parseSwaps() reads whole lines only", () => {
  const text = "Filename Type Size Used Priority\n/dev/sda2   partition 100 1 -2\n/swap file 8 0";
  expect([...parseSwaps(text)]).toEqual([
    ["/dev/sda2", { byteCount: 102_400, usedBytes: 1024, priority: -2 }],
  ]);
});
