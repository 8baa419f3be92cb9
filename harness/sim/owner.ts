/**
 * Owner: a program on one node of the simulation, which checks every page that it gets.
 *
 * It puts, gets and flushes pages at random, in a persistent and in an ephemeral pool. Many gets
 * run at a time. Each put of a page is a new generation, and the bytes of a page follow from its
 * generation. The owner knows the generation that each page must have.
 *
 * Only this node decides about its pages. So the answer to a get must fit the page as it is when
 * the answer comes, not as it was when the get began:
 *
 *   - A get gives the bytes of the present generation: no other bytes, and no older generation.
 *   - A persistent page that was stored is there, or out of reach for now. It may be lost only if
 *     no node has a copy of it any more, which truth.ts knows.
 *   - An ephemeral page may be gone at any time, and is gone after a get. It then stays gone.
 */
import { assert } from "../../src/core/assert.ts";
import type { Handle } from "../../src/core/handle.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { STATUS, type Status, statusName } from "../../src/core/status.ts";
import type { GetAndFree } from "../../src/ramster/repatriate/waiters.ts";
import type { SimClock } from "./clock.ts";
import { fillTestPage, generationOf, type SimNode } from "./cluster.ts";

/** Bound of every wait: two deadlines of a request, and time for hedges and retries. */
const GET_MS_MAX = 15_000;
const GETS_PENDING_MAX = 64;
const PAGES_PER_OBJECT = 64;
/** One page in this many, the last of them, fills a frame: see fillTestPage. */
const LARGE_EVERY = 11;
const FLURRY_OPERATIONS = 12;
const FLURRY_MS = 12;

interface PendingGet {
  readonly boot: number;
  /** Start of the get, in the running time of its process. */
  readonly startMs: number;
  readonly pool: Pool;
  readonly number: number;
  readonly getAndFree: GetAndFree;
  readonly target: Uint8Array;
}

/** An operation of the owner on some pages, until it ends. */
interface Operation {
  readonly pool: Pool;
  readonly from: number;
  readonly to: number;
  /** What the pages are after it. */
  readonly generation: number;
}

/** Pages of one pool, and what they must be. */
class Pool {
  readonly persistent: boolean;
  /** By number: what a page may be as well, since an operation on it was cut off. */
  readonly unsure = new Map<number, Set<number>>();
  id = -1;
  /** By number: the generation, or 0 where there is no page. */
  readonly generations: Int32Array;
  /** By number: 1 where no copy is left anywhere. */
  readonly mayBeLost: Uint8Array;
  /** By number: 1 where a holder has, or had, a copy with bad bytes. */
  readonly damaged: Uint8Array;

  constructor(persistent: boolean, pageCount: number) {
    this.persistent = persistent;
    this.generations = new Int32Array(pageCount);
    this.mayBeLost = new Uint8Array(pageCount);
    this.damaged = new Uint8Array(pageCount);
  }

  clear(): void {
    this.unsure.clear();
    this.generations.fill(0);
    this.mayBeLost.fill(0);
    this.damaged.fill(0);
  }
}

export interface OwnerSettings {
  readonly pageCount: number;
  /** Between two operations, at most. */
  readonly operationMs: number;
  /** Losses are allowed without a failure: holders drop pages of absent owners. */
  readonly lossesAllowed: boolean;
}

export class Owner {
  readonly node: SimNode;
  /** Holders must answer: no page may be out of reach. */
  isCalm = false;
  private readonly clock: SimClock;
  private readonly random: Random;
  private readonly trace: (line: string) => void;
  private readonly settings: OwnerSettings;
  private readonly pools: readonly [Pool, Pool];
  private readonly page = new Uint8Array(PAGE_BYTES);
  private readonly pending = new Map<number, PendingGet>();
  private readonly targets: Uint8Array[] = [];
  private lastToken = 0;
  private generation = 0;
  private boot = 0;
  private operation: Operation | null = null;
  private isWorking = false;
  /** The time in which its process was not stopped. */
  private awakeMs = 0;

