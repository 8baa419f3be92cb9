/**
 * Borrowing: a node with more pages than memory, and lenders, which find each other by gossip under
 * virtual time. Tests of copies, repair and reclaim start from it.
 */
import { assert } from "../../src/core/assert.ts";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
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

/** Changes bytes of every frame that the holder keeps for others. */
export function damageAll(holder: SimNode): void {
  const { foreign } = holder.node;
  assert(foreign !== null);
  const { frames } = foreign.zcache;
  const noise = new Uint8Array(100).fill(0x5a);
  for (let frame = 1; frame <= frames.framesUsed; frame += 1)
    frames.write(frame, 200, noise, 0, 100);
}
