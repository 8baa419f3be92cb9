import { describe, expect, spyOn, test } from "bun:test";
import { Hash } from "node:crypto";
import * as fc from "fast-check";
import { PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { type Key, oidOf, resolveKey } from "./keys.ts";
import { BUCKETS } from "./map-index.ts";
import type { Pool, PutEntry, PutResult } from "./pool.ts";
import { RemoteMap } from "./remote-map.ts";

/**
 * A pool in memory whose calls end in any order, as those of a node may for different messages.
 * Pages are refused and vanish at random, if they are to.
 */
class FakePool {
  readonly pages = new Map<string, Uint8Array>();
  /** The pages that were asked for. */
  readonly asked = new Set<string>();
  refusePercent = 0;
  vanishPercent = 0;
  /** Called before each operation of the node. */
  before: (name: string) => Promise<void> = async () => {};
  private readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  get asPool(): Pool {
    return this as unknown as Pool;
  }

  put(key: Key, page: Uint8Array): Promise<PutResult> {
    return this.putMany([{ key, page }]).then(([result]) => result as PutResult);
  }

  async putMany(entries: readonly PutEntry[]): Promise<PutResult[]> {
    const pages = entries.map(({ page }) => page.slice()); // As a pool, which copies what waits.
    await this.turn("put");
    return entries.map((entry, i) => {
      const name = nameOf("key" in entry ? entry.key : entry);
      this.pages.delete(name); // What a refused put leaves.
      if (this.isTrue(this.refusePercent)) return { stored: false, reason: "no_room" };
      const page = pages[i] as Uint8Array;
      expect(page.byteLength).toBe(PAGE_BYTES);
      this.pages.set(name, page);
      return { stored: true };
    });
  }

  get(key: Key): Promise<Uint8Array | null> {
    return this.getMany([key]).then(([page]) => page ?? null);
  }

  async getMany(keys: readonly Key[]): Promise<Array<Uint8Array | null>> {
    await this.turn("get");
    return keys.map((key) => {
      const name = nameOf(key);
      this.asked.add(name);
      if (this.isTrue(this.vanishPercent)) this.pages.delete(name);
      return this.pages.get(name)?.slice() ?? null;
    });
  }

  async flushPages(keys: readonly Key[]): Promise<boolean[]> {
    await this.turn("flush");
    return keys.map((key) => this.pages.delete(nameOf(key)));
  }

  async flushObject(oid: readonly bigint[]): Promise<boolean> {
    await this.turn("flush");
    const names = [...this.pages.keys()].filter((name) => name.startsWith(`${oid.join(".")}/`));
    for (const name of names) this.pages.delete(name);
    return names.length > 0;
  }

  async flush(): Promise<void> {
    await this.turn("flush");
    this.pages.clear();
  }

  private isTrue(percent: number): boolean {
    return percent > 0 && this.random.u32() % 100 < percent;
  }

  private async turn(name: string): Promise<void> {
    await this.before(name);
    for (let left = this.random.u32() % 4; left > 0; left -= 1) await Promise.resolve();
  }
}

function nameOf(key: Key): string {
  const { oid, index } = resolveKey(key);
  return `${oid.join(".")}/${index}`;
}

/** Bytes that are in no other value. */
function bytesOf(serial: number, length: number): Uint8Array {
  const value = new Uint8Array(length);
  const random = new SeededRandom(serial);
  for (let at = 0; at < length; at += 1) value[at] = random.u32();
  return value;
}

async function listed(map: RemoteMap): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for await (const [key, value] of map) found.set(key, value);
  return found;
}

function bucketOf(key: string): bigint {
  const [word] = oidOf("ramster map entry", new TextEncoder().encode(key));
  return word % BigInt(BUCKETS);
}

/** Keys that are listed together with "a". */
const NEIGHBOURS = Array.from({ length: 2000 }, (_, i) => `a${i}`)
  .filter((key) => bucketOf(key) === bucketOf("a"))
  .slice(0, 3);
const KEYS = ["a", ...NEIGHBOURS, "", "\u{feff}", "ключ", "k".repeat(1024)];
const LENGTHS = [0, 1, 100, 3000, 4031, 4032, 4033, 8127, 8128, 8129, 20_000];

const operation = fc.record({
  kind: fc.constantFrom("set", "set", "set", "get", "delete", "has", "list", "reopen", "clear"),
  key: fc.constantFrom(...KEYS),
  length: fc.constantFrom(...LENGTHS),
});