  constructor(
    parts: { clock: SimClock; random: Random; trace: (line: string) => void; node: SimNode },
    settings: OwnerSettings,
  ) {
    this.clock = parts.clock;
    this.random = parts.random;
    this.trace = parts.trace;
    this.node = parts.node;
    this.settings = settings;
    this.pools = [new Pool(true, settings.pageCount), new Pool(false, settings.pageCount)];
  }

  /** Its node has started: with nothing, or with the pages that it had. */
  booted(): void {
    this.boot += 1;
    this.pending.clear();
    for (const pool of this.pools) {
      const taken = this.node.takenPool(pool);
      this.operation = null;
      if (taken === null) pool.clear();
      pool.id = taken ?? this.node.newPool({ persistent: pool.persistent });
    }
  }

  /** Its process was killed. What was under way may have happened or not. */
  killed(): void {
    for (const { pool, number, getAndFree } of this.pending.values()) {
      if (getAndFree === 1) this.mayBe(pool, number, 0);
    }
    const { operation } = this;
    if (operation === null) return;
    const { pool, from, to, generation } = operation;
    for (let number = from; number < to; number += 1) this.mayBe(pool, number, generation);
  }

  private mayBe(pool: Pool, number: number, generation: number): void {
    const all = pool.unsure.get(number) ?? new Set();
    pool.unsure.set(number, all.add(generation).add(pool.generations[number] ?? 0));
  }

  /** Does an operation on its node, whose process may be killed in it. */
  private operating(operation: Operation | null, work: () => void): void {
    this.operation = operation;
    if (this.node.run(work)) this.operation = null;
  }

  /** Works until `rest`. */
  work(): void {
    if (this.isWorking) return;
    this.isWorking = true;
    const turn = (passedMs: number): void => {
      if (!this.isWorking) return;
      if (this.node.isUp && !this.node.isPaused) {
        this.awakeMs += passedMs;
        this.operate();
      }
      const nextMs = 1 + below(this.random, this.settings.operationMs);
      this.clock.after(nextMs, () => turn(nextMs));
    };
    turn(0);
  }

  rest(): void {
    this.isWorking = false;
  }

  /** Puts pages once, as many as are accepted. */
  fill(): void {
    const [persistent] = this.pools;
    for (let number = 0; number < this.settings.pageCount; number += 1) {
      if (!this.node.node.ramster.mustWait()) this.put(persistent, number);
    }
  }

  get pendingCount(): number {
    return this.pending.size;
  }

  /** Asks for every page. All are answered once `pendingCount` is 0. */
  getAll(): void {
    for (const pool of this.pools) {
      for (let number = 0; number < this.settings.pageCount; number += 1)
        this.get(pool, number, -1);
    }
  }

  /** Counts the pages that must be there. */
  get pageCount(): number {
    const [persistent] = this.pools;
    return persistent.generations.reduce((count, it) => count + (it > 0 ? 1 : 0), 0);
  }

  flushAll(): void {
    for (const pool of this.pools) {
      this.node.node.ramster.flushPool(pool.id, { destroy: false });
      pool.clear();
    }
  }

  /** No node has a copy of the page any more: it may be lost. */
  readonly nobodyHas = (handle: Handle): void => {
    const [persistent] = this.pools;
    if (handle.pool === persistent.id) persistent.mayBeLost[numberOf(handle)] = 1;
  };

  /** One of the page's copies has bad bytes now. */
  damaged(handle: Handle): void {
    const [persistent] = this.pools;
    if (handle.pool === persistent.id) persistent.damaged[numberOf(handle)] = 1;
  }

  get hasDamaged(): boolean {
    const [persistent] = this.pools;
    return persistent.damaged.includes(1);
  }

  /** Whether one of the page's copies has, or had, bad bytes. */
  readonly isDamaged = (handle: Handle): boolean => {
    const [persistent] = this.pools;
    return handle.pool === persistent.id && persistent.damaged[numberOf(handle)] === 1;
  };

