/** Exports of a node whose disk cannot take what there is to store. */
import { expect, test } from "bun:test";
import type { BareClient } from "../../harness/nbd/bare-client.ts";
import { read, DoorWorld as World, write } from "../../harness/nbd/door-world.ts";
import type { DiskTroubles } from "../../harness/sim/disk.ts";
import { NBD_FULL_MS, NBD_IO_TIMEOUT_MS_DEFAULT, PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { ERRNO } from "../nbd/protocol.ts";
import type { NodeConfig } from "../node/config.ts";

const MIB = 1024 * 1024;
const SPILLS: Partial<NodeConfig> = {
  target: null,
  memoryBytes: MIB,
  spillPath: "disk",
  spillBytes: 8 * MIB,
};
/** One that does not compress. */
const page = (number: number) => {
  const random = new SeededRandom(number + 1);
  return new Uint8Array(PAGE_BYTES).map(() => random.u32());
};

/** Writes pages until one is refused. @returns how many were stored, and what became of the last. */
async function writeAll(world: World, client: BareClient, from = 0) {
  for (let number = from; ; number += 1) {
    const startMs = world.sim.clock.now();
    const { error } = await world.wait(client.ask(write(number * PAGE_BYTES, page(number))));
    const tookMs = world.sim.clock.now() - startMs;
    if (error !== 0) return { stored: number, error, tookMs };
    expect(tookMs).toBeLessThan(NBD_FULL_MS);
  }
}

test.each([
  ["the file system is full", { bytesMax: 2 * MIB }],
  ["a quota is used up", { bytesMax: 2 * MIB, hidesRoom: true }],
  ["it fails from the start", { writeFailPercent: 100 }],
] as ReadonlyArray<[string, Partial<DiskTroubles>]>)(
  "%s: a write is soon ENOSPC, and all is well when there is room again",
  async (_name, troubles) => {
    const world = await World.start(SPILLS);
    const { disk, node } = world.sim.node(0);
    const healthy = { ...disk.troubles };
    Object.assign(disk.troubles, troubles);
    world.sim.run(2000);
    const client = await world.connect();
    const first = await writeAll(world, client);
    expect(first.error).toBe(ERRNO.ENOSPC);
    expect(first.tookMs).toBeLessThan(2 * NBD_FULL_MS);
    expect(first.tookMs).toBeLessThan(NBD_IO_TIMEOUT_MS_DEFAULT / 2);
    expect(node.ramster.space().percentUsed).toBeGreaterThan(90);
    // The next write is refused at once, even while the disk is retried.
    for (let i = 0; i < 20; i += 1) {
      const next = await writeAll(world, client, first.stored + 1);
      expect([next.error, next.stored]).toEqual([ERRNO.ENOSPC, first.stored + 1]);
      expect(next.tookMs).toBeLessThan(NBD_FULL_MS / 4);
      world.sim.run(700);
    }
    for (let number = 0; number < first.stored; number += 1) {
      const back = await world.wait(client.ask(read(number * PAGE_BYTES, PAGE_BYTES)));
      expect(back.data).toEqual(page(number));
    }
    Object.assign(disk.troubles, healthy);
    world.sim.until("there is room", () => node.ramster.hasRoom || node.ramster.mustWait());
    const rest = await writeAll(world, client, first.stored + 2);
    expect(rest.stored).toBeGreaterThan((8 * MIB) / PAGE_BYTES);
    expect(world.sim.node(0).counter("spill_failing_count")).toBe(0);
    await world.stop();
  },
  120_000,
);

test("a full disk that must have a copy of each page leaves no room at lenders", async () => {
  const copies = { target: 1, replicas: 2, replicasOnDisk: true };
  const world = await World.start({ ...SPILLS, ...copies });
  const { disk, node } = world.sim.node(0);
  disk.troubles.bytesMax = 2 * MIB;
  world.sim.run(2000);
  const client = await world.connect();
  const { stored, error, tookMs } = await writeAll(world, client);
  expect(error).toBe(ERRNO.ENOSPC);
  expect(tookMs).toBeLessThan(2 * NBD_FULL_MS);
  expect(node.ramster.space().percentUsed).toBeGreaterThan(90);
  // By default a node gives up the copy on the disk before it runs out of room.
  node.admin.setKnob("replicas", "auto");
  world.sim.run(2000);
  expect((await writeAll(world, client, stored + 1)).stored).toBeGreaterThan(stored + 500);
  await world.stop();
}, 120_000);
