/** The disk for pages: whole nodes with a disk each, under virtual time. */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import {
  checkAll,
  fill,
  LENDER,
  PAGES,
  settle,
  total,
  untilDead,
  untilRepaired,
} from "../sim/borrowing.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;
const SPILLS: Partial<NodeConfig> = { lendBytes: 0, spillPath: "disk", spillBytes: 16 * MIB };
const BOTH: Partial<NodeConfig> = { ...SPILLS, replicasOnDisk: true };

/** A node with a disk, and lenders, none of which is up yet. */
async function world(owned: Partial<NodeConfig>, lenderCount = 0, seed = 1) {
  const sim = new SimCluster(seed);
  const others = Array.from({ length: lenderCount }, () => LENDER);
  await sim.startGossiping([owned, ...others]);
  const [owner, ...lenders] = sim.nodes as [SimNode, ...SimNode[]];
  const names = lenderCount + 1;
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === names));
  for (const lender of lenders) await lender.stop();
  sim.until("the owner is alone", () => owner.alive().length === 1);
  return { sim, owner, lenders };
}

async function come(sim: SimCluster, owner: SimNode, lender: SimNode): Promise<void> {
  const count = owner.alive().length;
  await lender.restart([owner]);
  sim.until("it is there", () => owner.alive().length === count + 1);
  sim.until("it lends", () => {
    const { members } = owner.node.admin.snapshot();
    return members.filter((it) => it.state === "alive" && it.lend_frames > 0).length === count;
  });
}

/** A node with more pages than memory: each page away has a copy at a lender and one on disk. */
async function lentAndSpilled() {
  const { sim, owner, lenders } = await world(BOTH, 1);
  const [lender] = lenders as [SimNode];
  await come(sim, owner, lender);
  const pool = fill(sim, owner);
  rest(sim);
  return { sim, owner, lender, pool };
}

/** All requests to the disk are done. */
function rest(sim: SimCluster): void {
  settle(sim);
  sim.run(100);
  sim.verify();
}

test("pages that no lender accepts go to the disk, and every get is right", async () => {
  const { sim, owner } = await world(SPILLS);
  const pool = fill(sim, owner);
  const spilled = owner.counter("spilled_pages");
  expect(spilled).toBeGreaterThan(PAGES / 2);
  expect(owner.counter("remote_copies")).toBe(0);
  expect(owner.counter("pages_at_risk")).toBe(0);
  expect(owner.counter("spill_writes")).toBe(spilled);
  expect(owner.counter("spill_bytes")).toBeGreaterThan(spilled * 512);
  expect(owner.disk.byteCount).toBeGreaterThan(spilled * 512);
  checkAll(owner, pool);
  for (let number = 0; number < PAGES; number += 7) {
    sim.until("it is stored", () => owner.put(pool, number, 2) === STATUS.OK);
  }
  for (let number = 0; number < PAGES; number += 1) {
    expect(owner.get(pool, number)).toBe(number % 7 === 0 ? 2 : 1);
  }
  rest(sim);
  owner.node.ramster.flushPool(pool, { destroy: true });
  rest(sim);
  expect(owner.counter("spilled_pages")).toBe(0);
  expect(owner.counter("spill_bytes")).toBe(0);
  expect(owner.disk.byteCount).toBe(0);
  await sim.stop();
});

test("ephemeral pages never go to the disk, nor do those of others", async () => {
  const sim = new SimCluster(1);
  const spills = { ...SPILLS, lendBytes: MIB, remotifyEph: true };
  await sim.startGossiping([spills, { lendBytes: 0 }]);
  const [owner, other] = sim.nodes as [SimNode, SimNode];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 2));
  for (const node of [owner, other]) {
    const pool = node.newPool({ persistent: node === other });
    for (let number = 0; number < 2 * PAGES; number += 1) {
      node.put(pool, number, 1);
      if (number % 8 === 7) sim.run(1);
    }
  }
  settle(sim);
  expect(owner.counter("foreign_pers_pages")).toBeGreaterThan(0);
  expect(owner.counter("spill_writes")).toBe(0);
  await sim.stop();
});

test("a get of a page on the disk brings it home, even above the low mark", async () => {
  const { sim, owner } = await world(SPILLS);
  const pool = fill(sim, owner);
  expect(owner.get(pool, 3)).toBe(1);
  const reads = owner.counter("spill_reads");
  expect(reads).toBeGreaterThan(0);
  for (let i = 0; i < 10; i += 1) expect(owner.get(pool, 3)).toBe(1);
  expect(owner.counter("spill_reads")).toBe(reads);
  rest(sim);
  await sim.stop();
});

