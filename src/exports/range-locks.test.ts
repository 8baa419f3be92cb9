import { expect, test } from "bun:test";
import { below, SeededRandom } from "../core/random.ts";
import { type PageRange, RangeLocks } from "./range-locks.ts";

type OnUnblocked = (range: PageRange) => unknown;

function range(first: number, last: number, onUnblocked: OnUnblocked): PageRange {
  const it: PageRange = { first, last, blockers: 0, onUnblocked: () => onUnblocked(it) };
  return it;
}

test("a range waits for older ones that share a page, and for no others", () => {
  const unblocked: PageRange[] = [];
  const locks = new RangeLocks();
  const onUnblocked = (it: PageRange): unknown => unblocked.push(it);
  const make = (first: number, last: number) => range(first, last, onUnblocked);
  const [wide, inside, beside, over] = [make(0, 9), make(3, 3), make(10, 12), make(9, 10)];
  expect([wide, inside, beside, over].map((it) => locks.acquire(it))).toEqual([
    true,
    false,
    true,
    false,
  ]);
  locks.release(wide);
  expect(unblocked).toEqual([inside]);
  locks.release(beside);
  expect(unblocked).toEqual([inside, over]);
  locks.release(inside);
  locks.release(over);
  expect(locks.isEmpty).toBe(true);
});

test("a range that is released while it waits blocks no other", () => {
  const unblocked: PageRange[] = [];
  const locks = new RangeLocks();
  const onUnblocked = (it: PageRange): unknown => unblocked.push(it);
  const make = (first: number, last: number) => range(first, last, onUnblocked);
  const [first, second, third] = [make(0, 1), make(1, 2), make(2, 3)];
  for (const it of [first, second, third]) locks.acquire(it);
  locks.release(second);
  expect(unblocked).toEqual([third]);
  locks.release(first);
  expect(unblocked).toEqual([third]);
});

test("at any time no two ranges that may run overlap, and in the end all have run", () => {
  const random = new SeededRandom(7);
  const running = new Set<PageRange>();
  const waiting = new Set<PageRange>();
  const locks = new RangeLocks();
  const onUnblocked = (it: PageRange): void => {
    waiting.delete(it);
    running.add(it);
  };
  for (let step = 0; step < 5000; step += 1) {
    if (below(random, 2) === 0 && step < 4000) {
      const first = below(random, 200);
      const change = range(first, first + below(random, 30), onUnblocked);
      (locks.acquire(change) ? running : waiting).add(change);
    } else {
      const from = below(random, 8) === 0 ? waiting : running;
      const [change] = [...from].slice(below(random, from.size + 1));
      if (change === undefined) continue;
      from.delete(change);
      locks.release(change);
    }
    const inOrder = [...running].toSorted((a, b) => a.first - b.first);
    for (const [i, it] of inOrder.entries()) {
      expect(inOrder[i + 1]?.first ?? Number.POSITIVE_INFINITY).toBeGreaterThan(it.last);
    }
  }
  while (running.size > 0) {
    for (const it of running) {
      running.delete(it);
      locks.release(it);
    }
  }
  expect([waiting.size, locks.isEmpty]).toEqual([0, true]);
});
