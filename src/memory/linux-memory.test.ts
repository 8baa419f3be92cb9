import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { holdableBytes, type MemorySeen } from "../core/host-memory.ts";
import { LinuxMemory } from "./linux-memory.ts";
import {
  parseCgroupBytes,
  parseCgroups,
  parseMeminfo,
  parsePressure,
  parseStat,
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
/** The limit of a version 1 group without one. */
const NO_LIMIT = "9223372036854771712\n";
const FREE = { totalBytes: 16 * GIB, freeBytes: GIB };

type Files = Readonly<Record<string, string>>;

/** The readings of a machine with these files, one after the other. */
function looksAt(looks: readonly Files[], free = FREE): Array<MemorySeen | null> {
  const root = mkdtempSync(join(tmpdir(), "ramster-proc-"));
  const memory = new LinuxMemory(root, () => free);
  try {
    return looks.map((files) => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        if (path.startsWith("proc/self/ns/")) symlinkSync(text, join(root, path));
        else writeFileSync(join(root, path), text);
      }
      return memory.read();
    });
  } finally {
    rmSync(root, { recursive: true });
  }
}

function lookAt(files: Files, free = FREE): MemorySeen | null {
  return looksAt([files], free)[0] ?? null;
}

/** The files of one group. */
function group(folder: string, files: Files): Files {
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [`${folder}/${name}`, text]),
  );
}

function v2(root = "/", point = "/sys/fs/cgroup"): string {
  return `40 30 0:37 ${root} ${point} rw - cgroup2 cgroup2 rw,nsdelegate\n`;
}

function v1(root = "/", point = "/sys/fs/cgroup/memory", controllers = "memory"): string {
  return `34 30 0:31 ${root} ${point} rw - cgroup cgroup rw,${controllers}\n`;
}

const MACHINE = { "proc/meminfo": MEMINFO, "proc/pressure/memory": PRESSURE };
const OF_MACHINE = { totalBytes: 16 * GIB, availableBytes: 8 * GIB, cgroup: null };
const ALL_SEEN: MemorySeen = { ...OF_MACHINE, stallPercent: 12.5, unseen: [] };

/** A machine with version 2 at its usual place. */
const V2 = { ...MACHINE, "proc/self/mountinfo": v2(), "proc/self/cgroup": "0::/a/b.scope\n" };
const V1 = {
  ...MACHINE,
  "proc/self/mountinfo": v1() + v1("/", "/sys/fs/cgroup/cpu", "cpu"),
  "proc/self/cgroup": "9:name=systemd:/x\n4:memory:/a/b\n3:cpuset:/y\n",
};
const V1_AT = "sys/fs/cgroup/memory";

test("this machine has plausible figures, and the lowest limit counts", () => {
  const seen = new LinuxMemory().read();
  expect(seen?.totalBytes).toBeGreaterThan(2 ** 26);
  expect(seen?.availableBytes).toBeLessThanOrEqual(seen?.totalBytes ?? 0);
  // Without its cgroups it has as much, or more.
  const free = new LinuxMemory("/proc/self/no-such-file").read();
  expect(free?.totalBytes).toBeGreaterThanOrEqual(seen?.totalBytes ?? Number.POSITIVE_INFINITY);
  expect(free?.unseen).toEqual(["limit", "available", "waits"]);
});

test("a machine without cgroups has its memory, available memory and pressure", () => {
  const noCgroups = { ...MACHINE, "proc/self/mountinfo": "" };
  expect(lookAt(noCgroups)).toEqual(ALL_SEEN);
});

test("without PSI the pressure is unknown", () => {
  const files = { "proc/meminfo": MEMINFO, "proc/self/mountinfo": "" };
  expect(lookAt(files)).toEqual({ ...ALL_SEEN, stallPercent: 0, unseen: ["waits"] });
});

