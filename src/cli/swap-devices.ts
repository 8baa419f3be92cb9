/**
 * What the kernel says of its nbd devices and of its swap: /sys/block/nbdN and /proc/swaps.
 *
 *     /proc/swaps     Filename        Type            Size            Used            Priority
 *                     /dev/nbd0       partition       4194300         1024            100
 *
 * A device that is attached has a size, and a `pid` while a connection is there.
 */
import type { Shell } from "./shell.ts";

const SECTOR_BYTES = 512;

export interface NbdDevice {
  /** `/dev/nbd0`. */
  readonly path: string;
  /** 0: nothing is attached. */
  readonly byteCount: number;
  readonly isConnected: boolean;
  /** Null: the kernel does not swap there. */
  readonly swap: SwapUse | null;
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
      return {
        path: `/dev/${name}`,
        byteCount: Number.isSafeInteger(sectors) ? sectors * SECTOR_BYTES : 0,
        isConnected: shell.exists(`/sys/block/${name}/pid`),
        swap: swaps.get(`/dev/${name}`) ?? null,
      };
    });
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

/**
 * The UUID of swap on an export, made from what it is called: so a device that is swap says which
 * export it is, and one export is not attached as two devices that overwrite each other.
 */
export function swapUuid(address: string, exportName: string): string {
  const hash = new Bun.CryptoHasher("sha256").update(`ramster swap\0${address}\0${exportName}`);
  const bytes = hash.digest().subarray(0, 16);
  // RFC 9562: version 8, which is of one's own making, and the variant.
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [
    ...[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16)],
    ...[hex.slice(16, 20), hex.slice(20)],
  ].join("-");
}
