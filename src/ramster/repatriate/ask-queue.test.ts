import { expect, test } from "bun:test";
import { AskQueue } from "./ask-queue.ts";

test("a holder is silent when nothing came from it for half of the wait for an ask", () => {
  const queue = new AskQueue();
  const link = { heardAtMs: 9500 };
  queue.unanswered(link, 2000, 10_000); // It answers other asks.
  expect(queue.isSilent(link)).toBe(false);
  link.heardAtMs = 8900;
  queue.unanswered(link, 2000, 10_000);
  expect([queue.isSilent(link), queue.isSilent(null)]).toEqual([true, true]);
  link.heardAtMs = 10_001;
  expect([queue.isSilent(link), queue.isSilent(null)]).toEqual([false, false]);
});

test("a holder without a link is silent until there is a link, or other news of it", () => {
  const queue = new AskQueue();
  queue.unanswered(null, 0, 10_000);
  expect(queue.isSilent(null)).toBe(true);
  expect(queue.isSilent({ heardAtMs: 10_500 })).toBe(false);
  queue.unanswered(null, 0, 11_000);
  queue.signOfLife();
  expect(queue.isSilent(null)).toBe(false);
});

test("a holder that was not asked for a month counts as fast", () => {
  const queue = new AskQueue();
  queue.took(80, 1000);
  const [now, later] = [queue.costMs(2000), queue.costMs(2000 + 30 * 24 * 3600 * 1000)];
  expect(now).toBeGreaterThan(0);
  expect(later).toBeWithin(0, now);
});
