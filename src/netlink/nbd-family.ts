/**
 * NbdFamily: KernelNbd on the kernel's generic netlink family "nbd" (linux/nbd-netlink.h). It needs
 * CAP_SYS_ADMIN, and Linux 5.14 for the name of the server (`backend`).
 *
 * A device is attached with one end of a pair of sockets. RECONFIGURE replaces only sockets that
 * are dead, and succeeds also when it has replaced none. So the kernel's end is closed here after
 * the call: the other end hangs up at once if the kernel did not take it.
 */
import { ptr } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";
import { libcPath } from "../memory/libc-path.ts";
import type { Attached, AttachRequest, KernelDevice, KernelNbd } from "../nbd/kernel-nbd.ts";
import {
  joined,
  nestedAttribute,
  textAttribute,
  u32Attribute,
  u64Attribute,
} from "./attributes.ts";
import { GenericNetlink } from "./generic-netlink.ts";
import { errnoOf, type Libc, openLibc } from "./libc.ts";

const VERSION = 1;
const COMMAND = { CONNECT: 1, DISCONNECT: 2, RECONFIGURE: 3 } as const;
const ATTRIBUTE = {
  INDEX: 1,
  SIZE_BYTES: 2,
  BLOCK_SIZE_BYTES: 3,
  TIMEOUT: 4,
  SERVER_FLAGS: 5,
  SOCKETS: 7,
  DEAD_CONN_TIMEOUT: 8,
  BACKEND_IDENTIFIER: 10,
} as const;
const SOCK_ITEM = 1;
const SOCK_FD = 1;

const AF_UNIX = 1;
/** SOCK_STREAM, SOCK_NONBLOCK and SOCK_CLOEXEC. */
const STREAM = 1 | 0o4000 | 0o2000000;
const F_SETFL = 4;
const O_RDWR = 2;
/** POLLERR, POLLHUP and POLLRDHUP of <poll.h>. */
const POLLRDHUP = 0x2000;
const GONE = 0x8 | 0x10 | POLLRDHUP;

const BLOCK_DEVICES = "/sys/block";
const REASONS: Readonly<Record<number, string>> = {
  1: "it needs CAP_SYS_ADMIN, as root has",
  2: "the kernel has no such device",
  13: "it needs CAP_SYS_ADMIN, as root has",
  16: "the device is in use",
};

export class NbdFamily implements KernelNbd {
  private readonly libc: Libc;

  /** `path`: of the C library. Throws without bun:ffi. */
  constructor(path: string) {
    this.libc = openLibc(path);
  }

  attach(request: AttachRequest): Attached | string {
    const { index, byteCount, blockBytes, flags, backend } = request;
    const wanted = index === null ? [] : [u32Attribute(ATTRIBUTE.INDEX, index)];
    const attributes = [
      ...wanted,
      u64Attribute(ATTRIBUTE.SIZE_BYTES, byteCount),
      u64Attribute(ATTRIBUTE.BLOCK_SIZE_BYTES, blockBytes),
      u64Attribute(ATTRIBUTE.SERVER_FLAGS, flags),
      u64Attribute(ATTRIBUTE.TIMEOUT, request.requestSeconds),
      u64Attribute(ATTRIBUTE.DEAD_CONN_TIMEOUT, request.deadSeconds),
      textAttribute(ATTRIBUTE.BACKEND_IDENTIFIER, backend),
    ];
    const result = this.withPair(COMMAND.CONNECT, attributes);
    if (typeof result === "string") return result;
    const found = result.attributes.get(ATTRIBUTE.INDEX);
    if (found === undefined || found.byteLength < 4) {
      this.libc.close(result.fd);
      return "the kernel does not say which device it is";
    }
    return {
      index: new DataView(found.buffer, found.byteOffset).getUint32(0, true),
      fd: result.fd,
    };
  }

  attachAgain({ index, backend }: KernelDevice): number | null {
    const attributes = [
      u32Attribute(ATTRIBUTE.INDEX, index),
      textAttribute(ATTRIBUTE.BACKEND_IDENTIFIER, backend),
    ];
    const result = this.withPair(COMMAND.RECONFIGURE, attributes);
    return typeof result === "string" ? null : result.fd;
  }

  detach(index: number): string | null {
    const answer = this.request(COMMAND.DISCONNECT, [u32Attribute(ATTRIBUTE.INDEX, index)]);
    return typeof answer === "string" ? answer : null;
  }

  devices(): KernelDevice[] {
    const found: KernelDevice[] = [];
    for (const name of namesIn(BLOCK_DEVICES)) {
      if (!/^nbd\d+$/.test(name)) continue;
      const backend = textOf(`${BLOCK_DEVICES}/${name}/backend`);
      if (backend !== null) found.push({ index: Number(name.slice(3)), backend });
    }
    return found;
  }

  /** Sends a request with one end of a new pair. @returns the other end, if the kernel took it. */
  private withPair(
    command: number,
    attributes: readonly Uint8Array[],
  ): { fd: number; attributes: ReadonlyMap<number, Uint8Array> } | string {
    const { libc } = this;
    const pair = new Int32Array(2);
    if (libc.socketpair(AF_UNIX, STREAM, 0, ptr(pair)) !== 0) return `errno ${errnoOf(libc)}`;
    const [ours = -1, theirs = -1] = pair;
    // The kernel waits in its own sends and receives.
    libc.fcntl(theirs, F_SETFL, O_RDWR);
    const item = nestedAttribute(SOCK_ITEM, u32Attribute(SOCK_FD, theirs));
    const sockets = nestedAttribute(ATTRIBUTE.SOCKETS, item);
    const answer = this.request(command, [...attributes, sockets]);
    libc.close(theirs);
    if (typeof answer !== "string" && !this.isGone(ours)) return { fd: ours, attributes: answer };
    libc.close(ours);
    return typeof answer === "string" ? answer : "the kernel has not taken the socket";
  }

  /** @returns the attributes of the answer, or why there is none. */
  private request(
    command: number,
    attributes: readonly Uint8Array[],
  ): ReadonlyMap<number, Uint8Array> | string {
    const netlink = GenericNetlink.open(this.libc);
    if (typeof netlink === "number") return `netlink: errno ${netlink}`;
    try {
      const family = netlink.family("nbd");
      if (family === null) return "the kernel has no netlink family nbd";
      const answer = netlink.request(family, { command, version: VERSION }, joined(attributes));
      if (answer.error === 0) return answer.attributes;
      return REASONS[answer.error] ?? `errno ${answer.error}`;
    } finally {
      netlink.close();
    }
  }

  private isGone(fd: number): boolean {
    const polled = new DataView(new ArrayBuffer(8));
    polled.setInt32(0, fd, true);
    polled.setInt16(4, POLLRDHUP, true);
    this.libc.poll(ptr(new Uint8Array(polled.buffer)), 1n, 0);
    return (polled.getInt16(6, true) & GONE) !== 0;
  }
}

/** Null where bun:ffi or a C library is missing. */
export function openKernelNbd(): KernelNbd | null {
  const path = libcPath();
  if (path === null) return null;
  try {
    return new NbdFamily(path);
  } catch {
    return null; // Without bun:ffi.
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Without /sys.
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null; // The device is not attached, or not by netlink.
  }
}