  private operate(): void {
    this.checkPending();
    const pool = this.pools[below(this.random, 6) === 0 ? 1 : 0];
    const count = 1 + below(this.random, 8);
    const number = this.anyNumber();
    const kind = below(this.random, 1000);
    if (kind < 1) this.replacePool(pool);
    else if (kind < 6) this.flushObject(pool, number);
    else if (kind < 60) this.flush(pool, number);
    else if (kind < 80) this.get(pool, number, 1);
    else if (kind < 150) this.flurry(pool, number);
    else if (kind < 500) {
      for (let i = 0; i < count && this.node.isUp; i += 1) this.put(pool, this.anyNumber());
    } else for (let i = 0; i < count && this.node.isUp; i += 1) this.get(pool, this.anyNumber(), 0);
  }

  /**
   * Puts a few pages over and over while they are in flight. A page that fills a frame may get the
   * same frame again.
   */
  private flurry(pool: Pool, number: number): void {
    const { boot } = this;
    const first = number - (number % LARGE_EVERY);
    for (let i = 0; i < FLURRY_OPERATIONS; i += 1) {
      this.clock.after(below(this.random, FLURRY_MS), () => {
        const isThere = this.isWorking && this.boot === boot && this.node.isUp;
        if (!isThere || this.node.isPaused) return;
        const alone = first + LARGE_EVERY - 1;
        const page = below(this.random, 2) === 0 ? alone : first + below(this.random, LARGE_EVERY);
        if (page >= this.settings.pageCount) return;
        if (below(this.random, 3) === 0) this.get(pool, page, 0);
        else this.put(pool, page);
      });
    }
  }

  /** Some pages are used more often than others. */
  private anyNumber(): number {
    const { pageCount } = this.settings;
    return below(this.random, below(this.random, 4) === 0 ? pageCount >> 4 : pageCount);
  }

  private put(pool: Pool, number: number): void {
    const { ramster } = this.node.node;
    if (ramster.mustWait()) return;
    this.generation += 1;
    const { generation } = this;
    fillTestPage(this.page, this.node.index, pool.id, number, generation);
    this.operating({ pool, from: number, to: number + 1, generation }, () => {
      const status = ramster.put(this.node.at(pool.id, number), this.page, 0);
      const isStored = status === STATUS.OK;
      assert(isStored || isRefusal(status), `put ends with ${statusName(status)}`);
      // A refused put removes the old page.
      pool.generations[number] = isStored ? generation : 0;
      pool.unsure.delete(number);
      pool.mayBeLost[number] = 0;
      pool.damaged[number] = 0;
      this.note("put", pool, number, status);
    });
  }

  private get(pool: Pool, number: number, getAndFree: GetAndFree): void {
    if (this.pending.size >= GETS_PENDING_MAX && !this.isCalm) return;
    this.lastToken += 1;
    const token = this.lastToken;
    const target = this.targets.pop() ?? new Uint8Array(PAGE_BYTES);
    const startMs = this.awakeMs;
    const get = { boot: this.boot, startMs, pool, number, getAndFree, target };
    const sink = { onGet: (done: number, status: Status): void => this.got(done, status) };
    this.pending.set(token, get);
    const handle = this.node.at(pool.id, number);
    const { ramster } = this.node.node;
    this.operating(null, () => {
      const status = ramster.get(handle, getAndFree, target, 0, sink, token);
      if (status !== STATUS.PENDING) this.got(token, status);
    });
  }

  private got(token: number, status: Status): void {
    const get = this.pending.get(token);
    assert(get !== undefined, "a get that is answered twice");
    this.pending.delete(token);
    // No owner reads answers of a node that is about to end.
    if (get.boot !== this.boot || !this.node.isUp) return;
    this.targets.push(get.target);
    const { pool, number, getAndFree, target } = get;
    this.note("get", pool, number, status);
    if (this.settled(pool, number, target, status)) return;
    const expected = pool.generations[number] ?? 0;
    switch (status) {
      case STATUS.OK: {
        const generation = generationOf(target, this.node.index, pool.id, number);
        if (generation !== expected) {
          this.fail(pool, number, `generation ${generation}, not ${expected}`);
        }
        const isFreed = getAndFree === 1 || (getAndFree === 0 && !pool.persistent);
        if (isFreed) pool.generations[number] = 0;
        return;
      }
      case STATUS.NOT_FOUND:
        if (pool.persistent && expected !== 0) this.fail(pool, number, `a miss, not ${expected}`);
        pool.generations[number] = 0;
        return;
      case STATUS.LOST: {
        const isAllowed = this.settings.lossesAllowed || pool.mayBeLost[number] === 1;
        if (!pool.persistent || expected === 0) this.fail(pool, number, "lost, and is not there");
        if (!isAllowed) this.fail(pool, number, "lost, and somebody has it");
        return;
      }
      case STATUS.UNREACHABLE:
        if (!pool.persistent || expected === 0) this.fail(pool, number, "away, and is not there");
        if (this.isCalm) this.fail(pool, number, "away although all are there");
        return;
      case STATUS.UNKNOWN_POOL:
        return; // The page was replaced in the meantime.
      default:
        assert(false, `get ends with ${statusName(status)}`);
    }
  }

