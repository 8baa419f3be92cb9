import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { LinuxMemory } from "./linux-memory.ts";
import {
  parseCgroupBytes,
  parseCgroupPath,
  parseInactiveFile,
  parseMeminfo,
  parsePressure,
} from "./proc-text.ts";

const GIB = 2 ** 30;
const MEMINFO = `MemTotal:       ${16 * 2 ** 20} kB
MemFree:         1234567 kB
MemAvailable:   ${8 * 2 ** 20} kB
HugePages_Total:       0
`;
const PRESSURE = `some avg10=12.50 avg60=3.00 avg300=0.10 total=123456
full avg10=1.00 avg60=0.50 avg300=0.00 total=23456
`;

/** What a machine with these files says. */
function lookAt(files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), "ramster-proc-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return new LinuxMemory(root).look();
  } finally {
    rmSync(root, { recursive: true });
  }
}

const MACHINE = { "proc/meminfo": MEMINFO, "proc/pressure/memory": PRESSURE };

test("this machine says something that can be true", () => {
  const seen = new LinuxMemory().look();
  expect(seen?.totalBytes).toBeGreaterThan(2 ** 26);
  expect(seen?.availableBytes).toBeLessThanOrEqual(seen?.totalBytes ?? 0);
});

test("a machine says what it has, what is available and how long programs waited", () => {
  const all = { totalBytes: 16 * GIB, availableBytes: 8 * GIB };
  expect(lookAt(MACHINE)).toEqual({ ...all, stallPercent: 12.5 });
  expect(lookAt({ "proc/meminfo": MEMINFO })).toEqual({ ...all, stallPercent: 0 });
});

test("without anything to read nothing is known", () => {
  expect(lookAt({})).toBeNull();
  expect(lookAt({ "proc/pressure/memory": PRESSURE })).toBeNull();
  expect(lookAt({ "proc/meminfo/a": "a folder where a file should be" })).toBeNull();
});

test("the tightest limit of its cgroups counts, and the longest wait", () => {
  const own = "sys/fs/cgroup/a/b.scope";
  const files = {
    ...MACHINE,
    "proc/self/cgroup": "1:name=systemd:/elsewhere\n0::/a/b.scope\n",
    [`${own}/memory.max`]: "max\n",
    [`${own}/memory.high`]: `${3 * GIB}\n`,
    [`${own}/memory.current`]: `${2 * GIB}\n`,
    [`${own}/memory.stat`]: `anon 1\ninactive_file ${GIB}\nactive_file 5\n`,
    [`${own}/memory.pressure`]: PRESSURE.replace("12.50", "40.00"),
  };
  expect(lookAt(files)).toEqual({
    totalBytes: 3 * GIB,
    availableBytes: 2 * GIB,
    stallPercent: 40,
  });
  const above = { "sys/fs/cgroup/a/memory.max": `${GIB}`, "sys/fs/cgroup/a/memory.current": "0" };
  expect(lookAt({ ...files, ...above })).toMatchObject({ totalBytes: GIB, availableBytes: GIB });
});

test("a cgroup over its limit has nothing, one without limit does not count", () => {
  const at = "sys/fs/cgroup";
  const files = { ...MACHINE, "proc/self/cgroup": "0::/\n", [`${at}/memory.current`]: `${GIB}\n` };
  const over = lookAt({ ...files, [`${at}/memory.max`]: "1024" });
  expect(over).toMatchObject({ totalBytes: 1024, availableBytes: 0 });
  const none = lookAt({ ...files, [`${at}/memory.max`]: "max" });
  expect(none?.totalBytes).toBe(16 * GIB);
});

test.each([
  ["nothing", ""],
  ["no MemAvailable", "MemTotal: 16 kB\n"],
  ["no total", "MemTotal: 0 kB\nMemAvailable: 0 kB\n"],
  ["another unit", "MemTotal: 16 MB\nMemAvailable: 8 MB\n"],
  ["less than nothing", "MemTotal: 16 kB\nMemAvailable: -8 kB\n"],
  ["a number without end", `MemTotal: ${"9".repeat(400)} kB\nMemAvailable: 8 kB\n`],
  ["a name inside another", "XMemTotal: 16 kB\nMemAvailable: 8 kB\n"],
  ["half a line", "MemTotal: 16 kB\nMemAvail"],
  ["bytes", "\u0000\ufffd\n".repeat(1000)],
])("meminfo with %s is null", (_name, text) => {
  expect(parseMeminfo(text)).toBeNull();
});

test("no more is available than there is", () => {
  const text = "MemTotal: 16 kB\nMemAvailable: 17 kB\n";
  expect(parseMeminfo(text)).toEqual({ totalBytes: 16384, availableBytes: 16384 });
});

test.each([
  ["", null],
  ["full avg10=1.00 avg60=0.00 avg300=0.00 total=0\n", null],
  ["some avg10=nan avg60=0.00\n", null],
  ["some avg10=-1.00 avg60=0.00\n", null],
  ["some avg10=999.00 avg60=0.00\n", null],
  ["some avg10=1e9 avg60=0.00\n", null],
  ["some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 0],
  ["some avg10=100.00 avg60=0.00 avg300=0.00 total=0\n", 100],
])("pressure %j is %p", (text, percent) => {
  expect(parsePressure(text)).toBe(percent);
});

test.each([
  ["0::/\n", ""],
  ["12:cpu:/x\n0::/user.slice/a b\n", "/user.slice/a b"],
  ["0::/gone (deleted)\n", "/gone"],
  ["0::/../outside\n", null],
  ["4:memory:/v1\n", null],
  ["", null],
])("cgroup %j is at %p", (text, path) => {
  expect(parseCgroupPath(text)).toBe(path);
});

test("bytes of a cgroup are a number or all", () => {
  expect(parseCgroupBytes("max\n")).toBe(Number.POSITIVE_INFINITY);
  expect(parseCgroupBytes("4096\n")).toBe(4096);
  for (const text of ["", "-1", "1.5", "1 2", "0x10", "maximum"]) {
    expect(parseCgroupBytes(text)).toBeNull();
  }
  expect(parseInactiveFile("total_inactive_file 5\n")).toBeNull();
});
