/** Selfshrink, which brings pages home without a get: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import { fill, filled, LENDER, OWNER, settle, untilDead } from "../sim/borrowing.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

/** Ordinary pages come home after hours, if at all. */
const SHRINKING = { ...OWNER, selfshrink: true, selfshrinkIntervalMs: 1000 };
const PATIENT = { ...SHRINKING, selfshrinkInertia: 10_000 };

/** The newest pages are at home: flushing them makes room. */
function makeRoom(owner: SimNode, pool: number, from: number): void {
  for (let number = from; number < 1500; number += 1) owner.flush(pool, number);
}

test("pages at risk that no lender accepts come home first, if there is room", async () => {
  const sim = new SimCluster(1);
  await sim.startGossiping([{ ...PATIENT, remotifyEph: true }, LENDER, LENDER]);
  const [owner, doomed] = sim.nodes as [SimNode, SimNode];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 3));
  const loose = owner.newPool({ persistent: false });
  for (let number = 0; number < 1000; number += 1) {
    sim.until("it is stored", () => owner.put(loose, number, 1) === STATUS.OK);
    sim.run(1);
  }
  const pool = fill(sim, owner);
  makeRoom(owner, pool, 400);
  settle(sim);
  sim.run(10_000);
  expect(owner.counter("pages_repatriated")).toBe(0);
  owner.node.admin.setKnob("selfshrink_inertia", "0");
  owner.node.admin.setKnob("selfshrink_interval_ms", "60000");
  doomed.crash();
  untilDead(sim, owner, "n1");
  const ephemeral = owner.counter("remote_eph_pages");
  const persistent = owner.counter("remote_pers_pages");
  expect(ephemeral).toBeGreaterThan(100);
  sim.run(60_000);
  expect(owner.counter("remote_pers_pages")).toBeLessThan(persistent);
  expect(owner.counter("remote_eph_pages")).toBe(ephemeral);
  const { framesUsed } = owner.node.ramster.zcache.frames;
  expect(framesUsed).toBeLessThanOrEqual(owner.node.ramster.zcache.budget.frameCountLow);
  for (let number = 0; number < 400; number += 1) expect(owner.get(pool, number)).toBe(1);
  await sim.stop();
});

test("selfshrink brings home at most the set number of pages at a time, also when it changes", async () => {
  const { sim, owner, lenders, pool } = await filled([
    { ...PATIENT, selfshrinkPages: 10 },
    LENDER,
    LENDER,
  ]);
  makeRoom(owner, pool, 800);
  settle(sim);
  lenders[0]?.crash();
  untilDead(sim, owner, "n1");
  sim.run(1000);
  const home = (): number => owner.counter("pages_repatriated");
  const before = home();
  sim.run(5000);
  expect(home() - before).toBe(50);
  const { admin } = owner.node;
  admin.setKnob("selfshrink_pages", "1");
  admin.setKnob("selfshrink_interval_ms", "100");
  const slow = home();
  sim.run(2000);
  expect(home() - slow).toBeGreaterThanOrEqual(19);
  expect(home() - slow).toBeLessThanOrEqual(21);
  admin.setKnob("selfshrink", "0");
  const stopped = home();
  sim.run(2000);
  expect(home() - stopped).toBeLessThanOrEqual(1);
  await sim.stop();
});

test("with a full home, pages at risk stay away and get a copy at another lender", async () => {
  const { sim, owner, lenders } = await filled([PATIENT, LENDER, LENDER, LENDER]);
  const home = owner.counter("pages_repatriated");
  lenders[0]?.crash();
  untilDead(sim, owner, "n1");
  sim.until("all are mended", () => owner.counter("pages_at_risk") === 0);
  sim.run(5000);
  expect(owner.counter("copies_repaired")).toBeGreaterThan(50);
  expect(owner.counter("pages_repatriated")).toBe(home);
  await sim.stop();
});

test.each([
  ["selfshrink_interval_ms", "0"],
  ["selfshrink_hysteresis", "0"],
  ["selfshrink_inertia", "-1"],
  ["selfshrink_pages", "0"],
  ["selfshrink_pages", "1e3"],
])("%s is not set to %p", async (knob, value) => {
  const sim = new SimCluster(1);
  await sim.start([SHRINKING]);
  const { admin } = sim.node(0).node;
  const before = admin.getKnob(knob);
  expect(() => admin.setKnob(knob, value)).toThrow(`Cannot set "${knob}" to "${value}": it takes`);
  expect(admin.getKnob(knob)).toBe(before);
  expect(admin.setKnob(knob, "7")).toBe("7");
  await sim.stop();
});
