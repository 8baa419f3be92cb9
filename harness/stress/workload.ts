/**
 * Workload: what one node is loaded with, through the client library, and checked page by page.
 *
 *     fill:   every page of the working set is put once
 *     load:   LANES at a time, batches of puts, gets and flushes in the given mix
 *     probe:  single pages, one operation at a time, for latencies
 *     clean:  everything is flushed: by page, by object, by pool
 *
 * Each lane has keys of its own and waits for each batch, so what a page must hold is known at
 * every moment.
 *
 * Why latencies have a phase of their own: an answer does not say where the page came from. So one
 * get at a time is made, and the node's counters are read around it: if a remote get was counted,
 * this was one. Under load that could not be told.
 */
import type { Client, NodeStats } from "../../src/client/client.ts";
import { PageError } from "../../src/client/errors.ts";
import type { Pool } from "../../src/client/pool.ts";
import type { Oid } from "../../src/core/handle.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { Checker, type Got, type Verdicts } from "./checker.ts";
import { Latency } from "./latency.ts";
import type { PageSource } from "./page-source.ts";

const LANES = 4;
const BATCH = 64;
/**
 * Pages of one object: as many as a swap device of the original spreads over it in a small machine.
 */
const PAGES_PER_OBJECT = 256;
/** One page in so many is ephemeral. */
const EPHEMERAL_ONE_IN = 8;
/** One get in so many takes the page away. */
const REMOVE_ONE_IN = 32;

export interface WorkloadTotals {
  put: number;
  get: number;
  flush: number;
  refused: Record<string, number>;
}

export interface Latencies {
  local_get: Latency;
  remote_get: Latency;
  put: Latency;
  /** Of a batch of BATCH pages, under load. */
  batch_get: Latency;
  batch_put: Latency;
}

export function noLatencies(): Latencies {
  return {
    local_get: new Latency(),
    remote_get: new Latency(),
    put: new Latency(),
    batch_get: new Latency(),
    batch_put: new Latency(),
  };
}

export interface WorkloadOptions {
  node: number;
  pageCount: number;
  mix: { put: number; get: number; flush: number };
  seed: number;
}

interface Store {
  pool: Pool;
  checker: Checker;
  keyCount: number;
}

export class Workload {
  readonly totals: WorkloadTotals = { put: 0, get: 0, flush: 0, refused: {} };
  readonly latencies = noLatencies();
  /** Pages put, got and flushed so far: what progress is measured by. */
  operations = 0;
  private readonly client: Client;
  private readonly source: PageSource;
  private readonly verdicts: Verdicts;
  private readonly options: WorkloadOptions;
  private stores: Store[] = [];

  constructor(
    parts: { client: Client; source: PageSource; verdicts: Verdicts },
    options: WorkloadOptions,
  ) {
    this.client = parts.client;
    this.source = parts.source;
    this.verdicts = parts.verdicts;
    this.options = options;
  }

  async open(): Promise<void> {
    const { node, pageCount } = this.options;
    const ephemeral = Math.floor(pageCount / EPHEMERAL_ONE_IN);
    for (const [persistent, keyCount] of [
      [true, pageCount - ephemeral],
      [false, ephemeral],
    ] as const) {
      const { storeWhole } = this.source;
      const pool = await this.client.newPool({ persistent, storeWhole });
      const { source, verdicts } = this;
      const checker = new Checker(
        { source, verdicts },
        { node, pool: pool.id, persistent, keyCount },
      );
      this.stores.push({ pool, checker, keyCount });
    }
  }

  async fill(): Promise<void> {
    await this.inLanes(async (lane) => {
      for (const store of this.stores) {
        for (let first = lane; first < store.keyCount; first += LANES * BATCH) {
          const keys: number[] = [];
          for (let key = first; key < store.keyCount && keys.length < BATCH; key += LANES) {
            keys.push(key);
          }
          await this.putKeys(store, keys);
        }
      }
    });
  }

  /** Loads until `isOver` says so. */
  async load(isOver: () => boolean): Promise<void> {
    const { mix } = this.options;
    await this.inLanes(async (lane, random) => {
      while (!isOver()) {
        const store = this.stores[below(random, EPHEMERAL_ONE_IN) === 0 ? 1 : 0];
        if (store === undefined) return;
        const keys = randomKeys(random, store.keyCount, lane);
        const dice = below(random, mix.put + mix.get + mix.flush);
        if (keys.length === 0) continue;
        if (dice < mix.put) await this.putKeys(store, keys);
        else if (dice < mix.put + mix.get) await this.getKeys(store, keys, random);
        else await this.flushKeys(store, keys);
      }
    });
  }

  /**
   * Times single operations until `gets` gets found a page, or so many were tried that most find
   * none.
   */
  async probe(gets: number): Promise<void> {
    const random = new SeededRandom(this.options.seed ^ 0x5a5a);
    const store = this.stores[0];
    if (store === undefined || store.keyCount === 0) return;
    let fetched = fetchedPages(await this.client.stats());
    for (let found = 0, tried = 0; found < gets && tried < gets * 4; tried += 1) {
      const key = below(random, store.keyCount);
      if (!store.checker.has(key)) continue;
      const started = performance.now();
      const got = await this.getOne(store, key);
      const us = (performance.now() - started) * 1000;
      store.checker.check(key, got, false);
      const now = fetchedPages(await this.client.stats());
      const { local_get, remote_get } = this.latencies;
      if (now === fetched) local_get.add(us);
      else remote_get.add(us);
      fetched = now;
      found += 1;
      if (found % 4 === 0) await this.putTimed(store, key);
    }
  }