describe("RemoteMap", () => {
  test("is as a Map, also when puts are refused", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 30, maxLength: 60 }),
        fc.nat(),
        fc.constantFrom(0, 5, 20),
        async (operations, seed, refusePercent) => {
          const pool = new FakePool(seed);
          pool.refusePercent = refusePercent;
          let map = new RemoteMap(pool.asPool);
          const model = new Map<string, Uint8Array>();
          for (const [serial, { kind, key, length }] of operations.entries()) {
            if (kind === "set") {
              const value = bytesOf(serial, length);
              const { stored } = await map.set(key, value);
              if (stored) model.set(key, value);
              else model.delete(key);
            } else if (kind === "get") {
              expect(await map.get(key)).toEqual(model.get(key) as Uint8Array);
            } else if (kind === "delete") {
              expect(await map.delete(key)).toBe(model.delete(key));
            } else if (kind === "has") {
              expect(await map.has(key)).toBe(model.has(key));
            } else if (kind === "list") {
              expect(await listed(map)).toEqual(model);
              expect(await map.size()).toBe(model.size);
            } else if (kind === "reopen") {
              map = new RemoteMap(pool.asPool);
            } else {
              await map.clear();
              model.clear();
              expect(pool.pages.size).toBe(0);
            }
          }
          for (const key of KEYS) expect(await map.get(key)).toEqual(model.get(key) as Uint8Array);
          expect(await listed(map)).toEqual(model);
          for (const key of KEYS) await map.delete(key);
          expect(await listed(map)).toEqual(new Map());
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  test("leaves no page behind when values are replaced and deleted", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool);
    for (let serial = 0; serial < 30; serial += 1) {
      await map.set("a", bytesOf(serial, (serial % 5) * 9000));
    }
    await map.delete("a");
    // What lists no key any more: at most two pages.
    expect(pool.pages.size).toBeLessThanOrEqual(2);
    await map.set("a", bytesOf(1, 50_000));
    pool.refusePercent = 100;
    expect(await map.set("a", bytesOf(2, 50_000))).toEqual({ stored: false, reason: "no_room" });
    pool.refusePercent = 0;
    expect(await map.get("a")).toBeUndefined();
    expect(pool.pages.size).toBeLessThanOrEqual(2);
  });

  test("a page that vanishes is a miss, never other bytes, and what is left is removed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), fc.nat(), async (all, seed) => {
        const pool = new FakePool(seed);
        const map = new RemoteMap(pool.asPool);
        const model = new Map<string, Uint8Array>();
        pool.vanishPercent = 5;
        for (const [serial, { kind, key, length }] of all.entries()) {
          if (kind === "set") {
            const value = bytesOf(serial, length);
            expect(await map.set(key, value)).toEqual({ stored: true });
            model.set(key, value);
          } else if (kind === "delete") {
            await map.delete(key);
            model.delete(key);
          } else {
            const value = await map.get(key);
            if (value === undefined) model.delete(key);
            expect(value).toEqual(model.get(key) as Uint8Array);
          }
        }
        for (const [key, value] of await listed(map))
          expect(value).toEqual(model.get(key) ?? value);
        pool.vanishPercent = 0;
        for (const key of KEYS) {
          const value = await map.get(key);
          if (value !== undefined) expect(value).toEqual(model.get(key) as Uint8Array);
          expect(await map.has(key)).toBe(value !== undefined);
        }
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  test("writers and readers at once: each get gives one of the values as a whole", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const pool = new FakePool(seed);
        const maps = [1, 2, 3].map(() => new RemoteMap(pool.asPool));
        const values = Array.from({ length: 12 }, (_, i) => bytesOf(i, 3000 + i * 2500));
        const isWhole = (value: Uint8Array | undefined): boolean => {
          return values.some((it) => value !== undefined && Buffer.compare(it, value) === 0);
        };
        const work = values.map((value, i) => maps[i % 3]?.set("a", value));
        const reads = Array.from({ length: 20 }, async (_, i) => {
          for (let turn = 0; turn < i * 7; turn += 1) await Promise.resolve();
          return maps[i % 3]?.get("a");
        });
        for (const value of await Promise.all(reads)) {
          if (value !== undefined) expect(isWhole(value)).toBe(true);
        }
        await Promise.all(work);
        expect(isWhole(await maps[0]?.get("a"))).toBe(true);
        // The map that lists keys sees it too, and the calls of one map take effect in order.
        expect([...(await listed(maps[1] as RemoteMap)).keys()]).toEqual(["a"]);
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  test("a key whose value has vanished is not looked for again", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool);
    const [neighbour = ""] = NEIGHBOURS;
    for (const key of ["a", neighbour]) await map.set(key, bytesOf(1, 10));
    const oid = oidOf("ramster map entry", new TextEncoder().encode("a"));
    pool.pages.delete(nameOf({ oid, index: 0 }));
    expect([...(await listed(map)).keys()]).toEqual([neighbour]);
    pool.asked.clear();
    expect([...(await listed(map)).keys()]).toEqual([neighbour]);
    expect(pool.asked.has(nameOf({ oid, index: 0 }))).toBe(false);
  });

  test("the last of several sets of one map counts", async () => {
    const pool = new FakePool(7);
    const map = new RemoteMap(pool.asPool);
    const lengths = [50_000, 10, 9000, 0, 30_000, 1];
    await Promise.all(lengths.map((length, i) => map.set("a", bytesOf(i, length))));
    expect(await map.get("a")).toEqual(bytesOf(5, 1));
  });

  test("bytes of somebody else in place of a value are an error or a miss", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool);
    const right = bytesOf(1, 20_000);
    await map.set("a", right);
    const before = new Map([...pool.pages].map(([name, page]) => [name, page.slice()]));
    const outcomes: string[] = [];
    for (const name of before.keys()) {
      for (const at of [0, 5, 7, 12, 15, 20, 50, 64, 65, 4000]) {
        for (const [each, page] of before) pool.pages.set(each, page.slice());
        const page = pool.pages.get(name) ?? new Uint8Array(0);
        page[at] = (page[at] ?? 0) ^ 1;
        const value = await map.get("a").catch((error: { code: string }) => error.code);
        outcomes.push(typeof value === "string" ? value : `${value?.byteLength}`);
        // A page of the index has changed.
        if (value instanceof Uint8Array) expect(value).toEqual(right);
      }
    }
    expect(new Set(outcomes)).toEqual(new Set(["LOST", "undefined", "20000"]));
  });

  test("a signal ends a call at once, also one that waits for its turn", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool);
    let resume = (): void => {};
    const held = new Promise<void>((resolve) => {
      resume = resolve;
    });
    pool.before = () => held;
    const first = map.set("a", bytesOf(1, 10));
    const controller = new AbortController();
    const second = map.set("a", bytesOf(2, 10), { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
    resume();
    expect(await first).toEqual({ stored: true });
  });

  test("a long value is hashed a part at a time, so that other work has its turns", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool);
    const MIB = 1024 * 1024;
    const original = Hash.prototype.update as (this: Hash, bytes: unknown) => Hash;
    let hashed = 0;
    let hashedMax = 0;
    const update = spyOn(Hash.prototype, "update").mockImplementation(function (
      this: Hash,
      bytes: string | NodeJS.ArrayBufferView,
    ) {
      hashed += typeof bytes === "string" ? bytes.length : bytes.byteLength;
      hashedMax = Math.max(hashedMax, hashed);
      return original.call(this, bytes);
    });
    pool.before = async () => {
      hashed = 0;
    };
    const value = bytesOf(1, 17 * MIB);
    expect(await map.set("a", value)).toEqual({ stored: true });
    expect(Buffer.compare((await map.get("a")) ?? Buffer.alloc(0), value)).toBe(0);
    update.mockRestore();
    expect(hashedMax).toBeGreaterThan(3 * MIB);
    expect(hashedMax).toBeLessThan(5 * MIB);
  });

  test("a value whose memory is given away meanwhile is an error, and none is stored", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool);
    const value = bytesOf(1, 9 * 1024 * 1024);
    const buffer = value.buffer as ArrayBuffer;
    pool.before = async (name) => {
      if (name === "put" && !buffer.detached) structuredClone(buffer, { transfer: [buffer] });
    };
    await expect(map.set("a", value)).rejects.toMatchObject({ code: "BAD_CONFIG" });
    expect(await map.get("a")).toBeUndefined();
  });

  test("a codec makes other values of bytes", async () => {
    const json = {
      encode: (value: { name: string }) => new TextEncoder().encode(JSON.stringify(value)),
      decode: (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)),
    };
    const map = new RemoteMap<string, { name: string }>(new FakePool(1).asPool, { codec: json });
    await map.set("a", { name: "Ada" });
    expect(await map.get("a")).toEqual({ name: "Ada" });
  });

  test("refuses what is no key and no value, before anything is sent", async () => {
    const pool = new FakePool(1);
    const map = new RemoteMap(pool.asPool, { valueBytesMax: 100 });
    const bad = { code: "BAD_CONFIG" };
    await expect(map.set("\ud800", new Uint8Array(1))).rejects.toMatchObject(bad);
    await expect(map.get("k".repeat(1025))).rejects.toMatchObject(bad);
    await expect(map.get(7 as unknown as string)).rejects.toMatchObject(bad);
    await expect(map.set("a", new Uint8Array(101))).rejects.toMatchObject(bad);
    await expect(map.set("a", "text" as unknown as Uint8Array)).rejects.toMatchObject(bad);
    expect(pool.pages.size).toBe(0);
  });
});
