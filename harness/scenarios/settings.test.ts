/** Each setting and control does what its help promises: whole nodes under virtual time. */
import { describe, expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;
const OWNER: Partial<NodeConfig> = { target: 1, lendBytes: 0, trickleFrames: 0 };
const LENDER: Partial<NodeConfig> = { lendBytes: 16 * MIB };

async function pair(settings: Partial<NodeConfig> = {}) {
  const sim = new SimCluster(1);
  await sim.start([{ ...OWNER, ...settings }, LENDER]);
  const [owner, lender] = [sim.node(0), sim.node(1)];
  sim.run(100);
  return { sim, owner, lender };
}

/** Numbers of pages that fill a frame each. */
function alone(count: number): number[] {
  return Array.from({ length: count }, (_, i) => 10 + 11 * i);
}

/** A node of 1 MiB has 256 frames, and moves pages away once 230 are in use. */
const UNDER_HIGH = 200;
const OVER_HIGH = 240;

/** Puts pages that fill a frame each, so fast that none leaves before the last put. */
function putFrames(node: SimNode, pool: number, count: number): void {
  for (const number of alone(count)) expect(node.put(pool, number, 1)).toBe(STATUS.OK);
}

function quiet(sim: SimCluster, node: SimNode): void {
  sim.run(3000);
  sim.until("nothing is on its way", () => node.counter("frames_in_flight") === 0);
  sim.verify();
}

const KEEPS_PAGES = { persZpageMeanBytes: 3584 };

test("--trickle moves this many frames a period, and none before the first", async () => {
  const trickle = { trickleFrames: 3, trickleFirstMs: 5000, tricklePeriodMs: 2000 };
  const { sim, owner } = await pair({ ...KEEPS_PAGES, ...trickle });
  putFrames(owner, owner.newPool({ persistent: true }), 20);
  const moved = (): number => owner.counter("pers_pages_remoted");
  sim.run(4000);
  expect(moved()).toBe(0);
  sim.until("the first period", () => moved() > 0);
  sim.run(1000);
  // With zbud a page has its frame for itself. In blocks it takes 0.84 of one.
  const perPeriod = owner.node.config.placement === "zbud" ? 3 : 4;
  expect(moved()).toBe(perPeriod);
  sim.run(2000);
  expect(moved()).toBe(2 * perPeriod);
  owner.node.admin.setKnob("remotify_trickle_frames", "0");
  sim.run(10_000);
  expect(moved()).toBe(2 * perPeriod);
  await sim.stop();
});

/** The switch of one kind of pages is off at the start, and set while pages wait to leave. */
async function leavesWhenSet(persistent: boolean, knob: string, counter: string): Promise<void> {
  const switches = { remotifyPers: !persistent, remotifyEph: persistent };
  const { sim, owner } = await pair({ ...KEEPS_PAGES, ...switches });
  putFrames(owner, owner.newPool({ persistent }), OVER_HIGH);
  quiet(sim, owner);
  expect([owner.node.admin.getKnob(knob), owner.counter(counter)]).toEqual(["0", 0]);
  expect(owner.node.admin.setKnob(knob, "1")).toBe("1");
  quiet(sim, owner);
  expect(owner.counter(counter)).toBeGreaterThan(0);
  await sim.stop();
}

/** The switch is on at the start, and cleared while more pages would leave. */
async function staysWhenCleared(persistent: boolean, knob: string, counter: string): Promise<void> {
  const { sim, owner } = await pair({ ...KEEPS_PAGES, remotifyPers: true, remotifyEph: true });
  const pool = owner.newPool({ persistent });
  putFrames(owner, pool, OVER_HIGH);
  quiet(sim, owner);
  const moved = owner.counter(counter);
  expect([owner.node.admin.getKnob(knob), moved > 0]).toEqual(["1", true]);
  expect(owner.node.admin.setKnob(knob, "0")).toBe("0");
  for (const number of alone(OVER_HIGH + 20)) owner.put(pool, number, 2);
  quiet(sim, owner);
  expect(owner.counter(counter)).toBe(moved);
  await sim.stop();
}

test("pers_remotify_enable: persistent pages leave when it is set", () =>
  leavesWhenSet(true, "pers_remotify_enable", "pers_pages_remoted"));
test("pers_remotify_enable: persistent pages stay when it is cleared", () =>
  staysWhenCleared(true, "pers_remotify_enable", "pers_pages_remoted"));
test("eph_remotify_enable: ephemeral pages leave when it is set", () =>
  leavesWhenSet(false, "eph_remotify_enable", "eph_pages_remoted"));
test("eph_remotify_enable: ephemeral pages stay when it is cleared", () =>
  staysWhenCleared(false, "eph_remotify_enable", "eph_pages_remoted"));

test("ephemeral pages leave before persistent ones, even older ones", async () => {
  const { sim, owner } = await pair({ ...KEEPS_PAGES, remotifyEph: true });
  putFrames(owner, owner.newPool({ persistent: true }), UNDER_HIGH / 2);
  putFrames(owner, owner.newPool({ persistent: false }), OVER_HIGH - UNDER_HIGH / 2);
  quiet(sim, owner);
  expect(owner.counter("eph_pages_remoted")).toBeGreaterThan(0);
  expect(owner.counter("pers_pages_remoted")).toBe(0);
  await sim.stop();
});

test("frozen: puts are refused and remove the old page, until it is cleared", async () => {
  const { sim, owner } = await pair();
  const pool = owner.newPool({ persistent: true });
  const { admin } = owner.node;
  expect(owner.put(pool, 1, 1)).toBe(STATUS.OK);
  expect([admin.getKnob("frozen"), admin.setKnob("frozen", "1")]).toEqual(["0", "1"]);
  expect(owner.put(pool, 1, 2)).toBe(STATUS.FROZEN);
  expect(owner.put(pool, 2, 2)).toBe(STATUS.FROZEN);
  expect([owner.get(pool, 1), owner.get(pool, 2)]).toEqual(["miss", "miss"]);
  expect(admin.getKnob("frozen")).toBe("1");
  admin.setKnob("frozen", "0");
  expect(owner.put(pool, 1, 3)).toBe(STATUS.OK);
  expect(owner.get(pool, 1)).toBe(3);
  await sim.stop();
});

test("--pers-zpage-mean: a larger zpage is accepted only while the mean is below", async () => {
  const { sim, owner } = await pair({ persZpageMeanBytes: 1500 });
  const pool = owner.newPool({ persistent: true });
  const large = 10; // 3400 bytes.
  const small = [3, 14, 25, 36]; // 400 to 600 bytes.
  expect(owner.put(pool, small[0] ?? 0, 1)).toBe(STATUS.OK);
  expect(owner.put(pool, large, 1)).toBe(STATUS.OK);
  expect(owner.put(pool, large + 11, 1)).toBe(STATUS.MEAN_COMPRESS_POOR);
  expect(owner.counter("mean_compress_poor")).toBe(1);
  for (const number of small) owner.put(pool, number, 1);
  expect(owner.put(pool, large + 11, 1)).toBe(STATUS.OK);
  await sim.stop();
});

describe("counters", () => {
  test("flush_found and flobj_found count flushes that found something, the totals count all", async () => {
    const { sim, owner } = await pair();
    const pool = owner.newPool({ persistent: true });
    const counts = ["flush_found", "flush_total", "flobj_found", "flobj_total"];
    const read = (): number[] => counts.map((name) => owner.counter(name));
    owner.put(pool, 1, 1);
    owner.flush(pool, 1);
    owner.flush(pool, 1);
    expect(read()).toEqual([1, 2, 0, 0]);
    owner.put(pool, 1, 1);
    owner.flushObject(pool, 1);
    owner.flushObject(pool, 1);
    expect(read()).toEqual([1, 2, 1, 2]);
    await sim.stop();
  });

  test("foreign_pers_pages_max stays at the largest number ever held", async () => {
    const { sim, owner, lender } = await pair(KEEPS_PAGES);
    const pool = owner.newPool({ persistent: true });
    putFrames(owner, pool, OVER_HIGH);
    quiet(sim, owner);
    const most = lender.counter("foreign_pers_pages");
    expect(most).toBeGreaterThan(0);
    expect(lender.counter("foreign_pers_pages_max")).toBe(most);
    for (const number of alone(OVER_HIGH)) owner.flush(pool, number);
    sim.until("all are flushed", () => lender.counter("foreign_pers_pages") === 0);
    // A new page, so that the maximum is counted again.
    owner.node.admin.setKnob("remotify_trickle_frames", "1");
    owner.put(pool, 10, 2);
    sim.until("it is away", () => lender.counter("foreign_pers_pages") === 1);
    expect(lender.counter("foreign_pers_pages_max")).toBe(most);
    await sim.stop();
  });
});
