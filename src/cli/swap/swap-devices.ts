/**
 * Reads the nbd devices and the swap of the kernel from /sys/block/nbdN and /proc/swaps. `ramster
 * swap on` keeps notes about the devices that it attached, since the kernel does not know the
 * export.
 *
 *     /proc/swaps              Filename    Type        Size       Used    Priority
 *                              /dev/nbd0   partition   4194300    1024    100
 *     /run/ramster-swap/nbd0   {"nbd":"unix:/run/nbd.sock","exportName":"swap","pid":"812"}, as a
 *                              note (shell.ts)
 *
 * An attached device has a size. While it is connected, it also has the `pid` of the process that
 * attached it. A note with another pid belongs to an earlier use of the device.
 */
import { type Address, formatAddress, parseAddress } from "../../net/address.ts";
import type { ExportAt, Shell } from "./shell.ts";

const SECTOR_BYTES = 512;
/** Only root can write here, and the folder is empty after a boot, as the devices are. */
export const NOTES = "/run/ramster-swap";

export interface NbdDevice {
  /** `/dev/nbd0`. */
  readonly path: string;
  /** The size of the device. 0: nothing is attached. */
  readonly byteCount: number;
  readonly isConnected: boolean;
  /** How the kernel swaps on it. Null: it does not. */
  readonly swap: SwapUse | null;
  /** The attached export. Null: nothing is attached, or not by `ramster swap on`. */
  readonly at: ExportAt | null;
}

export interface SwapUse {
  readonly byteCount: number;
  readonly usedBytes: number;
  readonly priority: number;
}

/** All nbd devices of the kernel, in the order of their numbers. */
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

/** The device that the export is attached to. */
export function deviceOf(shell: Shell, at: ExportAt): NbdDevice | null {
  const what = describe(at);
  return nbdDevices(shell).find((it) => it.at !== null && describe(it.at) === what) ?? null;
}

/**
 * Bytes that the kernel swaps on exports of the node at these addresses, by their names. Exports
 * without swap, or attached by another program, are missing.
 */
export function swapUses(shell: Shell, addresses: readonly Address[]): Map<string, number> {
  const uses = new Map<string, number>();
  if (addresses.length === 0 || shell.list(NOTES).length === 0) return uses;
  const own = new Set(addresses.map((nbd) => addressOf(shell, nbd)));
  for (const { swap, at } of nbdDevices(shell)) {
    if (swap === null || at === null || !own.has(addressOf(shell, at.nbd))) continue;
    uses.set(at.exportName, swap.usedBytes);
  }
  return uses;
}

function addressOf(shell: Shell, nbd: Address): string {
  return formatAddress(normalize(shell, { nbd, exportName: "" }).nbd);
}

/** `export "swap" of unix:/run/nbd.sock`. */
export function describe({ nbd, exportName }: ExportAt): string {
  return `export "${exportName}" of ${formatAddress(nbd)}`;
}

/** The same export, with its address in one canonical form. */
export function normalize(shell: Shell, { nbd, exportName }: ExportAt): ExportAt {
  if (nbd.kind === "unix") return { nbd: { ...nbd, path: shell.realPath(nbd.path) }, exportName };
  const host = nbd.host.toLowerCase();
  return { nbd: { ...nbd, host: host === "localhost" ? "127.0.0.1" : host }, exportName };
}

/** Writes the note for an export that was just attached to the device. */
export function writeNote(shell: Shell, device: string, { nbd, exportName }: ExportAt): void {
  const name = nameOf(device);
  const pid = pidOf(shell, name);
  shell.writeNote(notePath(name), JSON.stringify({ nbd: formatAddress(nbd), exportName, pid }));
}

export function removeNote(shell: Shell, device: string): void {
  shell.removeNote(notePath(nameOf(device)));
}

function readNote(shell: Shell, name: string, pid: string | null): ExportAt | null {
  const text = shell.readNote(notePath(name));
  if (text === null) return null;
  try {
    const saved = JSON.parse(text);
    // Without a connection it is still the same attachment, since nobody else could attach the
    // device.
    if (pid !== null && saved.pid !== pid) return null;
    return { nbd: parseAddress(saved.nbd), exportName: String(saved.exportName) };
  } catch {
    return null; // The note was not written completely.
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

/** The swap of each device. Other lines are skipped. */
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
