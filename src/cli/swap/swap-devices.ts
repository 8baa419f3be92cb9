/**
 * The nbd devices and the swap of the kernel, /sys/block/nbdN and /proc/swaps; and the notes of
 * `ramster swap on` about the devices that it attached, since the kernel does not know the export.
 *
 *     /proc/swaps              Filename    Type        Size       Used    Priority
 *                              /dev/nbd0   partition   4194300    1024    100
 *     /run/ramster-swap/nbd0   {"nbd":"unix:/run/nbd.sock","exportName":"swap","pid":"812"}
 *
 * An attached device has a size and, while it is connected, the `pid` of the process that attached
 * it. A note with another pid belongs to an earlier use of the device.
 */
import { type Address, formatAddress, parseAddress } from "../../net/address.ts";
import type { Shell } from "./shell.ts";

const SECTOR_BYTES = 512;
/** Only root writes there, and it is empty after a boot, as the devices are. */
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
        path: `/dev/${name}`,
        byteCount,
        isConnected: pid !== null,
        swap: swaps.get(`/dev/${name}`) ?? null,
        at: byteCount === 0 && pid === null ? null : readNote(shell, name, pid),
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

/** One form for each address, however it was written. */
export function normalize(shell: Shell, { nbd, exportName }: ExportAt): ExportAt {
  if (nbd.kind === "unix") return { nbd: { ...nbd, path: shell.realPath(nbd.path) }, exportName };
  const host = nbd.host.toLowerCase();
  return { nbd: { ...nbd, host: host === "localhost" ? "127.0.0.1" : host }, exportName };
}

/** Notes what is attached as the device now. */
export function writeNote(shell: Shell, device: string, { nbd, exportName }: ExportAt): void {
  const name = nameOf(device);
  const pid = pidOf(shell, name);
  shell.write(notePath(name), JSON.stringify({ nbd: formatAddress(nbd), exportName, pid }));
}

export function removeNote(shell: Shell, device: string): void {
  shell.remove(notePath(nameOf(device)));
}

function readNote(shell: Shell, name: string, pid: string | null): ExportAt | null {
  const text = shell.read(notePath(name));
  if (text === null) return null;
  try {
    const saved = JSON.parse(text);
    // Without a connection it is still the same device: nobody else could attach it.
    if (pid !== null && saved.pid !== pid) return null;
    return { nbd: parseAddress(saved.nbd), exportName: String(saved.exportName) };
  } catch {
    return null; // A note that was not written to its end.
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

/** By device. Other lines are skipped. */
export function parseSwaps(text: string): Map<string, SwapUse> {
  const swaps = new Map<string, SwapUse>();
  for (const line of text.split("\n")) {
    const match = /^(\/\S+)\s+\w+\s+(\d+)\s+(\d+)\s+(-?\d+)$/.exec(line.trim());
    if (match === null) continue;
    const [, path = "", size, used, priority] = match;
    const [byteCount, usedBytes] = [Number(size) * 1024, Number(used) * 1024];
    swaps.set(path, { byteCount, usedBytes, priority: Number(priority) });
  }
  return swaps;
}
