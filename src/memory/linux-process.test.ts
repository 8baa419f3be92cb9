import { describe, expect, test } from "bun:test";
import { libcPath } from "./libc-path.ts";
import { LinuxProcess } from "./linux-process.ts";
import { openProcess } from "./open-process.ts";
import {
  parseKib,
  parseLibcPath,
  parseMapping,
  parseTaskFlags,
  parseTaskPolicy,
} from "./proc-text.ts";

describe("parseMapping()", () => {
  test("reads the addresses, rights and name of a mapping", () => {
    expect(parseMapping("7f0100000000-7f0100003000 rw-p 00000000 00:00 0 ")).toEqual({
      start: 0x7f0100000000,
      byteCount: 0x3000,
      isReadable: true,
      isFile: false,
      isCopiedOnWrite: true,
      isShared: false,
      isSpecial: false,
    });
    const text = "55d0c0000-55d0c5000 r-xp 00001000 fe:00 1234       /usr/bin/a program";
    expect(parseMapping(text)).toMatchObject({
      isFile: true,
      isCopiedOnWrite: false,
      isSpecial: false,
    });
    const shared = "7f0100000000-7f0100003000 rw-s 00000000 00:05 1  /dev/zero";
    const expected = { isFile: true, isCopiedOnWrite: false, isShared: true };
    expect(parseMapping(shared)).toMatchObject(expected);
    expect(parseMapping("10000-20000 ---p 00000000 00:00 0")).toMatchObject({ isReadable: false });
    expect(parseMapping("10000-20000 rw-p 00000000 00:00 0    [stack]")).toMatchObject({
      isFile: false,
      isSpecial: false,
    });
    const vvar = "7ffe3f8e2000-7ffe3f8e6000 r--p 00000000 00:00 0         [vvar]";
    expect(parseMapping(vvar)).toMatchObject({ isSpecial: true });
  });

  test.each([
    "",
    "nothing",
    "20000-10000 rw-p 00000000 00:00 0",
    "10000-20000 rw-",
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0       [vsyscall]",
  ])("is null for %p", (line) => {
    expect(parseMapping(line)).toBeNull();
  });
});

describe("parseTaskFlags()", () => {
  test("finds the flags behind a name of any characters", () => {
    expect(parseTaskFlags("12 (a) R 1 (b) S 3 4 5 6 7 4194304 8 9")).toBe(4194304);
    expect(parseTaskFlags("12 (bun) S 1 2 3 0 -1 1077936128 9")).toBe(1077936128);
  });

  test.each(["", "12", "12 (bun) S 1", "12 (bun) S 1 2 3 0 -1 many 9"])(
    "is null for %p",
    (text) => {
      expect(parseTaskFlags(text)).toBeNull();
    },
  );
});

test("parseTaskPolicy() finds the policy behind a name of any characters", () => {
  const words = Array.from({ length: 49 }, (_, index) => `${index + 4}`);
  words[41 - 4] = "2";
  expect(parseTaskPolicy(`12 (a) R 1) S ${words.join(" ")}\n`)).toBe(2);
  expect(parseTaskPolicy(`12 (a) S ${words.slice(0, 30).join(" ")}`)).toBeNull();
  expect(parseTaskPolicy("")).toBeNull();
});

test("parseKib() reads the status of a process", () => {
  expect(parseKib("Name:\tbun\nVmLck:\t     132 kB\nVmRSS:\t 7 kB\n", "VmLck")).toBe(132 * 1024);
  expect(parseKib("Name:\tVmLck:\n", "VmLck")).toBeNull();
});

describe("parseLibcPath()", () => {
  const maps = (path: string) =>
    `7f01-7f02 rw-p 00000000 00:00 0\n7f02-7f05 r-xp 0 fe:00 1   ${path}\n`;

  test.each([
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc-2.31.so",
    "/lib/ld-musl-x86_64.so.1",
  ])("finds %p", (path) => {
    expect(parseLibcPath(maps(path))).toBe(path);
  });

  test.each(["", "/usr/lib/libc.so.6.bak", "/usr/lib/libcap.so.2", "libc.so.6"])(
    "is null for %p",
    (path) => expect(parseLibcPath(maps(path))).toBeNull(),
  );
});

describe("this machine", () => {
  const host = openProcess();

  test("describes this process", () => {
    const residence = host?.residence();
    expect(residence?.residentBytes).toBeGreaterThan(10 * 2 ** 20);
    expect(residence?.lockedBytes).toBe(0);
    const { threads = 0, flushers = -1 } = host?.ioFlushers() ?? {};
    expect(threads).toBeGreaterThan(0);
    expect(flushers).toBe(0);
    const { threads: usual = 0, realTime = -1 } = host?.priorities() ?? {};
    expect(usual).toBeGreaterThan(0);
    expect(realTime).toBe(0);
    expect(Math.abs(host?.oomScore() ?? Number.NaN)).toBeLessThanOrEqual(1000);
  });

  test("accepts the current OOM score, and refuses an invalid one", () => {
    const score = host?.oomScore() ?? 0;
    expect(host?.setOomScore(score)).toBeNull();
    expect(host?.setOomScore(5000)).toBe("writing /proc/self/oom_score_adj: EINVAL");
    expect(host?.oomScore()).toBe(score);
  });

  test("is null without a C library", () => {
    expect(() => new LinuxProcess("/nowhere/libc.so")).toThrow();
    expect(libcPath()).toMatch(/^\/.*libc/);
  });
});
