/**
 * Model test: random operations on a node whose memory is far too small, with a holder for the
 * rest, compared with a plain Map. A page goes through all of its life: put, duplicate put,
 * refusal, remotify, remote get, repatriation, flush of page, object and pool, pool destroy,
 * eviction, freeze, and broken links.
 *
 * The model: a persistent page that was accepted stays until it is flushed, removed by a get or put
 * again. An ephemeral page may go missing, and then stays missing. A get never gives other bytes
 * than the last put.
 */
import { expect, test } from "bun:test";
import { type Buggify, NEVER } from "../../src/core/buggify.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { STATUS } from "../../src/core/status.ts";
import type { GetAndFree } from "../../src/ramster/repatriate/waiters.ts";
import { type PendingGet, SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;
const OPERATIONS = 1_000_000;
const VERIFY_EVERY = 25_000;
const NUMBERS = 3000;

interface ModelPool {
  id: number;
  persistent: boolean;
  /** Generation by page number. */
  pages: Map<number, number>;
}

class Model {
  readonly random: SeededRandom;
  readonly sim: SimCluster;
  readonly node: SimNode;
  readonly pools: ModelPool[];
  generation = 0;
  operations = 0;
  readonly outcomes = { hits: 0, misses: 0, refused: 0, flushes: 0 };

  constructor(seed: number, sim: SimCluster) {
    this.random = new SeededRandom(seed);
    this.sim = sim;
    this.node = sim.node(0);
    this.pools = [this.newPool(true), this.newPool(false), this.newPool(true)];
  }

  newPool(persistent: boolean): ModelPool {
    return { id: this.node.newPool({ persistent }), persistent, pages: new Map() };
  }

  step(): void {
    this.operations += 1;
    const slot = below(this.random, this.pools.length);
    const pool = this.pools[slot];
    if (pool === undefined) return;
    const number = below(this.random, NUMBERS);
    const dice = below(this.random, 100_000);
    if (dice < 48_000) this.put(pool, number);
    else if (dice < 88_000) this.get(pool, number, 0);
    else if (dice < 90_000) this.get(pool, number, below(this.random, 2) === 0 ? 1 : -1);
    else if (dice < 99_500) this.flush(pool, number);
    else if (dice < 99_900) this.flushObject(pool, number);
    else if (dice < 99_960) this.raced(pool, number);
    else if (dice < 99_980) this.frozenPut(pool, number);
    else if (dice < 99_990) this.flushPool(pool);
    else if (dice < 99_995) this.destroyPool(slot, pool);
    else this.cutLink();
    if (this.operations % 50 === 0) this.sim.run(1);
  }

  put(pool: ModelPool, number: number): void {
    this.generation += 1;
    const status = this.node.put(pool.id, number, this.generation);
    if (status === STATUS.OK) {
      pool.pages.set(number, this.generation);
    } else {
      this.outcomes.refused += 1;
      pool.pages.delete(number);
    }
  }

  get(pool: ModelPool, number: number, getAndFree: GetAndFree): void {
    const pending = this.node.startGet(pool.id, number, getAndFree);
    this.check(pool, number, pending);
    if (getAndFree === 1 || (getAndFree === 0 && !pool.persistent)) pool.pages.delete(number);
  }

  check(pool: ModelPool, number: number, pending: PendingGet): void {
    const expected = pool.pages.get(number);
    const got = this.node.wait(pending);
    if (typeof got === "number") {
      this.outcomes.hits += 1;
      expect(got).toBe(expected ?? -1);
      return;
    }
    this.outcomes.misses += 1;
    expect(got).toBe("miss"); // Never "lost": a link that was cut is dialled again in time.
    if (pool.persistent) expect(expected).toBeUndefined();
    pool.pages.delete(number);
  }

  /** Starts a get, and puts the page again or flushes it before the get ends. */
  raced(pool: ModelPool, number: number): void {
    const pending = this.node.startGet(pool.id, number, -1);
    if (this.node.results.has(pending.token)) return this.check(pool, number, pending);
    if (below(this.random, 2) === 0) this.put(pool, number);
    else this.flush(pool, number);
    this.check(pool, number, pending);
  }

  flush(pool: ModelPool, number: number): void {
    this.outcomes.flushes += 1;
    const status = this.node.flush(pool.id, number);
    const had = pool.pages.delete(number);
    if (pool.persistent) expect(status === STATUS.OK).toBe(had);
    else if (status === STATUS.OK) expect(had).toBe(true);
  }

  flushObject(pool: ModelPool, number: number): void {
    this.node.flushObject(pool.id, number);
    for (let i = 0; i < 64; i += 1) pool.pages.delete((number & ~63) + i);
  }

  frozenPut(pool: ModelPool, number: number): void {
    const { tmem } = this.node.node.ramster.zcache;
    tmem.frozen = true;
    this.put(pool, number);
    tmem.frozen = false;
    expect(pool.pages.has(number)).toBe(false);
  }

  flushPool(pool: ModelPool): void {
    this.node.node.ramster.flushPool(pool.id, { destroy: false });
    pool.pages.clear();
  }

  destroyPool(slot: number, pool: ModelPool): void {
    this.node.node.ramster.flushPool(pool.id, { destroy: true });
    this.pools[slot] = this.newPool(below(this.random, 3) > 0);
  }

  cutLink(): void {
    this.sim.network.cut(this.sim.node(0).host, this.sim.node(1).host);
  }

  /** Checks every page that the model knows. */
  checkAll(): void {
    for (const pool of this.pools) {
      for (const number of [...pool.pages.keys()]) this.get(pool, number, -1);
    }
  }
}

async function runModel(seed: number, operations: number, buggify = NEVER): Promise<Model> {
  const sim = new SimCluster(seed);
  sim.buggify = buggify;
  await sim.start([
    { target: 1, lendBytes: 0, remotifyEph: seed % 2 === 1, selfshrink: true },
    { lendBytes: 2 * MIB },
  ]);
  const model = new Model(seed, sim);
  while (model.operations < operations) {
    model.step();
    if (model.operations % VERIFY_EVERY === 0) {
      sim.verify();
      model.checkAll();
    }
  }
  model.checkAll();
  for (const pool of model.pools) model.destroyPool(model.pools.indexOf(pool), pool);
  const { node } = model;
  const left = (): number => node.counter("flnodes") + node.counter("page_count");
  sim.until("all is flushed", () => left() === 0);
  const framesUsed = (): number => sim.node(1).counter("foreign_frames_used");
  sim.until("all is freed", () => framesUsed() === 0);
  sim.verify();
  expect(node.counter("frames_used")).toBe(0);
  expect(node.counter("remote_pers_pages") + node.counter("remote_eph_pages")).toBe(0);
  await sim.stop();
  return model;
}

test("a million random operations agree with a plain Map, and no page is left over", async () => {
  const model = await runModel(1, OPERATIONS);
  const { counters } = model.node;
  // The run proves something only if all of this happened.
  for (const outcome of Object.values(model.outcomes)) expect(outcome).toBeGreaterThan(0);
  for (const name of [
    "pers_pages_remoted",
    "eph_pages_remoted",
    "remote_pers_pages_succ_get",
    "remote_eph_pages_succ_get",
    "remote_eph_pages_unsucc_get",
    "remotify_raced",
    "fetch_raced",
    "pages_repatriated",
    "remote_pages_flushed",
    "remote_objects_flushed",
    "put_to_flush",
    "failed_pers_puts",
  ]) {
    expect(counters[name], name).toBeGreaterThan(0);
  }
}, 300_000);

test("random operations with other seeds agree with a plain Map", async () => {
  for (const seed of [2, 3, 4]) await runModel(seed, 60_000);
}, 120_000);

test("random operations agree while flushes of objects and pools take many turns", async () => {
  const isShort: Buggify = (point) => point === "short-flush";
  await runModel(5, 60_000, isShort);
}, 120_000);