test("space on the disk is reused: the file does not grow", async () => {
  const { sim, owner } = await world(SPILLS);
  const pool = fill(sim, owner);
  rest(sim);
  const had = owner.disk.byteCountMax;
  for (let round = 2; round < 20; round += 1) {
    for (let number = 0; number < PAGES; number += 1) {
      if (number % 3 === round % 3) owner.flush(pool, number);
    }
    for (let number = 0; number < PAGES; number += 1) {
      if (number % 3 !== round % 3) continue;
      sim.until("it is stored", () => owner.put(pool, number, 1) === STATUS.OK);
    }
  }
  checkAll(owner, pool);
  rest(sim);
  expect(owner.counter("spill_writes")).toBeGreaterThan(5 * PAGES);
  expect(owner.disk.byteCountMax).toBeLessThan(2 * had);
  await sim.stop();
});

test("when a lender arrives, each page is read once and moves there, and the file is truncated", async () => {
  const { sim, owner, lenders } = await world(SPILLS, 1);
  const pool = fill(sim, owner);
  // Compaction makes room at home, and pages come for it.
  sim.run(60_000);
  rest(sim);
  const spilled = owner.counter("spilled_pages");
  const reads = owner.counter("spill_reads");
  await come(sim, owner, lenders[0] as SimNode);
  sim.until("nothing is on the disk", () => owner.counter("spilled_pages") === 0);
  rest(sim);
  expect(owner.disk.byteCount).toBe(0);
  expect(owner.counter("remote_copies")).toBe(owner.counter("remote_pers_pages"));
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  expect(owner.counter("pages_unspilled")).toBe(spilled);
  expect(owner.counter("spill_reads") - reads).toBe(spilled);
  checkAll(owner, pool);
  await sim.stop();
});

test("when there is room at home, pages leave the disk and the file is truncated", async () => {
  const { sim, owner } = await world(SPILLS);
  const pool = fill(sim, owner);
  for (let number = 200; number < PAGES; number += 1) owner.flush(pool, number);
  sim.until("nothing is on the disk", () => owner.counter("spilled_pages") === 0);
  rest(sim);
  expect(owner.disk.byteCount).toBe(0);
  for (let number = 0; number < 200; number += 1) expect(owner.get(pool, number)).toBe(1);
  expect(owner.counter("spill_failed_reads")).toBe(0);
  await sim.stop();
});

test("with no room anywhere, pages do not move back and forth", async () => {
  const { sim, owner } = await world(SPILLS);
  fill(sim, owner);
  sim.run(5000);
  const { spill_reads, spill_writes } = owner.counters;
  sim.run(60_000);
  expect(owner.counter("spill_reads")).toBe(spill_reads ?? -1);
  expect(owner.counter("spill_writes")).toBe(spill_writes ?? -1);
  await sim.stop();
});

test("a full disk refuses puts, and no page is lost", async () => {
  for (const full of ["its size", "the file system", "a quota"]) {
    const small = full === "its size" ? { spillBytes: MIB } : {};
    const { sim, owner } = await world({ ...SPILLS, ...small });
    if (full !== "its size") owner.disk.troubles.bytesMax = MIB / 2;
    owner.disk.troubles.hidesRoom = full === "a quota";
    sim.run(2000); // The node has measured the room on the disk.
    const pool = owner.newPool({ persistent: true });
    const stored = new Set<number>();
    let refused = 0;
    for (let number = 0; number < 2 * PAGES; number += 1) {
      const status = owner.put(pool, number, 1);
      if (status === STATUS.OK) stored.add(number);
      else refused += 1;
      if (status !== STATUS.OK) expect(status).toBe(STATUS.NO_ROOM);
      sim.run(1);
    }
    expect(refused).toBeGreaterThan(PAGES / 4);
    expect(stored.size).toBeGreaterThan(600);
    for (let number = 0; number < 2 * PAGES; number += 1) {
      expect(owner.get(pool, number)).toBe(stored.has(number) ? 1 : "miss");
    }
    rest(sim);
    // A quota alone does not show that there is no more room.
    expect(owner.counter("spill_failed_writes") > 0).toBe(full === "a quota");
    const bytesMax = owner.counter("spill_bytes_max");
    expect(bytesMax).toBeLessThanOrEqual(full === "its size" ? MIB : MIB / 2);
    expect(bytesMax).toBeGreaterThan(MIB / 4);
    expect(owner.counter("spill_bytes_asked")).toBe(full === "its size" ? MIB : 16 * MIB);
    expect(owner.node.ramster.mustWait()).toBe(false);
    for (const number of [...stored].slice(0, stored.size / 2)) owner.flush(pool, number);
    sim.until("there is room again", () => owner.put(pool, 9000, 1) === STATUS.OK);
    await sim.stop();
  }
});

