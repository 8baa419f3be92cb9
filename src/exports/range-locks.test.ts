import { expect, test } from "bun:test";
import { below, SeededRandom } from "../core/random.ts";
import { type PageRange, RangeLocks } from "./range-locks.ts";

const range = (first: number, last: number): PageRange => ({ first, last, blockers: 0 });

test("one whose pages an older one has waits for that, others do not", () => {
  const freed: PageRange[] = [];
  const locks = new RangeLocks<PageRange>((it) => freed.push(it));
  const [wide, inside, beside, over] = [range(0, 9), range(3, 3), range(10, 12), range(9, 10)];
  expect([wide, inside, beside, over].map((it) => locks.acquire(it))).toEqual([
    true,
    false,
    true,
    false,
  ]);
  locks.release(wide);
  expect(freed).toEqual([inside]);
  locks.release(beside);
  expect(freed).toEqual([inside, over]);
  locks.release(inside);
  locks.release(over);
  expect(locks.isEmpty).toBe(true);
});

test("one that is given up while it waits holds up no other", () => {
  const freed: PageRange[] = [];
  const locks = new RangeLocks<PageRange>((it) => freed.push(it));
  const [first, second, third] = [range(0, 1), range(1, 2), range(2, 3)];
  for (const it of [first, second, third]) locks.acquire(it);
  locks.release(second);
  expect(freed).toEqual([third]);
  locks.release(first);
  expect(freed).toEqual([third]);
});

test("whatever comes and goes, at any time no two that may go on overlap, and all get there", () => {
  const random = new SeededRandom(7);
  const running = new Set<PageRange>();
  const waiting = new Set<PageRange>();
  const locks = new RangeLocks<PageRange>((it) => {
    waiting.delete(it);
    running.add(it);
  });
  for (let step = 0; step < 5000; step += 1) {
    if (below(random, 2) === 0 && step < 4000) {
      const first = below(random, 200);
      const change = range(first, first + below(random, 30));
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