test("without meminfo only free memory counts as available", () => {
  const seen = lookAt({ ...V2, "proc/meminfo": "", "sys/fs/cgroup/a/b.scope/x": "" });
  const free = { totalBytes: 16 * GIB, availableBytes: GIB };
  expect(seen).toEqual({ ...ALL_SEEN, ...free, unseen: ["available"] });
  expect(holdableBytes(seen)).toBe(Number.POSITIVE_INFINITY);
  const nothing = lookAt({ "proc/meminfo/a": "a folder where a file should be" });
  expect(nothing?.unseen).toEqual(["limit", "available", "waits"]);
  expect(lookAt({}, { totalBytes: 0, freeBytes: 0 })).toBeNull();
  expect(holdableBytes(null)).toBe(Number.POSITIVE_INFINITY);
  expect(holdableBytes(lookAt(V2))).toBe(8 * GIB);
});

test("version 2: max or high, less the memory in use without inactive files", () => {
  const own = "sys/fs/cgroup/a/b.scope";
  const files = {
    ...V2,
    ...group(own, {
      "memory.max": "max\n",
      "memory.high": `${3 * GIB}\n`,
      "memory.current": `${2 * GIB}\n`,
      "memory.stat": `anon 1\ninactive_file ${GIB}\nactive_file 5\n`,
      "memory.pressure": PRESSURE.replace("12.50", "40.00"),
      // Swap is not memory.
      "memory.swap.max": "max\n",
      "memory.swap.current": "0\n",
    }),
  };
  const ofOwn = {
    totalBytes: 3 * GIB,
    availableBytes: 2 * GIB,
    cgroup: "/sys/fs/cgroup/a/b.scope",
  };
  expect(lookAt(files)).toEqual({ ...ALL_SEEN, ...ofOwn, stallPercent: 40 });
  const above = group("sys/fs/cgroup/a", { "memory.max": `${GIB}`, "memory.current": "0" });
  const ofAbove = { totalBytes: GIB, availableBytes: GIB, cgroup: "/sys/fs/cgroup/a" };
  expect(lookAt({ ...files, ...above })).toMatchObject(ofAbove);
  // The machine may have less memory than the group may use.
  const roomy = { ...files, [`${own}/memory.high`]: `${12 * GIB}` };
  expect(lookAt(roomy)).toMatchObject(OF_MACHINE);
});

test("version 1: the limit, less the memory of its subtree without inactive files", () => {
  const limited = group(`${V1_AT}/a/b`, {
    "memory.limit_in_bytes": `${2 * GIB}\n`,
    "memory.usage_in_bytes": `${1.5 * GIB}\n`,
    "memory.stat": [
      "inactive_file 1",
      `hierarchical_memory_limit ${2 * GIB}`,
      `total_inactive_file ${GIB}`,
      "",
    ].join("\n"),
  });
  const ofOwn = { totalBytes: 2 * GIB, availableBytes: 1.5 * GIB };
  expect(lookAt({ ...V1, ...limited })).toMatchObject({ ...ofOwn, unseen: [] });
  const none = {
    [`${V1_AT}/a/b/memory.limit_in_bytes`]: NO_LIMIT,
    [`${V1_AT}/a/b/memory.stat`]: `hierarchical_memory_limit ${NO_LIMIT}`,
  };
  expect(lookAt({ ...V1, ...limited, ...none })).toEqual(ALL_SEEN);
});

