/**
 * send(2) through bun:ffi, to a socket that another process has made. It does not block, and does
 * not change the socket for other processes that share it.
 */
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import { libcPath } from "./libc-path.ts";

/** <sys/socket.h>: MSG_DONTWAIT and MSG_NOSIGNAL. */
const FLAGS = 0x40 | 0x4000;
const EAGAIN = 11;
const EINTR = 4;

/** @returns how many bytes were taken, 0 when the socket is full, -1 when its reader is gone. */
export type SocketSend = (fd: number, bytes: Uint8Array) => number;

/** Null where bun:ffi or a C library is missing. */
export function openSocketSend(): SocketSend | null {
  const path = libcPath();
  if (path === null) return null;
  try {
    return sendOf(path);
  } catch {
    return null; // Without bun:ffi.
  }
}

function sendOf(path: string): SocketSend {
  const { send, __errno_location } = dlopen(path, {
    send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
  return (fd, bytes) => {
    if (bytes.byteLength === 0) return 0; // An empty array has no address.
    const count = Number(send(fd, ptr(bytes), bytes.byteLength, FLAGS));
    if (count >= 0) return count;
    const errno = read.i32(__errno_location() as Pointer, 0);
    return errno === EAGAIN || errno === EINTR ? 0 : -1;
  };
}
