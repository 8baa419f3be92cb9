/** A small cluster under attack, for a short time. Longer: `bun run soak hostile`. */
import { expect, test } from "bun:test";
import { ATTACKS } from "./attacks.ts";
import { hostile } from "./soak.ts";

const TEST_MS = 120_000;

test(
  "a cluster under attack serves its export within its memory, and is whole afterwards",
  async () => {
    const result = await hostile({ minutes: 1 / 40, restart: false, report: () => {} });
    expect(result.failures).toEqual([]);
    expect(result.requestCount).toBeGreaterThan(0);
    expect(Object.keys(result.rounds).sort()).toEqual(Object.keys(ATTACKS).sort());
  },
  TEST_MS,
);