test("version 1: groups above count, even those that are not mounted", () => {
  const own = group(`${V1_AT}/a/b`, {
    "memory.limit_in_bytes": NO_LIMIT,
    "memory.usage_in_bytes": `${GIB}`,
  });
  const above = group(`${V1_AT}/a`, {
    "memory.limit_in_bytes": `${4 * GIB}`,
    "memory.usage_in_bytes": `${3 * GIB}`,
  });
  const seen = { totalBytes: 4 * GIB, availableBytes: GIB, cgroup: "/sys/fs/cgroup/memory/a" };
  expect(lookAt({ ...V1, ...own, ...above })).toMatchObject(seen);
  const apart = { [`${V1_AT}/a/memory.use_hierarchy`]: "0\n" };
  expect(lookAt({ ...V1, ...own, ...above, ...apart })).toMatchObject(OF_MACHINE);
  const stat = `hierarchical_memory_limit ${3 * GIB}\nhierarchical_memsw_limit ${NO_LIMIT}`;
  const hidden = { [`${V1_AT}/a/b/memory.stat`]: stat };
  const ofHidden = { totalBytes: 3 * GIB, availableBytes: 2 * GIB };
  expect(lookAt({ ...V1, ...own, ...hidden })).toMatchObject(ofHidden);
});

test("version 1: the limit on memory and swap together counts", () => {
  const files = group(`${V1_AT}/a/b`, {
    "memory.limit_in_bytes": `${2 * GIB}`,
    "memory.usage_in_bytes": `${GIB}`,
    "memory.memsw.limit_in_bytes": `${3 * GIB}`,
    "memory.memsw.usage_in_bytes": `${2.5 * GIB}`,
  });
  expect(lookAt({ ...V1, ...files })).toMatchObject({ availableBytes: GIB / 2 });
  const plenty = { [`${V1_AT}/a/b/memory.memsw.usage_in_bytes`]: `${GIB}` };
  expect(lookAt({ ...V1, ...files, ...plenty })).toMatchObject({ availableBytes: GIB });
});

test("hybrid: limits come from the memory controller, pressure from version 2", () => {
  const files = {
    "proc/meminfo": MEMINFO,
    "proc/self/mountinfo": v1() + v2("/", "/sys/fs/cgroup/unified"),
    "proc/self/cgroup": "4:cpu,memory:/a\n1:name=systemd:/s\n0::/s\n",
    ...group(`${V1_AT}/a`, {
      "memory.limit_in_bytes": `${GIB}`,
      "memory.usage_in_bytes": "0",
    }),
    "sys/fs/cgroup/unified/s/memory.pressure": PRESSURE,
  };
  const seen = { totalBytes: GIB, availableBytes: GIB, stallPercent: 12.5, unseen: [] };
  expect(lookAt(files)).toMatchObject(seen);
});

test.each([
  ["the group itself is mounted, as in a container", "0::/docker/1", v2("/docker/1"), ""],
  ["a group above it is mounted", "0::/docker/1/x", v2("/docker/1"), "/x"],
  ["it is mounted elsewhere", "0::/a", v2("/", "/mnt/my\\040groups"), "/a"],
  ["a namespace of its own shows it as the root", "0::/", v2("/"), ""],
  ["it is outside of the namespace, and so is the mount", "0::/../x", v2("/.."), "/x"],
  ["of two mounts the one that shows more counts", "0::/a/b", v2("/a/b", "/one") + v2("/"), "/a/b"],
  ["its process outlived it", "0::/gone (deleted)", v2(), "/gone"],
])("%s", (_name, cgroup, mounts, path) => {
  const point = mounts.includes("my") ? "mnt/my groups" : "sys/fs/cgroup";
  const files = group(`${point}${path}`, { "memory.max": `${GIB}`, "memory.current": "0" });
  const seen = lookAt({
    ...V2,
    "proc/self/mountinfo": mounts,
    "proc/self/cgroup": cgroup,
    ...files,
  });
  expect(seen).toMatchObject({ totalBytes: GIB, cgroup: `/${point}${path}`, unseen: [] });
});

