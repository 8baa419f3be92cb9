/** Lenders whose machine is short of memory: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { FRAME_BYTES } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import {
  checkAll,
  filled,
  LENDER,
  OWNER,
  PAGES,
  settle,
  total,
  untilRepaired,
} from "../sim/borrowing.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";
import { SimMachine } from "../sim/machine.ts";

const MIB = 1024 * 1024;
const KIB = 1024;
const MACHINE = 64 * MIB;
/** The margin is 256 KiB, and a step is 64 KiB. */
const RESERVE = 2 * MIB;
const LENDS = { ...LENDER, lendBytes: 4 * MIB, reserve: { bytes: RESERVE } };

/** An owner with its pages at three lenders, the first of which is on a simulated machine. */
async function onMachine() {
  const borrowing = await filled([OWNER, LENDS, LENDS, LENDS]);
  const [short, ...others] = borrowing.lenders as [SimNode, SimNode, SimNode];
  const machine = new SimMachine(short, MACHINE);
  borrowing.sim.run(1000);
  expect(short.counter("lend_limit_frames")).toBe(1024);
  return { ...borrowing, short, others, machine };
}

/** Other programs take so much memory that only `bytes` of what is lent can stay. */
function leave(machine: SimMachine, bytes: number): void {
  machine.usedBytes = MACHINE - RESERVE - bytes;
}

test("a lender soon gives back what its machine needs and no more, without losing a page", async () => {
  const { sim, owner, pool, short, machine } = await onMachine();
  leave(machine, machine.lentBytes / 2);
  const startMs = sim.clock.now();
  sim.until("it has begun", () => short.counter("lend_pressure_shrinks") === 1);
  sim.until("the machine has its reserve", () => machine.availableBytes >= RESERVE);
  expect(sim.clock.now() - startMs).toBeLessThan(3000);
  sim.until("it logs how much it gave back", () =>
    short.log.some((line) => / gave \d+ MiB back in /.test(line)),
  );
  sim.run(5000);
  expect(short.counter("lend_pressure_shrinks")).toBe(1);
  expect(machine.availableBytes).toBeLessThan(RESERVE + 400 * KIB);
  expect(short.counter("foreign_pers_pages")).toBeGreaterThan(0);
  untilRepaired(sim, owner);
  settle(sim);
  expect(owner.counter("remote_copies")).toBe(2 * owner.counter("remote_pers_pages"));
  expect(total(sim, "foreign_pers_pages")).toBe(owner.counter("remote_copies"));
  checkAll(owner, pool);
  sim.verify();
  await sim.stop();
});

test("a lender lends more again, in steps, when its machine has had room for a while", async () => {
  const { sim, owner, pool, short, machine } = await onMachine();
  leave(machine, machine.lentBytes / 2);
  sim.run(20_000);
  const low = short.counter("lend_limit_frames");
  machine.usedBytes = 0;
  sim.run(8000);
  expect(short.counter("lend_limit_frames")).toBe(low);
  sim.run(5000);
  const some = short.counter("lend_limit_frames");
  expect(some).toBeGreaterThan(low);
  expect(some).toBeLessThan(1024);
  sim.until("it lends all again", () => short.counter("lend_limit_frames") === 1024);
  expect(short.counter("lend_pressure_shrinks")).toBe(1);
  sim.until("others know", () => {
    const { members } = owner.node.admin.snapshot();
    return members.filter(({ lend_frames }) => lend_frames === 1024).length === 3;
  });
  checkAll(owner, pool);
  await sim.stop();
});

test("a machine whose memory varies by less than the margin moves no page", async () => {
  const { sim, short, machine } = await onMachine();
  leave(machine, machine.lentBytes / 2);
  sim.run(20_000);
  const reclaims = short.counter("foreign_reclaims");
  const { usedBytes } = machine;
  for (let i = 0; i < 60; i += 1) {
    machine.usedBytes = usedBytes + (i % 2) * 200 * KIB;
    sim.run(1000);
  }
  expect(short.counter("foreign_reclaims")).toBe(reclaims);
  expect(short.counter("lend_pressure_shrinks")).toBe(1);
  await sim.stop();
});

