import { expect, test } from "bun:test";
import { LEND_CALM_MS, LEND_GROW_MS, STALL_SHRINK_MS } from "../../core/limits.ts";
import {
  isNoReserve,
  type LendSeen,
  lendLimit,
  lendNoMore,
  marginBytes,
  newLendState,
  reserveBytes,
} from "./lend-limit.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** A lender of 6400 frames, in steps of 100. */
const SEEN: LendSeen = {
  nowMs: 0,
  available: 100_000,
  reserve: 1000,
  margin: 100,
  stallPercent: 0,
  total: 200_000,
  given: 6400,
  resident: 3000,
};

test.each([
  ["auto", 4 * GIB, Math.floor(0.4 * GIB)],
  ["auto", 256 * GIB, GIB],
  [{ percent: 50 }, 4 * GIB, 2 * GIB],
  [{ percent: 0 }, 4 * GIB, 0],
  [{ bytes: 20 * GIB }, 4 * GIB, 20 * GIB],
] as const)("a reserve of %p of %d bytes is %d", (reserve, total, bytes) => {
  expect(reserveBytes(reserve, total)).toBe(bytes);
});

test("only a reserve of 0 is no reserve, however small the machine is", () => {
  expect([{ bytes: 0 }, { percent: 0 }].map(isNoReserve)).toEqual([true, true]);
  const some = ["auto", { bytes: 1 }, { percent: 1 }] as const;
  expect(some.map(isNoReserve)).toEqual([false, false, false]);
  expect(some.map((reserve) => reserveBytes(reserve, 0))).toEqual([1, 1, 1]);
});

test("without PSI the automatic reserve is twice as much, and a fixed one stays the same", () => {
  expect(reserveBytes("auto", 4 * GIB, false)).toBe(2 * Math.floor(0.4 * GIB));
  expect(reserveBytes("auto", 256 * GIB, false)).toBe(2 * GIB);
  expect(reserveBytes({ bytes: GIB }, 4 * GIB, false)).toBe(GIB);
  expect(reserveBytes({ percent: 10 }, 4 * GIB, false)).toBe(Math.floor(0.4 * GIB));
});

test("a step is a part of the memory of the machine, so a small one is never lent beyond it", () => {
  const given = 1_000_000; // Steps of 15625, three times the memory.
  const seen = {
    ...SEEN,
    given,
    resident: 0,
    total: 6400,
    available: 5000,
    reserve: 640,
    margin: 80,
  };
  const limit = lendLimit(newLendState(given), seen);
  expect(limit).toBe(4300);
});

test("unknown memory is not lent: resident frames stay, and the limit grows slowly once it is known", () => {
  const state = newLendState(6400);
  lendNoMore(state, { nowMs: 0, resident: 0 });
  expect(state.limit).toBe(0);
  const stateAtWork = newLendState(6400);
  lendNoMore(stateAtWork, { nowMs: 0, resident: 3000 });
  expect(stateAtWork.limit).toBe(3000);
  const { nowMs: _, ...seen } = SEEN;
  expect(lendLimit(stateAtWork, { ...seen, nowMs: LEND_CALM_MS - 1 })).toBe(3000);
  expect(lendLimit(stateAtWork, { ...seen, nowMs: LEND_CALM_MS })).toBe(3100);
});

test("the margin is an eighth of the reserve, within its bounds", () => {
  expect([0, 80 * MIB, GIB, 20 * GIB].map(marginBytes)).toEqual([0, 10 * MIB, 64 * MIB, 64 * MIB]);
});