  /** Flushes a third page by page, a third by object, the rest with the pools, which go too. */
  async clean(): Promise<void> {
    for (const store of this.stores) {
      const third = Math.floor(store.keyCount / 3 / PAGES_PER_OBJECT) * PAGES_PER_OBJECT;
      for (let key = 0; key < third; key += BATCH) {
        await this.flushKeys(
          store,
          Array.from({ length: Math.min(BATCH, third - key) }, (_, i) => key + i),
        );
      }
      for (let key = third; key < 2 * third; key += PAGES_PER_OBJECT) {
        await store.pool.flushObject(handleOf(key).oid);
        this.count("flush", 1);
      }
      await store.pool.flush();
      await store.pool.destroy();
    }
  }

  private async putKeys(store: Store, keys: readonly number[]): Promise<void> {
    const pages = keys.map((key) => store.checker.nextPage(key));
    const started = performance.now();
    const results = await store.pool.putMany(
      keys.map((key, i) => ({ ...handleOf(key), page: pages[i]?.page ?? new Uint8Array(0) })),
    );
    this.latencies.batch_put.add((performance.now() - started) * 1000);
    for (const [i, key] of keys.entries()) {
      const result = results[i];
      const stored = result?.stored === true;
      store.checker.putDone(key, pages[i]?.generation ?? 0, stored);
      if (result?.stored === false) {
        this.totals.refused[result.reason] = (this.totals.refused[result.reason] ?? 0) + 1;
      }
    }
    this.count("put", keys.length);
  }

  private async putTimed(store: Store, key: number): Promise<void> {
    const { page, generation } = store.checker.nextPage(key);
    const { oid, index } = handleOf(key);
    const started = performance.now();
    const result = await store.pool.put(oid, index, page);
    this.latencies.put.add((performance.now() - started) * 1000);
    store.checker.putDone(key, generation, result.stored);
    if (!result.stored) {
      this.totals.refused[result.reason] = (this.totals.refused[result.reason] ?? 0) + 1;
    }
    this.count("put", 1);
  }

  private async getKeys(
    store: Store,
    keys: readonly number[],
    random: SeededRandom,
  ): Promise<void> {
    const remove = below(random, REMOVE_ONE_IN) === 0 ? "always" : "default";
    const started = performance.now();
    const got = await gotOf(store.pool.getMany(keys.map(handleOf), { remove }));
    this.latencies.batch_get.add((performance.now() - started) * 1000);
    const removed = remove === "always" || !store.checker.persistent;
    for (const [i, key] of keys.entries()) store.checker.check(key, got[i] ?? null, removed);
    this.count("get", keys.length);
  }

  private async getOne(store: Store, key: number): Promise<Got> {
    const { oid, index } = handleOf(key);
    this.count("get", 1);
    const [got] = await gotOf(store.pool.getMany([{ oid, index }]));
    return got ?? null;
  }

  private async flushKeys(store: Store, keys: readonly number[]): Promise<void> {
    await store.pool.flushPages(keys.map(handleOf));
    for (const key of keys) store.checker.flushed(key);
    this.count("flush", keys.length);
  }

  private count(operation: "put" | "get" | "flush", pages: number): void {
    this.totals[operation] += pages;
    this.operations += pages;
  }

  private async inLanes(
    work: (lane: number, random: SeededRandom) => Promise<void>,
  ): Promise<void> {
    const { seed, node } = this.options;
    const lanes = Array.from({ length: LANES }, (_, lane) => {
      return work(lane, new SeededRandom(seed * 1000 + node * LANES + lane));
    });
    await Promise.all(lanes);
  }
}

/** Remote gets that the node has delivered. */
export function fetchedPages(stats: NodeStats): number {
  const { counters } = stats;
  const pers = counters.remote_pers_pages_succ_get ?? 0;
  return pers + (counters.remote_eph_pages_succ_get ?? 0);
}

function handleOf(key: number): { oid: Oid; index: number } {
  return { oid: [BigInt(Math.floor(key / PAGES_PER_OBJECT)), 0x57ae55n, 1n], index: key };
}

/** BATCH different keys of the lane, or all that it has. */
function randomKeys(random: SeededRandom, keyCount: number, lane: number): number[] {
  const laneKeys = Math.floor((keyCount - lane + LANES - 1) / LANES);
  const keys = new Set<number>();
  for (let i = 0; i < BATCH && laneKeys > 0; i += 1) {
    keys.add(below(random, laneKeys) * LANES + lane);
  }
  return [...keys];
}

async function gotOf(pages: Promise<Array<Uint8Array | null>>): Promise<readonly Got[]> {
  try {
    return await pages;
  } catch (error) {
    if (error instanceof PageError) return error.results;
    throw error;
  }
}
