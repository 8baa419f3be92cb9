import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { NODES_MAX } from "../core/limits.ts";
import { type Claimant, NumberClaim } from "./number-claim.ts";

const SETTLE_MS = 500;

/** The number that the node's name gives. */
const OWN = 588;

function world(given: number | null = null, bootId = 50n) {
  const clock = new SimClock();
  const claim = new NumberClaim(clock, { name: "n5", bootId, given, settleMs: SETTLE_MS });
  return { clock, claim };
}

const member = (number: number | null, claim: number | null = null, bootId = 1n): Claimant => ({
  name: `n${number ?? claim}`,
  bootId,
  number,
  claim,
});

test("a node alone gets the number of its name at once", () => {
  expect(world().claim.update([])).toEqual({ state: "settled", number: OWN });
});

test("with others it claims the next free number, and gets it without an objection", () => {
  const { clock, claim } = world();
  const others = [member(OWN), member(OWN + 1), member(OWN + 3)];
  expect(claim.update(others)).toEqual({ state: "claiming", number: OWN + 2 });
  clock.run(clock.now() + SETTLE_MS);
  expect(claim.update(others)).toEqual({ state: "settled", number: OWN + 2 });
});

test("after the last number comes the first", () => {
  const others = Array.from({ length: NODES_MAX - OWN }, (_, i) => member(OWN + i));
  expect(world().claim.update(others)).toEqual({ state: "claiming", number: 0 });
});

test("the lower boot id keeps a number that two nodes claim, and the other starts again", () => {
  const { clock, claim } = world();
  expect(claim.update([member(0)])).toEqual({ state: "claiming", number: OWN });
  clock.run(clock.now() + SETTLE_MS - 1);
  expect(claim.update([member(0), member(null, OWN, 99n)])).toMatchObject({ number: OWN });
  const next = claim.update([member(0), member(null, OWN, 9n)]);
  expect(next).toEqual({ state: "claiming", number: OWN + 1 });
  clock.run(clock.now() + SETTLE_MS - 1);
  expect(claim.update([member(0), member(OWN, null, 9n)]).state).toBe("claiming");
  clock.run(clock.now() + 1);
  expect(claim.update([member(0), member(OWN, null, 9n)]).state).toBe("settled");
});

test("a number from --number is used at once, and refused when a member has it", () => {
  expect(world(5).claim.update([member(0)])).toEqual({ state: "settled", number: 5 });
  expect(world(5).claim.update([member(5)])).toEqual({
    state: "refused",
    reason: 'number 5 is taken by node "n5"',
  });
  expect(world(5).claim.update([member(null, 5, 9n)]).state).toBe("refused");
  expect(world(5).claim.update([member(null, 5, 99n)]).state).toBe("settled");
});

test("a node is refused without a free number", () => {
  const others = Array.from({ length: NODES_MAX }, (_, number) => member(number));
  expect(world().claim.update(others)).toEqual({
    state: "refused",
    reason: `all ${NODES_MAX} numbers are taken`,
  });
});

test("many nodes that start together get different numbers, even with late news", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const clock = new SimClock();
    const claims = Array.from({ length: 64 }, (_, i) => {
      // Two nodes for each number.
      const name = `${seed} ${i % 32}`;
      const options = { name, bootId: BigInt(i + 1), given: null, settleMs: SETTLE_MS };
      return new NumberClaim(clock, options);
    });
    let known: Claimant[] = claims.map((_, i) => ({ ...member(null), bootId: BigInt(i + 1) }));
    let settled = 0;
    for (let round = 0; round < 100 && settled < claims.length; round += 1) {
      clock.run(clock.now() + SETTLE_MS / 5);
      const before = known; // Each node acts on the state of the round before.
      known = claims.map((claim, i) => {
        const result = claim.update(before.filter((_, other) => other !== i));
        if (result.state === "refused") throw new Error(result.reason);
        const done = result.state === "settled";
        const bootId = BigInt(i + 1);
        return done ? member(result.number, null, bootId) : member(null, result.number, bootId);
      });
      settled = known.filter((it) => it.number !== null).length;
    }
    expect(settled).toBe(64);
    expect(new Set(known.map((it) => it.number)).size).toBe(64);
  }
});