test.each([
  ["room for all: all", {}, 6400],
  ["no room for all: what is resident and what is left over", { available: 2100 }, 4000],
  ["in whole steps", { available: 2101 }, 4100],
  ["in the margin: what is resident", { available: 1050 }, 3000],
  ["just the reserve: what is resident", { available: 1000 }, 3000],
  ["below it: less by what is missing, and the margin", { available: 500 }, 2400],
  ["in whole steps, downward", { available: 501 }, 2400],
  ["far below it: nothing", { available: 0, reserve: 9000 }, 0],
  ["nothing is resident and nothing is left: nothing", { available: 0, resident: 0 }, 0],
  ["no reserve: all, whatever is available", { available: 0, reserve: 0, stallPercent: 99 }, 6400],
  ["waits: what is resident, less a part", { stallPercent: 10, available: 3900 }, 2800],
  ["few waits: all", { stallPercent: 9, available: 100_000 }, 6400],
  ["waits while there is plenty: all", { stallPercent: 99, available: 4000 }, 5900],
] as const)("%s", (_name, seen, limit) => {
  expect(lendLimit(newLendState(6400), { ...SEEN, ...seen })).toBe(limit);
});

/** A machine where other programs use `used` of `total`, and the lender follows the limit. */
class Machine {
  resident = 3000;
  nowMs = 0;
  stallPercent = 0;
  readonly limits: number[] = [];
  used: number;
  private readonly total: number;
  private readonly state = newLendState(6400);

  constructor(total: number, used: number) {
    this.total = total;
    this.used = used;
  }

  run(ms: number, framesPerLook = 100): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 250) {
      const available = Math.max(0, this.total - this.used - this.resident);
      const { nowMs, resident, stallPercent } = this;
      const limit = lendLimit(this.state, { ...SEEN, nowMs, available, resident, stallPercent });
      this.limits.push(limit);
      this.resident -= Math.min(framesPerLook, Math.max(0, resident - limit));
    }
  }

  get changes(): number {
    return this.limits.filter((limit, i) => i > 0 && limit !== this.limits[i - 1]).length;
  }
}

test("while frames are given back the limit stays the same", () => {
  const machine = new Machine(8000, 4500);
  machine.run(10_000);
  expect(new Set(machine.limits)).toEqual(new Set([2400]));
  expect(machine.resident).toBe(2400);
});

test("afterwards the limit stays, and grows step by step once there is room, up to all", () => {
  const machine = new Machine(20_000, 16_500);
  machine.run(60_000);
  expect(machine.limits.at(-1)).toBe(2400);
  machine.used = 1000;
  machine.run(LEND_CALM_MS - 500);
  expect(machine.limits.at(-1)).toBe(2400);
  machine.limits.length = 0;
  machine.run(43 * LEND_GROW_MS);
  expect(machine.limits.at(-1)).toBe(6400);
  const steps = machine.limits.map((limit, i) => limit - (machine.limits[i - 1] ?? limit));
  expect(Math.max(...steps)).toBeLessThanOrEqual(200);
  expect(Math.min(...steps)).toBe(0);
});

test("changes by less than the margin do not change the limit", () => {
  const machine = new Machine(8000, 4500);
  machine.run(30_000);
  machine.limits.length = 0;
  for (let i = 0; i < 100; i += 1) {
    machine.used = 4500 + (i % 2) * 99;
    machine.run(1000);
  }
  expect(machine.changes).toBe(0);
});

test("a machine that needs memory every few seconds gets it once, and it is not lent in between", () => {
  const machine = new Machine(20_000, 10_000);
  for (let i = 0; i < 50; i += 1) {
    machine.used = i % 2 === 0 ? 16_500 : 10_000;
    machine.run(4000);
  }
  expect(machine.changes).toBe(0); // Only the first check shrank it.
  expect(machine.limits.at(-1)).toBe(2400);
});

test("while programs wait the limit shrinks each second, until they wait less", () => {
  const machine = new Machine(8000, 3500);
  machine.stallPercent = 30;
  machine.run(3 * STALL_SHRINK_MS);
  expect(machine.changes).toBe(2);
  const limit = machine.limits.at(-1) ?? 0;
  expect(limit).toBeLessThan(2700);
  for (machine.stallPercent = 29; machine.stallPercent > 0; machine.stallPercent -= 1) {
    machine.run(250);
  }
  expect(machine.limits.at(-1)).toBe(limit);
});
