import { expect, test } from "bun:test";
import fc from "fast-check";
import { AT_RISK_MAX } from "../core/limits.ts";
import { AtRisk } from "./at-risk.ts";

test("first in, first out, however it grows and empties", () => {
  const steps = fc.array(fc.integer({ min: -1500, max: 1500 }), { maxLength: 40 });
  fc.assert(
    fc.property(steps, (counts) => {
      const atRisk = new AtRisk();
      const model: number[] = [];
      let page = 0;
      for (const count of counts) {
        for (let i = 0; i < count; i += 1) {
          page += 1;
          atRisk.push(page);
          model.push(page);
        }
        for (let i = 0; i > count; i -= 1) expect(atRisk.shift()).toBe(model.shift() ?? 0);
        expect(atRisk.count).toBe(model.length);
      }
      expect(atRisk.takeOverflow()).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test("beyond its bound it says that it has forgotten some, once", () => {
  const atRisk = new AtRisk();
  for (let page = 1; page <= AT_RISK_MAX + 1; page += 1) atRisk.push(page);
  expect(atRisk.count).toBe(AT_RISK_MAX);
  expect([atRisk.takeOverflow(), atRisk.takeOverflow()]).toEqual([true, false]);
  expect(atRisk.shift()).toBe(1);
});
