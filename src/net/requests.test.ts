import { describe, expect, test } from "bun:test";
import { REPLY_BYTES_OUTSTANDING_MAX, REQUESTS_OUTSTANDING_MAX } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { Frame } from "../wire/framer.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { Requests } from "./requests.ts";

/** Counts the outcomes of each context. */
class Outcomes {
  readonly replies = new Map<number, number>();
  readonly failures = new Map<number, number[]>();

  onReply(context: number): void {
    this.replies.set(context, (this.replies.get(context) ?? 0) + 1);
  }

  onFailure(context: number, status: number): void {
    this.failures.set(context, [...(this.failures.get(context) ?? []), status]);
  }
}

const TYPE = 17;

describe("Requests", () => {
  test("under random use each request has one outcome, and no number is used twice", () => {
    const random = new SeededRandom(1);
    const requests = new Requests();
    const outcomes = new Outcomes();
    const frame = new Frame();
    const open = new Map<number, number>(); // number -> context
    const abandoned = new Set<number>();
    const seen = new Set<number>();
    let context = 0;
    let nowMs = 0;
    for (let step = 0; step < 50_000; step += 1) {
      nowMs += below(random, 3);
      const draw = below(random, 10);
      if (draw < 6) {
        const number = requests.take(TYPE, 1, 100, outcomes, context, nowMs + below(random, 2000));
        expect(number === 0).toBe(open.size + abandoned.size === REQUESTS_OUTSTANDING_MAX);
        if (number === 0) continue;
        expect(seen.has(number)).toBe(false);
        seen.add(number);
        open.set(number, context);
        context += 1;
      } else if (draw < 9) {
        const [number] = [...open.keys()].slice(below(random, Math.max(1, open.size)));
        if (number === undefined) continue;
        expect(requests.isExpected(number, TYPE)).toBe(true);
        expect(requests.isExpected(number, TYPE + 1)).toBe(false);
        requests.complete(number, frame);
        expect(requests.isExpected(number, TYPE)).toBe(false);
        open.delete(number);
      } else {
        requests.expire(nowMs);
        for (const [number, which] of open) {
          if (!requests.isAbandoned(number)) continue;
          expect(outcomes.failures.get(which)).toEqual([TRANSPORT_STATUS.TIMED_OUT]);
          open.delete(number);
          abandoned.add(number);
        }
        for (const number of abandoned)
          if (below(random, 2) === 0) {
            requests.forget(number);
            abandoned.delete(number);
          }
      }
      expect(requests.waitingCount).toBe(open.size);
      expect(requests.abandonedCount).toBe(abandoned.size);
      expect(requests.replyBytes).toBe(100 * (open.size + abandoned.size));
    }
    requests.failAll(TRANSPORT_STATUS.DIED);
    for (const which of open.values()) {
      expect(outcomes.failures.get(which)).toEqual([TRANSPORT_STATUS.DIED]);
    }
    for (let which = 0; which < context; which += 1) {
      const times =
        (outcomes.replies.get(which) ?? 0) + (outcomes.failures.get(which)?.length ?? 0);
      expect(times).toBe(1);
    }
  });

  test("expire() fails exactly those whose deadline has come, also one made meanwhile", () => {
    const requests = new Requests();
    const outcomes = new Outcomes();
    requests.take(TYPE, 1, 0, outcomes, 1, 100);
    requests.take(TYPE, 1, 0, outcomes, 2, 101);
    requests.take(TYPE, 1, 0, outcomes, 3, Infinity);
    expect(requests.expire(99)).toBe(0);
    expect(requests.expire(100)).toBe(1);
    expect([...outcomes.failures.keys()]).toEqual([1]);
    requests.take(TYPE, 1, 0, outcomes, 4, 50);
    expect(requests.expire(100)).toBe(1);
    expect(requests.expire(101)).toBe(1);
    expect([...outcomes.failures.keys()]).toEqual([1, 4, 2]);
    expect(requests.waitingCount).toBe(1);
  });

  test("take() keeps to the window of replies, but lets one through when it is empty", () => {
    const requests = new Requests();
    const outcomes = new Outcomes();
    const first = requests.take(TYPE, 1, REPLY_BYTES_OUTSTANDING_MAX + 1, outcomes, 1, 100);
    expect(first).not.toBe(0);
    expect(requests.take(TYPE, 1, 1, outcomes, 2, 100)).toBe(0);
    requests.complete(first, new Frame());
    expect(requests.take(TYPE, 1, REPLY_BYTES_OUTSTANDING_MAX - 1, outcomes, 3, 100)).not.toBe(0);
    expect(requests.take(TYPE, 1, 1, outcomes, 4, 100)).not.toBe(0);
    expect(requests.take(TYPE, 1, 1, outcomes, 5, 100)).toBe(0);
  });
});
