import { beforeEach, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { ADMISSION_NOTICE_MS } from "../core/admission-limits.ts";
import { Admission } from "./admission.ts";
import type { Stream } from "./transport.ts";

const SLOTS = 8;
const SHARE = SLOTS / 2;

let clock: SimClock;
let notices: string[];
let closed: string[];
let admission: Admission;

beforeEach(() => {
  clock = new SimClock();
  notices = [];
  closed = [];
  admission = new Admission(clock, {
    door: "peer port",
    slots: SLOTS,
    isKnown: (host) => host === "10.0.0.1",
    onNotice: (line) => notices.push(line),
  });
});

/** Enters a stream from `remote`. */
function enter(remote: string, isSilent = true): Stream {
  const stream = { remote } as Stream;
  const close = (): void => {
    closed.push(remote);
    admission.leave(stream);
  };
  admission.enter(stream, { close, isSilent: () => isSilent });
  return stream;
}

test("when all slots are taken, the oldest connection is closed", () => {
  for (let i = 1; i <= SLOTS + 2; i += 1) enter(`10.1.0.${i}:1`);
  expect(closed).toEqual(["10.1.0.1:1", "10.1.0.2:1"]);
  expect(admission.count).toBe(SLOTS);
});

test("silent connections are closed before one that has sent something", () => {
  enter("10.1.0.1:1", false);
  for (let i = 2; i <= 100; i += 1) enter(`10.1.0.${i}:1`);
  expect(closed).not.toContain("10.1.0.1:1");
  expect(closed).toHaveLength(100 - SLOTS);
});

test("a connection that is identified has no slot any more", () => {
  const first = enter("10.1.0.1:1");
  expect([admission.leave(first), admission.leave(first)]).toEqual([true, false]);
  for (let i = 2; i <= SLOTS + 1; i += 1) enter(`10.1.0.${i}:1`);
  expect(closed).toEqual([]);
});

test.each([
  ["an IPv4 address", (i: number) => `10.1.0.9:${i}`],
  ["an IPv4 address in IPv6", (i: number) => `[::ffff:10.1.0.9]:${i}`],
  ["a network of IPv6", (i: number) => `[2001:db8::${i}]:5`],
])("%s has its share; beyond it, its own oldest connection is closed", (_what, remote) => {
  enter("10.1.0.1:1");
  for (let i = 1; i <= 100; i += 1) enter(remote(i));
  expect(closed).toHaveLength(100 - SHARE);
  expect(closed).not.toContain("10.1.0.1:1");
  expect(admission.count).toBe(1 + SHARE);
});

test("strangers do not take the slots of members", () => {
  enter("10.0.0.1:1");
  for (let i = 0; i < 1000; i += 1) enter(`10.${i % 250}.7.1:1`);
  expect(closed).not.toContain("10.0.0.1:1");
  for (let i = 0; i < SHARE; i += 1) enter(`10.0.0.1:${i + 2}`);
  expect(closed.filter((remote) => remote.startsWith("10.0.0.1:"))).toEqual(["10.0.0.1:1"]);
});

test("closed connections are logged from time to time, in one line", () => {
  for (let i = 0; i < SLOTS + 50; i += 1) enter(`10.1.0.${i}:1`);
  clock.run(ADMISSION_NOTICE_MS);
  enter("10.2.0.1:1");
  expect(notices).toEqual([
    'Too many connections at the peer port: closed 1 connection, the last from "10.1.0.0"',
    'Too many connections at the peer port: closed 50 connections, the last from "10.1.0.50"',
  ]);
});