test("before a persistent page is given back, grants stop and ephemeral pages go", async () => {
  const sim = new SimCluster(5);
  await sim.startGossiping([{ ...OWNER, replicas: 1, remotifyEph: true }, LENDS]);
  const [owner, short] = sim.nodes as [SimNode, SimNode];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === 2));
  for (const persistent of [false, true]) {
    const pool = owner.newPool({ persistent });
    for (let number = 0; number < PAGES; number += 1) {
      sim.until("it is stored", () => owner.put(pool, number, 1) === STATUS.OK);
      sim.run(1);
    }
  }
  settle(sim);
  const pages = short.counter("foreign_pers_pages");
  expect(pages).toBeGreaterThan(100);
  expect(short.counter("foreign_eph_pages")).toBeGreaterThan(100);
  const machine = new SimMachine(short, MACHINE);
  leave(machine, machine.lentBytes - 500 * KIB);
  sim.until("the machine has its reserve", () => machine.availableBytes >= RESERVE);
  expect(short.counter("foreign_evicted_eph_zpages")).toBeGreaterThan(0);
  expect(short.counter("foreign_reclaims")).toBe(0);
  expect(short.counter("foreign_pers_pages")).toBe(pages);
  const granted = short.counter("foreign_granted_pages");
  sim.run(2000);
  expect(short.counter("foreign_granted_pages")).toBeLessThanOrEqual(granted);
  await sim.stop();
});

test("a lender gives back in steps while programs wait for memory, and then stops", async () => {
  const { sim, owner, pool, machine } = await onMachine();
  leave(machine, machine.lentBytes + 3 * RESERVE - 300 * KIB);
  const { lentBytes } = machine;
  machine.stallPercent = 40;
  sim.run(4000);
  expect(machine.lentBytes).toBeLessThan(lentBytes * 0.9);
  expect(machine.lentBytes).toBeGreaterThan(lentBytes * 0.5);
  machine.stallPercent = 0;
  sim.run(1000);
  const left = machine.lentBytes;
  sim.run(5000);
  expect(machine.lentBytes).toBe(left);
  checkAll(owner, pool);
  await sim.stop();
});

test("the lower limit counts while a lender is both drained and short of memory", async () => {
  const { sim, owner, pool, short, machine } = await onMachine();
  const { admin } = short.node;
  admin.setKnob("draining", "1");
  leave(machine, machine.lentBytes / 2);
  sim.until("it is empty", () => short.counter("foreign_frames_used") === 0);
  machine.usedBytes = MACHINE - RESERVE;
  sim.run(2000);
  admin.setKnob("draining", "0");
  sim.run(5000);
  expect(short.counter("lend_limit_frames")).toBe(0);
  machine.usedBytes = 0;
  sim.until("it lends again", () => short.counter("lend_limit_frames") > 0);
  admin.setKnob("draining", "1");
  expect(short.counter("lend_limit_frames")).toBe(0);
  sim.run(60_000);
  expect(short.counter("lend_limit_frames")).toBe(0);
  admin.setKnob("draining", "0");
  expect(short.counter("lend_limit_frames")).toBe(1024);
  checkAll(owner, pool);
  await sim.stop();
});

test("the reserve can be set at run time and counts at once, but not to a bad value", async () => {
  const { sim, owner, pool, short, machine } = await onMachine();
  const { admin } = short.node;
  expect(admin.getKnob("reserve")).toBe(String(RESERVE));
  machine.usedBytes = MACHINE / 2;
  expect(admin.setKnob("reserve", "20GiB")).toBe(String(20 * 1024 * MIB));
  sim.until("nothing is lent", () => machine.lentBytes === 0);
  sim.run(500);
  expect(short.counter("machine_available_bytes")).toBe(MACHINE / 2);
  expect(admin.setKnob("reserve", "auto")).toBe("auto");
  expect(short.counter("machine_reserve_bytes")).toBe(Math.floor(MACHINE / 10));
  expect(admin.setKnob("reserve", "0")).toBe("0");
  expect(short.counter("lend_limit_frames")).toBe(1024);
  expect(() => admin.setKnob("reserve", "20GB")).toThrow('to "20GB": there is no unit');
  checkAll(owner, pool);
  for (let number = 0; number < PAGES; number += 1) owner.flush(pool, number);
  settle(sim);
  await sim.stop();
});