test("a disk that fails at times loses no page: a get fails for now, and succeeds later", async () => {
  const { sim, owner } = await world(SPILLS);
  owner.disk.troubles.writeFailPercent = 30;
  const pool = fill(sim, owner);
  expect(owner.counter("spill_failed_writes")).toBeGreaterThan(0);
  expect(owner.log.some((line) => line.includes("Cannot write to the spill file"))).toBe(true);
  owner.disk.troubles.readFailPercent = 30;
  let away = 0;
  for (let number = 0; number < PAGES; number += 1) {
    const got = owner.get(pool, number);
    if (got === "away") away += 1;
    else expect(got).toBe(1);
  }
  expect(away).toBeGreaterThan(50);
  expect(owner.counter("spill_failed_reads")).toBe(away);
  owner.disk.troubles.readFailPercent = 0;
  owner.disk.troubles.writeFailPercent = 0;
  checkAll(owner, pool);
  rest(sim);
  await sim.stop();
});

test("a get of a page on a disk that hangs times out, and succeeds once the disk answers", async () => {
  const { sim, owner } = await world(SPILLS);
  const pool = fill(sim, owner);
  rest(sim);
  owner.disk.troubles.latencyMs = 20_000;
  const startMs = sim.clock.now();
  const gets = Array.from({ length: 100 }, (_, number) => owner.startGet(pool, number));
  for (const get of gets) expect(["away", 1]).toContain(owner.wait(get));
  expect(sim.clock.now() - startMs).toBeLessThan(3000);
  owner.disk.troubles.latencyMs = 0.1;
  sim.run(60_000);
  checkAll(owner, pool);
  rest(sim);
  await sim.stop();
});

test("a sole copy whose bits have changed is an error, never other bytes", async () => {
  const { sim, owner } = await world(SPILLS);
  const pool = fill(sim, owner);
  rest(sim);
  owner.disk.flipBits(1500);
  let lost = 0;
  for (let number = 0; number < PAGES; number += 1) {
    const got = owner.get(pool, number);
    if (got === "lost") lost += 1;
    else expect(got).toBe(1);
  }
  expect(lost).toBeGreaterThan(50);
  expect(owner.counter("fetch_corrupt")).toBeGreaterThanOrEqual(lost);
  await sim.stop();
});

test("with one lender, the second copy is on the disk and serves gets when the lender dies", async () => {
  const { sim, owner, lenders } = await world(BOTH, 1);
  const [lender] = lenders as [SimNode];
  await come(sim, owner, lender);
  const pool = fill(sim, owner);
  const pages = owner.counter("remote_pers_pages");
  expect(pages).toBeGreaterThan(PAGES / 2);
  expect(owner.counter("spilled_pages")).toBe(pages);
  expect(lender.counter("foreign_pers_pages")).toBe(pages);
  expect(owner.counter("pages_at_risk")).toBe(0);
  rest(sim);
  lender.crash();
  checkAll(owner, pool);
  untilDead(sim, owner, "n1");
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  // Not until nothing is under way: the dead lender is owed the flushes of pages that came home.
  sim.run(100);
  sim.verify();
  await sim.stop();
});

test("the faster of lender and disk serves a get, so none waits for one that hangs", async () => {
  for (const slow of ["disk", "lender"]) {
    const { sim, owner, lender, pool } = await lentAndSpilled();
    if (slow === "disk") owner.disk.troubles.latencyMs = 20_000;
    else sim.network.block(lender.host, owner.host);
    for (let number = 0; number < PAGES; number += 10) {
      const startMs = sim.clock.now();
      expect(owner.get(pool, number)).toBe(1);
      expect(sim.clock.now() - startMs).toBeLessThan(600);
    }
    if (slow === "lender") expect(owner.counter("spill_reads")).toBeGreaterThan(PAGES / 20);
    await sim.stop();
  }
});

test("copies on the disk are freed when there is a second lender", async () => {
  const { sim, owner, lenders } = await world(BOTH, 2);
  const [first, second] = lenders as [SimNode, SimNode];
  await come(sim, owner, first);
  const pool = fill(sim, owner);
  const pages = owner.counter("remote_pers_pages");
  expect(owner.counter("spilled_pages")).toBe(pages);
  await come(sim, owner, second);
  sim.until("nothing is on the disk", () => owner.counter("spilled_pages") === 0);
  untilRepaired(sim, owner);
  rest(sim);
  expect(owner.disk.byteCount).toBe(0);
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  checkAll(owner, pool);
  // And back: when one of the two dies, the disk has the second copy again.
  second.crash();
  untilDead(sim, owner, "n2");
  untilRepaired(sim, owner);
  sim.until("all have a copy on the disk", () => {
    return owner.counter("spilled_pages") === owner.counter("remote_pers_pages");
  });
  sim.verify();
  first.crash();
  checkAll(owner, pool);
  await sim.stop();
});

