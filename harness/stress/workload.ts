/**
 * Workload: the load on one node, through the client library, with every page checked.
 *
 *     fill:   every page of the working set is put once
 *     load:   LANES at a time, batches of puts, gets and flushes in the given mix
 *     verify: every key is got once: pages that must be there are, and no others
 *     probe:  single pages, one operation at a time, for latencies
 *     clean:  everything is flushed, by page, object and pool; flushed pages are not there
 *
 * When its node is restarted under load, the lanes wait until it is there again. Its pages have
 * ended with it, so the workload fills new pools.
 *
 * Each lane has keys of its own and waits for each batch, so the right content of a page is known
 * at every moment.
 *
 * Latencies have a phase of their own because an answer does not tell where the page came from.
 * The probe reads the node's counters around a single get: if a remote get was counted, this get
 * was remote. Under load the two could not be matched.
 */
import type { Client } from "../../src/client/client.ts";
import { PageError } from "../../src/client/errors.ts";
import type { Pool, PutResult } from "../../src/client/pool.ts";
import { RamsterError } from "../../src/core/errors.ts";
import type { Oid } from "../../src/core/handle.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import { Checker, type Got, type Verdicts } from "./checker.ts";
import { Latency } from "./latency.ts";
import type { PageSource } from "./page-source.ts";

const LANES = 4;
const BATCH = 64;
/**
 * Pages of one object: as many as a small machine's swap device spreads over it in the original.
 */
