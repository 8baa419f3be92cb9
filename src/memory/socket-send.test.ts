import { dlopen, ptr } from "bun:ffi";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, readSync } from "node:fs";
import { libcPath } from "./libc-path.ts";
import { openSocketSend } from "./socket-send.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;

const send = openSocketSend() ?? (() => Number.NaN);
let here = -1;
let there = -1;

beforeEach(() => {
  const { socketpair } = dlopen(libcPath() ?? "", {
    socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  }).symbols;
  const pair = new Int32Array(2);
  expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ptr(pair))).toBe(0);
  [here = -1, there = -1] = pair;
});

afterEach(() => {
  closeSync(here);
  if (there >= 0) closeSync(there);
});

test("a socket takes bytes until it is full, and again after a read", () => {
  const bytes = Buffer.alloc(4096, "x");
  let total = 0;
  for (let count = 1; count > 0; total += count) {
    count = send(here, bytes);
    expect(count).toBeGreaterThanOrEqual(0);
  }
  expect(send(here, bytes)).toBe(0);
  for (let left = total; left > 0; ) left -= readSync(there, Buffer.alloc(65_536));
  expect(send(here, Buffer.from("abc"))).toBe(3);
  const read = Buffer.alloc(10);
  expect(read.toString("utf8", 0, readSync(there, read))).toBe("abc");
});

test("a socket whose reader is gone takes nothing, and raises no signal", () => {
  closeSync(there);
  there = -1;
  expect(send(here, Buffer.from("abc"))).toBe(-1);
});
