/**
 * KernelDevices: devices of this machine's kernel that the node serves itself. The node attaches
 * them, so it can attach them again: when their connection breaks, and when it has taken over from
 * a process that died (src/node/open-ramster.ts).
 *
 *     attach     the kernel gets one end of a pair of sockets, and the node serves the other
 *     broken     requests wait in the kernel; another pair, until the kernel takes it
 *     detach     the kernel ends the connection with NBD_CMD_DISC. A stop of the node detaches all.
 *
 * A device names its server, as `ramster:NODE:EXPORT` in /sys/block/nbdN/backend. So a successor
 * finds what its predecessor served.
 *
 * The requests of a broken connection are dropped before another one is made: the kernel sends them
 * again, and an old write must not come after a newer one.
 */
import type { Clock } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { DEVICE_FLAGS } from "../nbd/handshake.ts";
import type { KernelDevice, KernelNbd } from "../nbd/kernel-nbd.ts";

/**
 * A request of a device that takes longer makes the kernel drop the socket, and send it again on
 * the next one. After a crash every request that was under way waits so long, so it is short. A
 * page from a holder takes milliseconds, and some seconds while a holder is found to be dead.
 */
export const DEVICE_TIMEOUT_MS_DEFAULT = 5000;
/**
 * So long a node may take to come back, before the kernel gives its device up and every program
 * with pages there ends.
 */
export const DEAD_TIMEOUT_MS_DEFAULT = 300_000;
/** A pair is tried again after this time, then twice that, up to the second one. */
const RETRY_MS = 5;
const RETRY_MS_MAX = 500;

export interface DeviceTimeouts {
  /** Of a request, NBD_ATTR_TIMEOUT. */
  readonly deviceTimeoutMs: number;
  /** Without a connection, NBD_ATTR_DEAD_CONN_TIMEOUT. */
  readonly deadTimeoutMs: number;
}

export interface KernelDevicesParts {
  readonly clock: Clock;
  readonly kernel: KernelNbd;
  /** The name of the node. */
  readonly name: string;
  /**
   * Whether its pages outlive its process. A node without has nothing to come back to, so its
   * devices have no time-outs.
   */
  readonly isKept: boolean;
  readonly timeouts: DeviceTimeouts;
  /** Serves the export with that name on the descriptor. @returns false: there is none. */
  readonly serve: (exportName: string, fd: number, remote: string) => boolean;
  readonly note: (level: "info" | "warn" | "error", line: string) => void;
}

export class KernelDevices {
  private readonly parts: KernelDevicesParts;
  private isStopped = false;
  /** Devices that wait for another process of this name. */
  private readonly strangers = new Set<number>();

  constructor(parts: KernelDevicesParts) {
    this.parts = parts;
  }

  /**
   * Attaches an export of `byteCount` to the device, or to any free one. @returns its path. Throws
   * RamsterError NO_DEVICE.
   */
  attach(exportName: string, byteCount: number, index: number | null): string {
    const { kernel, isKept, timeouts } = this.parts;
    const attached = kernel.attach({
      index,
      byteCount,
      blockBytes: PAGE_BYTES, // Else the kernel would read and write pages in parts.
      flags: DEVICE_FLAGS,
      backend: this.backendOf(exportName),
      requestSeconds: isKept ? wholeSeconds(timeouts.deviceTimeoutMs) : 0,
      deadSeconds: isKept ? wholeSeconds(timeouts.deadTimeoutMs) : 0,
    });
    if (typeof attached === "string") {
      const where = index === null ? "a device of the kernel" : pathOf(index);
      throw new RamsterError("NO_DEVICE", `Cannot attach ${where}: ${attached}`);
    }
    const path = pathOf(attached.index);
    this.strangers.delete(attached.index);
    this.parts.serve(exportName, attached.fd, path);
    return path;
  }

  /** Detaches the device. Throws RamsterError NO_DEVICE. */
  detach(index: number): void {
    const why = this.parts.kernel.detach(index);
    if (why === null) return;
    throw new RamsterError("NO_DEVICE", `Cannot detach ${pathOf(index)}: ${why}`);
  }

  /** The devices that this node serves, by their paths, with their exports. */
  list(): Array<{ path: string; exportName: string }> {
    return this.own().map(({ index, backend }) => {
      return { path: pathOf(index), exportName: backend.slice(this.backendOf("").length) };
    });
  }

  /** Attaches all devices again that a predecessor served. */
  takeOver(): void {
    for (const device of this.own()) this.again(device, RETRY_MS);
  }

  /**
   * Notes devices that an earlier process served. This node has not their pages, so it never
   * touches them: the process that has them may still come.
   */
  noteStrangers(): void {
    for (const { index } of this.own()) {
      this.strangers.add(index);
      const what = `${pathOf(index)} waits for another process, which has its pages`;
      this.parts.note("error", `${what}: this node has not taken them over`);
    }
  }

  /** The connection of a device broke. */
  broken(path: string): void {
    const device = this.own().find(({ index }) => pathOf(index) === path);
    if (device !== undefined && this.parts.isKept) this.again(device, RETRY_MS);
  }

  /**
   * The node ends in good order, and its pages with it: the kernel need not wait for another one.
   */
  stop(): void {
    this.isStopped = true;
    for (const { index } of this.own()) this.parts.kernel.detach(index);
  }

  /** Offers the kernel another socket until it takes it, or detaches the device. */
  private again(device: KernelDevice, retryMs: number): void {
    const { clock, kernel, serve, note } = this.parts;
    if (this.isStopped) return;
    const path = pathOf(device.index);
    const fd = kernel.attachAgain(device);
    if (fd === null) {
      const isThere = this.own().some(({ index }) => index === device.index);
      const next = Math.min(2 * retryMs, RETRY_MS_MAX);
      if (isThere) clock.after(retryMs, () => this.again(device, next));
      return;
    }
    const exportName = device.backend.slice(this.backendOf("").length);
    if (serve(exportName, fd, path)) note("info", `attached ${path} again`);
    else note("warn", `${path} wants export "${exportName}", which this node does not have`);
  }

  private own(): KernelDevice[] {
    const prefix = this.backendOf("");
    return this.parts.kernel.devices().filter(({ index, backend }) => {
      return backend.startsWith(prefix) && !this.strangers.has(index);
    });
  }

  private backendOf(exportName: string): string {
    return `ramster:${this.parts.name}:${exportName}`;
  }
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

export function pathOf(index: number): string {
  return `/dev/nbd${index}`;
}