test.each([
  ["nothing is mounted", "0::/a", ""],
  ["nothing of version 1 is mounted, where the controller is", "4:memory:/a\n0::/a", v2()],
  ["another group is mounted", "0::/a", v2("/b")],
  ["a group whose name begins alike is mounted", "0::/docker/12", v2("/docker/1")],
  ["it is outside of the namespace", "0::/../x", v2()],
  ["its folder is not there", "0::/nowhere", v2()],
  ["it looks like the root, in a namespace that nobody knows", "0::/", ""],
])("a group that cannot be read is reported: %s", (_name, cgroup, mounts) => {
  const there = { "sys/fs/cgroup/memory.stat": "", "sys/fs/cgroup/a/memory.stat": "" };
  const files = { ...MACHINE, "proc/self/mountinfo": mounts, "proc/self/cgroup": cgroup, ...there };
  expect(lookAt(files)).toEqual({ ...ALL_SEEN, unseen: ["limit"] });
});

test("the root of all groups has no limit, mounted or not", () => {
  const files = {
    ...MACHINE,
    "proc/self/mountinfo": "",
    "proc/self/cgroup": "0::/\n",
    "proc/self/ns/cgroup": "cgroup:[4026531835]",
  };
  expect(lookAt(files)).toEqual(ALL_SEEN);
});

test("a process that moves to another group is followed", () => {
  const limit = (bytes: number) => ({ "memory.max": `${bytes}`, "memory.current": "0" });
  const both = {
    ...group("sys/fs/cgroup/a", limit(GIB)),
    ...group("sys/fs/cgroup/b", limit(2 * GIB)),
  };
  const seen = looksAt([
    { ...V2, ...both, "proc/self/cgroup": "0::/a", "proc/self/mountinfo": "" },
    { "proc/self/mountinfo": v2() },
    { "sys/fs/cgroup/a/memory.max": `${GIB / 2}` },
    { "proc/self/cgroup": "0::/b" },
  ]);
  expect(seen.map((it) => it?.totalBytes)).toEqual([16 * GIB, GIB, GIB / 2, 2 * GIB]);
  expect(seen.map((it) => it?.unseen.length)).toEqual([1, 0, 0, 0]);
});

test("a cgroup over its limit has nothing available, even with a limit of zero", () => {
  const at = "sys/fs/cgroup/a/b.scope";
  const files = { ...V2, [`${at}/memory.current`]: `${GIB}\n` };
  const over = lookAt({ ...files, [`${at}/memory.max`]: "1024" });
  expect(over).toMatchObject({ totalBytes: 1024, availableBytes: 0 });
  expect(lookAt({ ...files, [`${at}/memory.high`]: "0" })).toMatchObject({ availableBytes: 0 });
  expect(lookAt({ ...files, [`${at}/memory.max`]: "max" })?.totalBytes).toBe(16 * GIB);
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
  ["0::/\n", { unified: "/" }],
  ["12:cpu:/x\n0::/user.slice/a b/\n", { unified: "/user.slice/a b" }],
  ["0::/gone (deleted)\n", { unified: "/gone" }],
  ["4:memory:/v1\n", { memory: "/v1" }],
  ["4:cpu,memory:/a:b\n0::/c\n", { memory: "/a:b", unified: "/c" }],
  ["4:memoryx:/a\n4:memory\n0:x:/b\n0::relative\n", {}],
  ["", {}],
])("cgroups of %j are %p", (text, cgroups) => {
  expect(parseCgroups(text)).toEqual({ memory: null, unified: null, ...cgroups });
});

test("bytes of a cgroup are a number or unlimited", () => {
  expect(parseCgroupBytes("max\n")).toBe(Number.POSITIVE_INFINITY);
  expect(parseCgroupBytes(NO_LIMIT)).toBe(Number.POSITIVE_INFINITY);
  expect(parseCgroupBytes("4096\n")).toBe(4096);
  for (const text of ["", "-1", "1.5", "1 2", "0x10", "maximum"]) {
    expect(parseCgroupBytes(text)).toBeNull();
  }
  expect(parseStat("total_inactive_file 5\n", "inactive_file")).toBeNull();
  expect(parseStat("anon 1\ninactive_file 5\n", "inactive_file")).toBe(5);
});