  /**
   * An operation on the page was cut off, and this get shows what has become of it. @returns
   * whether the page was lost then, as it may be where there was no room for both.
   */
  private settled(pool: Pool, number: number, target: Uint8Array, status: Status): boolean {
    const unsure = pool.unsure.get(number);
    if (unsure === undefined) return false;
    if (status === STATUS.LOST) return true;
    if (status !== STATUS.OK && status !== STATUS.NOT_FOUND) return false;
    const isThere = status === STATUS.OK;
    const found = isThere ? generationOf(target, this.node.index, pool.id, number) : 0;
    if (unsure.has(found)) pool.generations[number] = found;
    pool.unsure.delete(number);
    return false;
  }

  private flush(pool: Pool, number: number): void {
    this.operating({ pool, from: number, to: number + 1, generation: 0 }, () => {
      const status = this.node.node.ramster.flushPage(this.node.at(pool.id, number));
      const wasThere = (pool.generations[number] ?? 0) > 0;
      const isSure = pool.persistent && !pool.unsure.has(number);
      if (isSure) assert((status === STATUS.OK) === wasThere, "flush of what was there");
      pool.generations[number] = 0;
      pool.unsure.delete(number);
      this.note("flush", pool, number, status);
    });
  }

  private flushObject(pool: Pool, number: number): void {
    const from = number - (number % PAGES_PER_OBJECT);
    const to = Math.min(from + PAGES_PER_OBJECT, this.settings.pageCount);
    this.operating({ pool, from, to, generation: 0 }, () => {
      const status = this.node.node.ramster.flushObject(this.node.at(pool.id, number));
      pool.generations.fill(0, from, to);
      for (let page = from; page < to; page += 1) pool.unsure.delete(page);
      this.note("flush_object", pool, number, status);
    });
  }

  /** The next pool may have the same id, and the other kind. */
  private replacePool(pool: Pool): void {
    this.operating({ pool, from: 0, to: this.settings.pageCount, generation: 0 }, () => {
      const status = this.node.node.ramster.flushPool(pool.id, { destroy: true });
      pool.clear();
      pool.id = this.node.newPool({ persistent: pool.persistent });
      this.note("replace_pool", pool, 0, status);
    });
  }

  /** Fails for a get that has waited too long. */
  private checkPending(): void {
    for (const get of this.pending.values()) {
      const ms = this.awakeMs - get.startMs;
      if (ms >= GET_MS_MAX) this.fail(get.pool, get.number, `no answer for ${ms} ms`);
      return; // The first get is the oldest.
    }
  }

  private note(what: string, pool: Pool, number: number, status: Status): void {
    this.trace(`${this.node.index} ${what} ${pool.id}/${number} ${status}`);
  }

  private fail(pool: Pool, number: number, what: string): never {
    throw new Error(`node ${this.node.index} page ${pool.id}/${number}: ${what}`);
  }
}

/** As SimNode.at makes it. */
function numberOf(handle: Handle): number {
  return handle.oid1lo * PAGES_PER_OBJECT + handle.index;
}

/** Both rules on poor compression are the original's, and test pages may meet them. */
function isRefusal(status: Status): boolean {
  const { NO_ROOM, COMPRESS_POOR, MEAN_COMPRESS_POOR } = STATUS;
  return status === NO_ROOM || status === COMPRESS_POOR || status === MEAN_COMPRESS_POOR;
}