const PAGES_PER_OBJECT = 256;
/** The message of a node that shuts down cleanly to its clients. */
const FAREWELL = "the node stops";
const LANES_POLL_MS = 5;
/** One page in this many is ephemeral. */
const EPHEMERAL_ONE_IN = 8;
/** One get in this many removes the page. */
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
  /** Share of a batch of BATCH pages, under load. */
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
  readonly node: number;
  /** Accepted puts. */
  stored = 0;
  /** Pages put, got and flushed so far: the measure of progress. */
  operations = 0;
  /** Findings about the end of the connection, a sentence each. */
  readonly findings: string[] = [];
  private client: Client;
  private readonly source: PageSource;
  private readonly verdicts: Verdicts;
  private readonly options: WorkloadOptions;
  private stores: Store[] = [];
  /** Resolves when the node that is being restarted is up again, and filled. */
  private reconnected: Promise<void> | null = null;
  private lanesLoading = 0;

  constructor(
    parts: { client: Client; source: PageSource; verdicts: Verdicts },
    options: WorkloadOptions,
  ) {
    this.client = parts.client;
    this.source = parts.source;
    this.verdicts = parts.verdicts;
    this.options = options;
    this.node = options.node;
  }

  /** Has its node restarted under load by `restart`, and fills it again. See Restarted. */
  async restartNode(restart: () => Promise<Client>): Promise<void> {
    const reconnected = Promise.withResolvers<void>();
    this.reconnected = reconnected.promise;
    this.client = await restart();
    while (this.lanesLoading > 0) await Bun.sleep(LANES_POLL_MS);
    this.stores = [];
    await this.open();
    await this.fill();
    this.reconnected = null;
    reconnected.resolve();
  }

  /** A lane's connection closed: nothing else may fail, and the node must have announced it. */
  private async waitForNode(error: unknown): Promise<void> {
    if (this.reconnected === null || !(error instanceof RamsterError) || error.code !== "CLOSED") {
      throw error;
    }
    if (!error.message.includes(FAREWELL)) {
      this.findings.push(`node ${this.node} stopped and did not say so: ${error.message}`);
    }
    this.lanesLoading -= 1;
    await this.reconnected;
    this.lanesLoading += 1;
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
          await this.putKeys(store, laneKeys(first, store.keyCount));
        }
      }
    });
  }

  /** Loads until `isOver` returns true. */
  async load(isOver: () => boolean): Promise<void> {
    await this.inLanes(async (lane, random) => {
      this.lanesLoading += 1;
      while (!isOver()) {
        try {
          await this.loadOnce(lane, random);
        } catch (error) {
          await this.waitForNode(error);
        }
      }
      this.lanesLoading -= 1;
    });
  }

  private async loadOnce(lane: number, random: SeededRandom): Promise<void> {
    const { mix } = this.options;
    const store = this.stores[below(random, EPHEMERAL_ONE_IN) === 0 ? 1 : 0];
    if (store === undefined) return;
    const keys = randomKeys(random, store.keyCount, lane);
    const dice = below(random, mix.put + mix.get + mix.flush);
    if (keys.length === 0) return;
    if (dice < mix.put) await this.putKeys(store, keys);
    else if (dice < mix.put + mix.get) await this.getKeys(store, keys, random);
    else await this.flushKeys(store, keys);
  }

  /**
   * Gets each key once and leaves the pages. The load tries keys at random only, and would miss a
   * page that is lost after its last get.
   */
  async verify(): Promise<void> {
    await this.inLanes(async (lane) => {
      for (const store of this.stores) {
        for (let first = lane; first < store.keyCount; first += LANES * BATCH) {
          await this.verifyKeys(store, laneKeys(first, store.keyCount));
        }
      }
    });
  }

  /**
   * Times single operations until `gets` gets have found a page, or so many were tried that most
   * must find none.
   */
  async probe(gets: number): Promise<void> {
    const random = new SeededRandom(this.options.seed ^ 0x5a5a);
    const store = this.stores[0];
    if (store === undefined || store.keyCount === 0) return;
    let fetched = fetchedPages(await this.client.stats());
    for (let hits = 0, tried = 0; hits < gets && tried < gets * 4; tried += 1) {
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
      hits += 1;
      if (hits % 4 === 0) await this.putTimed(store, key);
    }
  }

  /**
   * Flushes a third page by page, a third by object, and the rest with the pools, which go too.
   * After each step no flushed page may be there.
   */
  async clean(): Promise<void> {
    for (const store of this.stores) {
      const third = Math.floor(store.keyCount / 3 / PAGES_PER_OBJECT) * PAGES_PER_OBJECT;
      for (const keys of runsOf(0, third, BATCH)) await this.flushKeys(store, keys);
      for (const keys of runsOf(third, 2 * third, PAGES_PER_OBJECT)) {
        await store.pool.flushObject(handleOf(keys[0] ?? 0).oid);
        for (const key of keys) store.checker.flushed(key);
        this.count("flush", 1);
      }
      for (const keys of runsOf(0, 2 * third, BATCH)) await this.verifyKeys(store, keys);
      await store.pool.flush();
      for (const keys of runsOf(2 * third, store.keyCount, BATCH)) {
        for (const key of keys) store.checker.flushed(key);
        await this.verifyKeys(store, keys);
      }
      await store.pool.destroy();
    }
    this.stores = [];
  }

  /** Destroys the pools, whatever they hold: for a run that failed on running nodes. */
  async abandon(): Promise<void> {
    await Promise.all(this.stores.map((store) => store.pool.destroy()));
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
      this.countPut(result);
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
    this.countPut(result);
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

  private async verifyKeys(store: Store, keys: readonly number[]): Promise<void> {
    const got = await gotOf(store.pool.getMany(keys.map(handleOf), { remove: "never" }));
    for (const [i, key] of keys.entries()) store.checker.check(key, got[i] ?? null, false);
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

  private countPut(result: PutResult | undefined): void {
    const { totals } = this;
    if (result?.stored === true) this.stored += 1;
    if (result?.stored === false) {
      totals.refused[result.reason] = (totals.refused[result.reason] ?? 0) + 1;
    }
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

/** Up to BATCH keys of one lane from `first` on. */
function laneKeys(first: number, keyCount: number): number[] {
  const keys: number[] = [];
  for (let key = first; key < keyCount && keys.length < BATCH; key += LANES) keys.push(key);
  return keys;
}

/** The keys from `from` up to, not including, `to`, in runs of at most `length`. */
function runsOf(from: number, to: number, length: number): number[][] {
  const runs: number[][] = [];
  for (let first = from; first < to; first += length) {
    runs.push(Array.from({ length: Math.min(length, to - first) }, (_, i) => first + i));
  }
  return runs;
}

/** Up to BATCH different random keys of the lane. */
function randomKeys(random: SeededRandom, keyCount: number, lane: number): number[] {
  const laneKeyCount = Math.floor((keyCount - lane + LANES - 1) / LANES);
  const keys = new Set<number>();
  for (let i = 0; i < BATCH && laneKeyCount > 0; i += 1) {
    keys.add(below(random, laneKeyCount) * LANES + lane);
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