test("a bad copy on the disk is replaced by the lender's, which the get delivers", async () => {
  const { sim, owner, lender, pool } = await lentAndSpilled();
  owner.disk.flipBits(700);
  // The disk is asked, since the lender is slow.
  sim.network.block(lender.host, owner.host);
  for (let number = 0; number < PAGES; number += 1) {
    const got = owner.get(pool, number);
    expect(["away", 1]).toContain(got);
  }
  sim.network.unblock(lender.host, owner.host);
  sim.until("the lender is back", () => owner.alive().length === 2);
  sim.run(1000);
  checkAll(owner, pool);
  expect(owner.counter("fetch_corrupt")).toBeGreaterThan(10);
  untilRepaired(sim, owner);
  rest(sim);
  expect(owner.counter("spilled_pages")).toBe(owner.counter("remote_pers_pages"));
  expect(owner.counter("remote_copies")).toBe(owner.counter("remote_pers_pages"));
  lender.crash();
  checkAll(owner, pool);
  await sim.stop();
});

test("a lender gives up its copy only when the copy on disk has been read back", async () => {
  const { sim, owner, lender, pool } = await lentAndSpilled();
  owner.disk.flipBits(700);
  lender.node.admin.setKnob("draining", "1");
  sim.until("it is empty", () => lender.counter("foreign_frames_used") === 0);
  expect(owner.counter("fetch_corrupt")).toBeGreaterThan(10);
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  await sim.stop();
});

test("pages that a lender reclaims go to the disk, if no other lender takes them", async () => {
  const { sim, owner, lenders } = await world(SPILLS, 1);
  const [lender] = lenders as [SimNode];
  await come(sim, owner, lender);
  const pool = fill(sim, owner);
  const had = lender.counter("foreign_pers_pages");
  expect(had).toBeGreaterThan(PAGES / 2);
  lender.node.admin.setKnob("draining", "1");
  sim.until("it is empty", () => lender.counter("foreign_frames_used") === 0);
  rest(sim);
  expect(owner.counter("spilled_pages")).toBeGreaterThan(PAGES / 2);
  await lender.stop();
  checkAll(owner, pool);
  expect(owner.counter("remote_pers_pages_lost")).toBe(0);
  await sim.stop();
});

test("when the lender is full, further pages go to the disk and no put is refused", async () => {
  const { sim, owner, lenders } = await world(SPILLS, 1, 5);
  const [lender] = lenders as [SimNode];
  await come(sim, owner, lender);
  lender.node.foreign?.setLimit(64);
  const pool = fill(sim, owner);
  expect(owner.counter("spilled_pages")).toBeGreaterThan(PAGES / 4);
  checkAll(owner, pool);
  rest(sim);
  await sim.stop();
});

test("a sweep that passes pages on the disk counts none of them as repaired", async () => {
  const { sim, owner, lenders } = await world({ ...SPILLS, replicas: 2 }, 2);
  const [gone, left] = lenders as [SimNode, SimNode];
  for (const lender of [gone, left]) {
    await come(sim, owner, lender);
    lender.node.foreign?.setLimit(64);
  }
  fill(sim, owner);
  rest(sim);
  expect(owner.counter("spilled_pages")).toBeGreaterThan(PAGES / 2);
  sim.buggify = (point) => point === "short-walk";
  gone.crash();
  sim.until("copies are missed", () => owner.counter("pages_at_risk") > 0);
  // The other lender may have no second copy of a page, so none is repaired.
  const missed = owner.counter("pages_at_risk");
  for (let i = 0; i < 60; i += 1) {
    sim.run(100);
    expect(owner.counter("pages_at_risk")).toBe(missed);
    expect(owner.counter("repair_pages_per_second")).toBe(0);
  }
  await sim.stop();
});

test("with a target that does not answer, or none, pages go to the disk", async () => {
  for (const target of [1, null]) {
    const sim = new SimCluster(1);
    await sim.start([{ ...SPILLS, target }, LENDER]);
    const [owner, lender] = sim.nodes as [SimNode, SimNode];
    lender.crash();
    const pool = fill(sim, owner);
    expect(owner.counter("spilled_pages")).toBeGreaterThan(PAGES / 2);
    checkAll(owner, pool);
    rest(sim);
    await sim.stop();
  }
});

test("a node that stops or crashes leaves nothing, and starts again with an empty disk", async () => {
  const { sim, owner } = await world(SPILLS);
  fill(sim, owner);
  const { disk } = owner;
  owner.crash();
  expect(disk.isClosed).toBe(true);
  await owner.restart();
  expect(owner.disk).not.toBe(disk);
  const pool = fill(sim, owner);
  checkAll(owner, pool);
  await owner.stop();
  expect(owner.disk.isClosed).toBe(true);
});
