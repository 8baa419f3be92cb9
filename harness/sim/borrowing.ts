/**
 * Borrowing: a node with more pages than memory, and lenders, which find each other by gossip under
 * virtual time. Tests of copies, repair and reclaim start from it.
 */
import { assert } from "../../src/core/assert.ts";
import { FRAME_BYTES } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { TAG } from "../../src/tmem/pampd.ts";
import type { Zcache } from "../../src/zcache/zcache.ts";
import { SimCluster, type SimNode } from "./cluster.ts";

const MIB = 1024 * 1024;
export const PAGES = 1500;
export const OWNER: Partial<NodeConfig> = { lendBytes: 0, replicas: 2 };
export const LENDER: Partial<NodeConfig> = { lendBytes: 16 * MIB, target: null };

/** Node 0 has put PAGES pages in a pool, and most of them are away. */
export async function filled(settings: ReadonlyArray<Partial<NodeConfig>>, seed = 1) {
  const sim = new SimCluster(seed);
  await sim.startGossiping(settings);
  const [owner, ...lenders] = sim.nodes as [SimNode, ...SimNode[]];
  sim.until("all know all", () => sim.nodes.every((it) => it.alive().length === settings.length));
  return { sim, owner, lenders, pool: fill(sim, owner) };
}

export function fill(sim: SimCluster, owner: SimNode): number {
  const pool = owner.newPool({ persistent: true });
  for (let number = 0; number < PAGES; number += 1) {
    sim.until("it is stored", () => owner.put(pool, number, 1) === STATUS.OK);
  }
  settle(sim);
  return pool;
}

export function total(sim: SimCluster, counter: string): number {
  return sim.nodes.reduce((sum, node) => sum + (node.counters[counter] ?? 0), 0);
}

export function settle(sim: SimCluster): void {
  const busy = ["flnodes", "frames_in_flight", "fetches_in_flight"];
  sim.until("nothing is under way", () => busy.every((name) => total(sim, name) === 0));
}

/** Every page that is away has two copies, at holders that are up. */
export function untilRepaired(sim: SimCluster, owner: SimNode): void {
  const left = ["pages_at_risk", "reclaims_pending"];
  sim.until("all pages are repaired", () => left.every((it) => owner.counter(it) === 0));
}

export function untilDead(sim: SimCluster, by: SimNode, name: string): void {
  sim.until(`${name} is dead`, () => by.log.some((line) => line.endsWith(`"${name}" is dead`)));
}

export function checkAll(owner: SimNode, pool: number): void {
  for (let number = 0; number < PAGES; number += 1) {
    const got = owner.get(pool, number);
    assert(got === 1, `page ${number}: ${got}`);
  }
}

/** Damages every zpage that the holder keeps for others. */
export function damageAll(holder: SimNode): void {
  const { foreign } = holder.node;
  assert(foreign !== null);
  damage(foreign.zcache);
}

/** Damages the first zpages of the store. */
export function damage(zcache: Zcache, countMax = Number.POSITIVE_INFINITY): void {
  const { tmem } = zcache;
  let count = 0;
  const end = tmem.pageEnd;
  for (let page = tmem.pageAfter(0); page < end && count < countMax; page = tmem.pageAfter(page)) {
    if (!tmem.isTaken(page) || tmem.tag(page) !== TAG.LOCAL) continue;
    flipBit(zcache, page, 0, 0);
    count += 1;
  }
}

/** Flips a bit of the page's zpage, and none of the store's own data. */
export function flipBit(
  { tmem, placement, frames }: Zcache,
  page: number,
  byte: number,
  bit: number,
): void {
  const position = placement.positionOf(tmem.place(page), byte);
  const frame = Math.floor(position / FRAME_BYTES);
  const value = new Uint8Array(1);
  frames.read(frame, position % FRAME_BYTES, value, 0, 1);
  value[0] = (value[0] ?? 0) ^ (1 << bit);
  frames.write(frame, position % FRAME_BYTES, value, 0, 1);
}