/** A lender on a machine with missing figures, and its log lines about that. */
async function onSilent(unseen: SimMachine["unseen"], reserve: NodeConfig["reserve"] = "auto") {
  const sim = new SimCluster(6);
  await sim.start([
    { ...LENDS, reserve },
    { target: 0, lendBytes: 0, memoryBytes: MIB },
  ]);
  const [lender, owner] = sim.nodes as [SimNode, SimNode];
  const machine = new SimMachine(lender, MACHINE);
  machine.unseen = unseen;
  sim.run(1000);
  const logged = (words: string) => lender.log.filter((line) => line.includes(words)).length;
  return { sim, lender, owner, machine, logged };
}

test("a lender lends nothing while it cannot read its cgroup's limit, and logs that once", async () => {
  const { sim, lender, owner, machine, logged } = await onSilent(["limit"]);
  expect(lender.counter("lend_limit_frames")).toBe(0);
  const pool = owner.newPool({ persistent: true });
  for (let number = 0; number < PAGES; number += 1) owner.put(pool, number, 1);
  sim.run(20_000);
  expect(lender.counter("foreign_pers_pages")).toBe(0);
  expect(logged("Cannot see the memory limit")).toBe(1);
  expect(lender.node.admin.snapshot().lending.unseen).toEqual(["limit"]);
  machine.unseen = [];
  sim.until("it lends all", () => lender.counter("lend_limit_frames") === 1024);
  machine.unseen = ["limit"];
  sim.run(1000);
  const lentFrames = machine.lentBytes / FRAME_BYTES;
  expect(lender.counter("lend_limit_frames")).toBe(lentFrames); // It keeps all that it has.
  expect(logged("Cannot see the memory limit")).toBe(1);
  lender.node.admin.setKnob("reserve", "0");
  expect(lender.counter("lend_limit_frames")).toBe(1024);
  await sim.stop();
});

test("a lender on a machine without memory figures lends nothing, unless configured to", async () => {
  const { sim, lender, logged } = await onSilent([]);
  lender.machine = { read: () => null, process: () => ({}) };
  sim.run(1000);
  expect(lender.counter("lend_limit_frames")).toBe(0);
  expect(logged("Cannot see how much memory this machine has")).toBe(1);
  await sim.stop();
  const configured = await onSilent(["available", "limit", "waits"], { bytes: 0 });
  expect(configured.lender.counter("lend_limit_frames")).toBe(1024);
  expect(configured.logged("Cannot")).toBe(0);
  await configured.sim.stop();
});

test("a lender without figures of memory pressure or caches logs that once and doubles its reserve", async () => {
  const { sim, lender, logged } = await onSilent(["available", "waits"]);
  sim.run(5000);
  expect(logged("Cannot read /proc/meminfo")).toBe(1);
  expect(logged("Cannot see whether programs wait")).toBe(1);
  expect(lender.counter("machine_reserve_bytes")).toBe(2 * Math.floor(MACHINE / 10));
  expect(lender.counters.machine_stall_percent).toBeUndefined();
  await sim.stop();
});

test("a lender in a cgroup with a limit logs which cgroup has it", async () => {
  const { sim, machine, logged } = await onSilent([]);
  machine.cgroup = "/sys/fs/cgroup/a";
  sim.run(1000);
  expect(logged('lending is limited by cgroup "/sys/fs/cgroup/a", which has 64 MiB')).toBe(1);
  await sim.stop();
});
