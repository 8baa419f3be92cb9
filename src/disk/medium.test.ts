import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { MediumFinder } from "./medium.ts";
import { openDisk } from "./open-disk.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

const MEMORY = "zram0 which is memory";
const SYS = "sys/class/block";

/**
 * A machine on which descriptor 7 is on mount 40. `devices`: by MAJOR:MINOR, the path of the device
 * below /sys/devices.
 */
function machine(
  mounts: readonly string[],
  devices: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
): MediumFinder {
  const root = mkdtempSync(join(tmpdir(), "ramster-medium-"));
  roots.push(root);
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  put("proc/self/fdinfo/7", "pos:\t0\nflags:\t02\nmnt_id:\t40\nino:\t5\n");
  put("proc/self/mountinfo", mounts.map((line) => `${line}\n`).join(""));
  for (const [number, path] of Object.entries(devices)) {
    const folder = join(root, "sys/devices", path);
    mkdirSync(folder, { recursive: true });
    for (const parent of ["sys/dev/block", SYS, "dev"]) {
      mkdirSync(join(root, parent), { recursive: true });
    }
    const name = path.split("/").at(-1) ?? "";
    symlinkSync(folder, join(root, "sys/dev/block", number));
    symlinkSync(folder, join(root, SYS, name));
    symlinkSync(folder, join(root, "dev", name));
  }
  for (const [path, text] of Object.entries(files)) put(path, text);
  return new MediumFinder(root);
}

const ROOT = "20 1 8:1 / / rw - ext4 /dev/sda1 rw";
const DISK = { "8:1": "sda/sda1" };
const mount = (device: string, type: string, source: string, options = "rw") => {
  return `40 20 ${device} / /var/spill rw - ${type} ${source} ${options}`;
};

test.each([
  ["a disk", [mount("8:1", "ext4", "/dev/sda1")], DISK, {}, null],
  ["tmpfs", [ROOT, mount("0:30", "tmpfs", "none")], DISK, {}, "tmpfs, which is memory"],
  ["ramfs", [ROOT, mount("0:30", "ramfs", "none")], DISK, {}, "ramfs, which is memory"],
  [
    "a compressed disk of memory",
    [mount("253:0", "ext4", "/dev/zram0")],
    { "253:0": "virtual/block/zram0" },
    {},
    "/dev/zram0, which is memory",
  ],
  [
    "a device of the network",
    [mount("43:0", "ext4", "/dev/nbd0")],
    { "43:0": "virtual/block/nbd0" },
    {},
    "/dev/nbd0, a network block device",
  ],
  [
    "a partition of one",
    [mount("43:1", "ext4", "/dev/nbd0p1")],
    { "43:1": "virtual/block/nbd0/nbd0p1" },
    {},
    "/dev/nbd0p1, a network block device",
  ],
  [
    "a file system with a number of its own",
    [mount("0:45", "btrfs", "/dev/nbd1")],
    { "43:32": "virtual/block/nbd1" },
    {},
    "/dev/nbd1, a network block device",
  ],
  [
    "a mapped device on one",
    [mount("252:0", "xfs", "/dev/mapper/x")],
    { "252:0": "virtual/block/dm-0" },
    { [`${SYS}/dm-0/slaves/nbd3/x`]: "" },
    "/dev/nbd3, a network block device",
  ],
  [
    "a mapped device on a disk",
    [mount("252:0", "xfs", "/dev/mapper/x")],
    { "252:0": "virtual/block/dm-0" },
    { [`${SYS}/dm-0/slaves/sda/x`]: "" },
    null,
  ],
  [
    "a loop on a file of tmpfs",
    [ROOT, "30 20 0:30 / /run rw - tmpfs none rw"],
    { "7:0": "virtual/block/loop0" },
    { [`${SYS}/loop0/loop/backing_file`]: "/run/a\n" },
    "tmpfs, which is memory",
  ],
  [
    "a partition of a loop on a file of a disk",
    [ROOT],
    { ...DISK, "7:0": "virtual/block/loop0", "259:0": "virtual/block/loop0/loop0p1" },
    { [`${SYS}/loop0/loop/backing_file`]: "/a\n", [`${SYS}/loop0p1/partition`]: "1" },
    null,
  ],
  [
    "layers, the upper one on tmpfs",
    [ROOT, "30 20 0:30 / /run rw - tmpfs none rw"],
    {},
    {},
    "tmpfs, which is memory",
  ],
  ["layers, the upper one on a disk", [ROOT], DISK, {}, null],
  ["nothing that is known", ["garbage"], {}, {}, null],
] as ReadonlyArray<
  [string, string[], Record<string, string>, Record<string, string>, string | null]
>)("a file on %s", (name, mounts, devices, files, unfit) => {
  const all = [...mounts];
  if (name.startsWith("a loop")) all.push(mount("7:0", "ext4", "/dev/loop0"));
  if (name.startsWith("a partition of a loop")) all.push(mount("259:0", "ext4", "/dev/loop0p1"));
  if (name.startsWith("layers")) {
    const upper = name.endsWith("tmpfs") ? "/run/upper" : "/var/upper";
    all.push(mount("0:50", "overlay", "overlay", `rw,lowerdir=/,upperdir=${upper},workdir=/w`));
  }
  const found = machine(all, devices, files).unfit(7);
  if (unfit === null) expect(found).toBeNull();
  else expect(found).toStartWith(unfit);
});

test("layers on themselves and endless devices do not hang the search", () => {
  const overlay = "40 1 0:50 / / rw - overlay overlay rw,upperdir=/upper";
  expect(machine([overlay]).unfit(7)).toBeNull();
  const loop = { [`${SYS}/loop0/loop/backing_file`]: "/var/spill/a" };
  const itself = [mount("7:0", "ext4", "/dev/loop0")];
  expect(machine(itself, { "7:0": "virtual/block/loop0" }, loop).unfit(7)).toBeNull();
});

test("in swap mode such a file is refused and removed; otherwise it is a warning", () => {
  const directory = mkdtempSync(join(tmpdir(), "ramster-medium-"));
  roots.push(directory);
  const lines: string[] = [];
  const warn = (line: string): void => void lines.push(line);
  const finder = { unfit: () => MEMORY };
  expect(() => openDisk(directory, { inSwapMode: true, warn }, finder)).toThrow(
    `Cannot use --spill "${directory}": in swap mode it must be on a disk, but it is on ${MEMORY}`,
  );
  expect(lines).toEqual([]);
  openDisk(directory, { inSwapMode: false, warn }, finder).close();
  expect(lines).toEqual([`The spill file should be on a disk, but it is on ${MEMORY}`]);
  openDisk(directory, { inSwapMode: true, warn }, { unfit: () => null }).close();
  expect(lines.length).toBe(1);
});

test.skipIf(!existsSync("/dev/shm"))("/dev/shm of this machine is memory", () => {
  const lines: string[] = [];
  const use = { inSwapMode: false, warn: (line: string): void => void lines.push(line) };
  openDisk("/dev/shm", use).close();
  expect(lines).toEqual([
    "The spill file should be on a disk, but it is on tmpfs, which is memory",
  ]);
});
