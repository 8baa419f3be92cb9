/**
 * What the kernel says of its nbd devices and of its swap, /sys/block/nbdN and /proc/swaps; and
 * what `ramster swap on` has noted of those that it attached, which the kernel does not say.
 *
 *     /proc/swaps              Filename    Type        Size       Used    Priority
 *                              /dev/nbd0   partition   4194300    1024    100
 *     /run/ramster-swap/nbd0   {"nbd":"unix:/run/nbd.sock","exportName":"swap","pid":"812"}
 *
 * A device that is attached has a size, and a `pid` while a connection is there: of the process
 * that attached it. A note with another pid is of an earlier use of the device.
 */
import { type Address, formatAddress, parseAddress } from "../../net/address.ts";
import type { Shell } from "./shell.ts";

const SECTOR_BYTES = 512;
/** Root's, and gone when the machine starts again, as devices are. */
export const NOTES = "/run/ramster-swap";

/** Where an export is, and which. */
export interface ExportAt {
  readonly nbd: Address;
  readonly exportName: string;
}

export interface NbdDevice {
  /** `/dev/nbd0`. */
  readonly path: string;
  /** 0: nothing is attached. */
  readonly byteCount: number;
  readonly isConnected: boolean;
  /** Null: the kernel does not swap there. */
  readonly swap: SwapUse | null;
  /** What is attached; null: nothing, or not by `ramster swap on`. */
  readonly at: ExportAt | null;
}

export interface SwapUse {
  readonly byteCount: number;
  readonly usedBytes: number;
  readonly priority: number;
}

/** All that the kernel has, in the order of their numbers. */
export function nbdDevices(shell: Shell): NbdDevice[] {
  const swaps = parseSwaps(shell.read("/proc/swaps") ?? "");
  return shell
    .list("/sys/block")
    .filter((name) => /^nbd\d+$/.test(name))
    .sort((a, b) => Number(a.slice(3)) - Number(b.slice(3)))
    .map((name) => {
      const sectors = Number(shell.read(`/sys/block/${name}/size`) ?? 0);
      const byteCount = Number.isSafeInteger(sectors) ? sectors * SECTOR_BYTES : 0;
      const pid = pidOf(shell, name);
      return {
        ...{ path: `/dev/${name}`, byteCount, isConnected: pid !== null },
        swap: swaps.get(`/dev/${name}`) ?? null,
        at: byteCount === 0 && pid === null ? null : noted(shell, name, pid),
      };
    });
}

export function findDevice(shell: Shell, path: string): NbdDevice | null {
  return nbdDevices(shell).find((device) => device.path === path) ?? null;
}

/** The device that the export is attached as. */
export function deviceOf(shell: Shell, at: ExportAt): NbdDevice | null {
  const what = describe(at);
  return nbdDevices(shell).find((it) => it.at !== null && describe(it.at) === what) ?? null;
}

/** `export "swap" of unix:/run/nbd.sock`. */
export function describe({ nbd, exportName }: ExportAt): string {
  return `export "${exportName}" of ${formatAddress(nbd)}`;
}

/** One address has one form, however it was written. */
export function settle(shell: Shell, { nbd, exportName }: ExportAt): ExportAt {
  if (nbd.kind === "unix") return { nbd: { ...nbd, path: shell.realPath(nbd.path) }, exportName };
  const host = nbd.host.toLowerCase();
  return { nbd: { ...nbd, host: host === "localhost" ? "127.0.0.1" : host }, exportName };
}

/** Of a device that is attached now. */
export function note(shell: Shell, device: string, { nbd, exportName }: ExportAt): void {
  const name = nameOf(device);
  const pid = pidOf(shell, name);
  shell.write(notePath(name), JSON.stringify({ nbd: formatAddress(nbd), exportName, pid }));
}

export function forget(shell: Shell, device: string): void {
  shell.remove(notePath(nameOf(device)));
}

function noted(shell: Shell, name: string, pid: string | null): ExportAt | null {
  const text = shell.read(notePath(name));
  if (text === null) return null;
  try {
    const found = JSON.parse(text);
    // A device whose connection is lost is the same, since nobody else could attach it.
    if (pid !== null && found.pid !== pid) return null;
    return { nbd: parseAddress(found.nbd), exportName: String(found.exportName) };
  } catch {
    return null; // Half a note is none.
  }
}

function pidOf(shell: Shell, name: string): string | null {
  return shell.read(`/sys/block/${name}/pid`)?.trim() ?? null;
}

function nameOf(device: string): string {
  return device.slice("/dev/".length);
}

function notePath(name: string): string {
  return `${NOTES}/${name}`;
}

/** By device. What is no such line is left out. */
export function parseSwaps(text: string): Map<string, SwapUse> {
  const swaps = new Map<string, SwapUse>();
  for (const line of text.split("\n")) {
    const found = /^(\/\S+)\s+\w+\s+(\d+)\s+(\d+)\s+(-?\d+)$/.exec(line.trim());
    if (found === null) continue;
    const [, path = "", size, used, priority] = found;
    const [byteCount, usedBytes] = [Number(size) * 1024, Number(used) * 1024];
    swaps.set(path, { byteCount, usedBytes, priority: Number(priority) });
  }
  return swaps;
}
