/**
 * The datagram socket of the service manager, through bun:ffi: the runtime has no datagram sockets
 * of the unix family.
 *
 *     NOTIFY_SOCKET=/run/systemd/notify     a path
 *     NOTIFY_SOCKET=@/org/freedesktop/...   an abstract address: "@" stands for a zero byte
 *
 * A message is sent as one datagram, and never waits. One that cannot be sent is dropped: a service
 * manager that is gone must not end a node.
 */
import { dlopen, ptr } from "bun:ffi";
import { libcPath } from "../memory/libc-path.ts";

/** <sys/socket.h> on all machines that this program runs on. */
const AF_UNIX = 1;
/** SOCK_DGRAM, SOCK_NONBLOCK and SOCK_CLOEXEC. */
const DATAGRAM = 2 | 0o4000 | 0o2000000;
/** MSG_NOSIGNAL. */
const NO_SIGNAL = 0x4000;
/** <sys/un.h>: the longest address, with its last zero. */
const PATH_BYTES_MAX = 108;

/** <time.h>. */
const CLOCK_MONOTONIC = 1;

export interface NotifySocket {
  /** Sends one message. */
  send(message: string): void;
  /** The time that the service manager compares with its own: CLOCK_MONOTONIC. */
  monotonicUs(): bigint;
}

/** Null where the address is none, or bun:ffi or a C library is missing. */
export function openNotifySocket(address: string): NotifySocket | null {
  const to = socketAddress(address);
  const path = libcPath();
  if (to === null || path === null) return null;
  try {
    return openLibc(path, to);
  } catch {
    return null; // Without bun:ffi.
  }
}

/** `struct sockaddr_un`. Null: the address is no path and not abstract, or too long. */
export function socketAddress(address: string): Buffer | null {
  const isAbstract = address.startsWith("@");
  if (!isAbstract && !address.startsWith("/")) return null;
  const name = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`);
  if (name.byteLength > PATH_BYTES_MAX) return null;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, name]);
}

function openLibc(path: string, to: Buffer): NotifySocket {
  const { socket, sendto, clock_gettime } = dlopen(path, {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  }).symbols;
  const descriptor = socket(AF_UNIX, DATAGRAM, 0);
  /** `struct timespec`: seconds and nanoseconds. */
  const time = new BigInt64Array(2);
  return {
    send(message) {
      if (descriptor < 0) return;
      const bytes = Buffer.from(message);
      sendto(descriptor, ptr(bytes), bytes.byteLength, NO_SIGNAL, ptr(to), to.byteLength);
    },
    monotonicUs() {
      clock_gettime(CLOCK_MONOTONIC, ptr(time));
      const [seconds = 0n, nanoseconds = 0n] = time;
      return seconds * 1_000_000n + nanoseconds / 1000n;
    },
  };
}
