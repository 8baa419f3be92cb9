import { describe, expect, test } from "bun:test";
import { FakeShell, quiet, refusal, textOf } from "../../../harness/nbd/fake-shell.ts";
import { parseAddress } from "../../net/address.ts";
import { swapUses } from "./swap-devices.ts";
import { type NodeSpace, swapRotate } from "./swap-rotate.ts";
import { swapOn } from "./swap-steps.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const NBD = parseAddress("unix:/run/ramster/nbd.sock");
const NEVER = new AbortController().signal;
const OPTIONS = {
  nbd: NBD,
  exportNames: ["swap", "fresh"],
  stalePercent: 50,
  bytesPerSecond: 64 * MIB,
} as const;

/** Swap is on, and of 1 GiB that the node stores the kernel uses 256 MiB. */
async function swapping(exportName = "swap") {
  const shell = new FakeShell(3);
  await swapOn(shell, { nbd: NBD, exportName, device: null, priority: 100 }, NEVER);
  const [device] = shell.devices;
  if (device === undefined) throw new Error("no device");
  device.usedBytes = 256 * MIB;
  shell.commands.length = 0;
  return { shell, device };
}

function nodeWith({ freeBytes = 4 * GIB, storedBytes = GIB, sizeBytes = 8 * GIB } = {}) {
  const space: NodeSpace = {
    freeBytes,
    of: (name) => {
      if (name !== "swap" && name !== "fresh") return null;
      return { sizeBytes, storedBytes: name === "swap" ? storedBytes : 0 };
    },
  };
  return async () => space;
}

const rotate = (shell: FakeShell, node = nodeWith(), options: Partial<typeof OPTIONS> = {}) => {
  return textOf(swapRotate(shell, { ...OPTIONS, ...options }, node, quiet().show, NEVER));
};

describe("swapRotate()", () => {
  test("switches the fresh export on before it switches the stale one off", async () => {
    const { shell } = await swapping();
    const line = await rotate(shell);
    expect(line).toStartWith('rotated: export "swap" of unix:/run/ramster/nbd.sock is off');
    const words = shell.commands.map((it) => it.split(" ")[0]);
    expect(words.filter((it, i) => it !== words[i - 1])).toEqual([
      "nbd-client",
      "mkswap",
      "swapon",
      "swapoff",
      "blkdiscard",
      "nbd-client",
    ]);
    expect(
      shell.devices.map(({ exportName, swapBytes }) => swapBytes !== null && exportName),
    ).toEqual([false, "fresh", false]);
    expect(shell.devices[1]?.priority).toBe(101);
  });

  test("keeps to the rate: swapoff is ended when it was faster, and goes on later", async () => {
    const { shell } = await swapping();
    shell.bytesPerPoll = 20 * MIB; // 100 MiB a second.
    const startMs = shell.now();
    await rotate(shell, nodeWith(), { bytesPerSecond: (32 * MIB) as never });
    expect(shell.commands.filter((it) => it.startsWith("swapoff")).length).toBeGreaterThan(1);
    expect(shell.now() - startMs).toBeGreaterThan(6000);
  });

  test("leaves swap as it is while little is stale", async () => {
    const { shell } = await swapping();
    const line = await rotate(shell, nodeWith({ storedBytes: 300 * MIB }));
    expect(line).toBe("not rotated: 14% of 300MiB are stale, less than 50%");
    expect(shell.commands).toEqual([]);
  });

  test("refuses when what is used would not fit once more", async () => {
    const { shell } = await swapping();
    for (const [node, why] of [
      [nodeWith({ freeBytes: 255 * MIB }), "the space free for pages is 255MiB"],
      [nodeWith({ sizeBytes: 128 * MIB }), 'export "fresh" has 128MiB'],
    ] as const) {
      expect(await refusal(rotate(shell, node))).toMatchObject({
        message: `Cannot rotate swap: 256MiB of swap is in use, and ${why}`,
      });
    }
    expect(shell.commands).toEqual([]);
  });

  test("goes on with a rotation that was interrupted, whatever is stale", async () => {
    const { shell } = await swapping();
    const stopped = new AbortController();
    shell.onCommand = (line) => {
      if (line.startsWith("swapoff")) stopped.abort("SIGINT");
    };
    const { show } = quiet();
    const first = swapRotate(shell, OPTIONS, nodeWith(), show, stopped.signal);
    expect((await refusal(first)).message).toContain("stopped by SIGINT");
    expect(shell.devices.filter(({ swapBytes }) => swapBytes !== null).length).toBe(2);
    shell.onCommand = () => {};
    await rotate(shell, nodeWith({ storedBytes: 0 }));
    expect(shell.devices.filter(({ swapBytes }) => swapBytes !== null).length).toBe(1);
  });

  test("leaves both on when swapoff fails, and reports why", async () => {
    const { shell, device } = await swapping();
    shell.failing.set("swapoff", "swapoff: Cannot allocate memory");
    expect((await refusal(rotate(shell))).message).toBe(
      "Cannot bring all pages of /dev/nbd0 home: swapoff: Cannot allocate memory",
    );
    expect(device.swapBytes).not.toBeNull();
  });

  test("refuses where no swap is on, and exports that the node has not", async () => {
    const { shell } = await swapping("other");
    expect((await refusal(rotate(shell))).message).toBe(
      'Cannot rotate swap: neither "swap" nor "fresh" is on: run ramster swap on first',
    );
    const named = { exportNames: ["other", "fresh"] as never };
    expect((await refusal(rotate(shell, nodeWith(), named))).message).toBe(
      'Cannot rotate swap: the node has no export "other"',
    );
  });
});

test("swapUses() has what the kernel swaps on exports of these addresses", async () => {
  const { shell } = await swapping();
  expect([...swapUses(shell, [NBD])]).toEqual([["swap", 256 * MIB]]);
  const other = parseAddress("unix:/var/run/ramster/nbd.sock");
  expect([...swapUses(shell, [other])]).toEqual([["swap", 256 * MIB]]);
  expect([...swapUses(shell, [parseAddress("unix:/other")])]).toEqual([]);
  expect([...swapUses(new FakeShell(), [NBD])]).toEqual([]);
});

test("swapUses() reads no more files for many addresses", async () => {
  const { shell } = await swapping();
  let reads = 0;
  const read = shell.read.bind(shell);
  shell.read = (path) => {
    reads += 1;
    return read(path);
  };
  swapUses(shell, [NBD]);
  const forOne = reads;
  reads = 0;
  swapUses(
    shell,
    Array.from({ length: 50 }, () => NBD),
  );
  expect(reads).toBe(forOne);
});
