import { expect, test } from "bun:test";
import fc from "fast-check";
import { AT_RISK_MAX } from "../../core/limits.ts";
import { SPILL } from "../copies.ts";
import { AtRisk, NOBODY } from "./at-risk.ts";

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
          atRisk.push(page, page % 3 === 0 ? NOBODY : page % 1024);
          model.push(page);
        }
        for (let i = Math.min(-count, model.length); i > 0; i -= 1) {
          atRisk.shift();
          const wanted = model.shift() ?? 0;
          expect(atRisk.page).toBe(wanted);
          expect(atRisk.from).toBe(wanted % 3 === 0 ? NOBODY : wanted % 1024);
        }
        expect(atRisk.count).toBe(model.length);
        const onDisk = model.filter((it) => it % 3 !== 0 && it % 1024 === SPILL);
        expect(atRisk.onDiskCount).toBe(onDisk.length);
        const givenUp = model.filter((it) => it % 3 !== 0 && it % 1024 !== SPILL);
        expect(atRisk.givenUpCount).toBe(givenUp.length);
      }
      expect(atRisk.takeOverflow()).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test("beyond its bound it reports once that it has forgotten some", () => {
  const atRisk = new AtRisk();
  for (let page = 1; page <= AT_RISK_MAX + 1; page += 1) atRisk.push(page, NOBODY);
  expect(atRisk.count).toBe(AT_RISK_MAX);
  expect([atRisk.takeOverflow(), atRisk.takeOverflow()]).toEqual([true, false]);
  atRisk.shift();
  expect(atRisk.page).toBe(1);
});
