import { describe, expect, test } from "bun:test";
import { PAGE_BYTES } from "../core/limits.ts";
import { openMemory } from "./open-memory.ts";
import { ownRanges, ProcessPages } from "./process-pages.ts";

const MAPS = `
00400000-00452000 r-xp 00000000 08:02 173521  /usr/bin/dbus-daemon
00651000-00652000 rw-p 00051000 08:02 173521  /usr/bin/dbus-daemon
00e03000-00e24000 rw-p 00000000 00:00 0       [heap]
7f00a000-7f00c000 rw-p 00000000 00:00 0
7f00c000-7f00d000 ---p 00000000 00:00 0
7f00d000-7f00e000 rw-p 00000000 00:00 0       [anon:arena 1]
7f010000-7f020000 rw-s 00000000 00:01 7       /dev/zero (deleted)
7fff0000-7fff1000 rw-p 00000000 00:00 0       [stack]
ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0  [vsyscall]
`;

describe("ownRanges()", () => {
  const starts = (shared: boolean): number[] => ownRanges(MAPS, shared).map(({ start }) => start);

  test("takes heap and anonymous mappings, and neither files nor the stack", () => {
    expect(starts(false)).toEqual([0xe03000, 0x7f00a000, 0x7f00d000]);
    expect(ownRanges(MAPS, false)[1]).toEqual({ start: 0x7f00a000, end: 0x7f00c000 });
  });

  test("takes shared memory where it is wanted", () => {
    expect(starts(true)).toEqual([0xe03000, 0x7f00a000, 0x7f00d000, 0x7f010000]);
  });
});

describe("ProcessPages", () => {
  test("finds and reads a page that this process has touched", () => {
    const region = openMemory().reserve(64 * PAGE_BYTES);
    const mark = crypto.getRandomValues(new Uint8Array(PAGE_BYTES));
    region.write(3 * PAGE_BYTES, mark, 0, PAGE_BYTES);
    const pages = new ProcessPages(process.pid);
    const page = new Uint8Array(PAGE_BYTES);
    const found: number[] = [];
    pages.eachResident((address) => {
      expect(pages.read(address, page)).toBe(true);
      if (Buffer.compare(page, mark) === 0) found.push(address);
    });
    pages.close();
    region.close();
    expect(found.length).toBeGreaterThanOrEqual(1);
  });

  test("reports a process that is not there as the system does", () => {
    expect(() => new ProcessPages(2 ** 30)).toThrow("ENOENT");
  });
});
