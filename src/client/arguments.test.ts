/** Whatever a program passes, the answer is a RamsterError, and the connection goes on. */
import { describe, expect, test } from "bun:test";
import { runInNewContext } from "node:vm";
import { clientWorld, OID, outcomeOf, pageOf } from "../../harness/sim/client-world.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { KNOB_BYTES_MAX } from "../wire/messages.ts";
import { type Client, connectIn } from "./client.ts";
import type { Pool } from "./pool.ts";
import { RemoteMap } from "./remote-map.ts";
import type { ClientEnvironment } from "./session.ts";

/** What JavaScript lets a program pass. */
// biome-ignore lint/suspicious/noExplicitAny: these calls are wrong on purpose
type Anything = any;

const NO_TEXT: Anything = Object.create(null);
const SYMBOL: Anything = Symbol("x");
const LONG = "x".repeat(KNOB_BYTES_MAX + 1);
const page = pageOf(1);

type Call = (pool: Anything, client: Anything, map: Anything) => Promise<unknown>;

const BAD_CALLS: ReadonlyArray<readonly [string, Call]> = [
  ["a key without a text", (pool) => pool.get(NO_TEXT)],
  ["an object id without a text", (pool) => pool.get({ oid: NO_TEXT, index: 0 })],
  ["an index without a text", (pool) => pool.get({ oid: "a", index: NO_TEXT })],
  ["a symbol as a key", (pool) => pool.get(SYMBOL)],
  ["a symbol as an object id", (pool) => pool.flushObject(SYMBOL)],
  ["keys that are no array", (pool) => pool.getMany("ab")],
  ["no keys", (pool) => pool.flushPages()],
  ["entries that are no array", (pool) => pool.putMany(new Set())],
  ["an entry that is none", (pool) => pool.putMany([null])],
  ["a page that is none", (pool) => pool.put(1, "page")],
  ["a page of other numbers", (pool) => pool.put(1, new Int8Array(PAGE_BYTES))],
  ["a page without its memory", (pool) => pool.put(1, detached())],
  ["remove sometimes", (pool) => pool.get(1, { remove: "sometimes" })],
  ["remove as an inherited name", (pool) => pool.get(1, { remove: "toString" })],
  ["no options", (pool) => pool.get(1, null)],
  ["options that are a number", (pool) => pool.put(1, page, 5)],
  ["a time-out that is no number", (pool) => pool.get(1, { timeoutMs: Number.NaN })],
  ["a time-out in words", (pool) => pool.flush({ timeoutMs: "soon" })],
  ["a signal that is none", (pool) => pool.get(1, { signal: {} })],
  ["a signal that is null", (pool) => pool.get(1, { signal: null })],
  ["a pool without options", (_, client) => client.newPool()],
  ["a pool of no kind", (_, client) => client.newPool({})],
  ["a pool of two kinds", (_, client) => client.newPool({ persistent: "no" })],
  ["the number of no pool", (_, client) => client.openPool(NO_TEXT, "0".repeat(32))],
  ["a token without a text", (_, client) => client.openPool(1, NO_TEXT)],
  ["a setting without a name", (_, client) => client.getKnob()],
  ["a setting with a long name", (_, client) => client.getKnob(LONG)],
  ["a setting with a long value", (_, client) => client.setKnob("clean_pages", LONG)],
  ["a value that is a number", (_, client) => client.setKnob("clean_pages", 5)],
  ["events after nothing", (_, client) => client.events(Number.NaN)],
  ["events after a bigint", (_, client) => client.events(1n)],
  ["stats without options", (_, client) => client.stats(null)],
  ["a key of a map without a text", (_pool, _client, map) => map.get(NO_TEXT)],
  ["a symbol as a key of a map", (_pool, _client, map) => map.set(SYMBOL, page)],
  ["a value that is no bytes", (_pool, _client, map) => map.set("a", { length: 3 })],
  ["a set without options", (_pool, _client, map) => map.set("a", page, null)],
];

function detached(): Uint8Array {
  const bytes = new Uint8Array(PAGE_BYTES);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

async function parts(): Promise<
  Awaited<ReturnType<typeof clientWorld>> & { pool: Pool; map: RemoteMap; client: Client }
> {
  const world = await clientWorld();
  return { ...world, map: new RemoteMap(world.pool) };
}

describe("refused with BAD_CONFIG", () => {
  test("by a client that goes on", async () => {
    const { wait, client, pool, map, end } = await parts();
    for (const [name, call] of BAD_CALLS) {
      const outcome = await wait(outcomeOf(call(pool, client, map)));
      expect([name, outcome]).toEqual([name, "BAD_CONFIG"]);
    }
    expect(client.isConnected).toBe(true);
    expect(await wait(pool.put(OID, 1, page))).toEqual({ stored: true });
    await end();
  });

  test.each([
    [undefined, {}],
    [NO_TEXT, {}],
    ["unix:/s", null],
    ["unix:/s", { timeoutMs: "soon" }],
    ["unix:/s", { signal: {} }],
    ["unix:/s", { key: 5 }],
  ])("before a client dials, %#", async (address: Anything, options: Anything) => {
    const env = {} as ClientEnvironment;
    expect(await outcomeOf(connectIn(env, address, options))).toBe("BAD_CONFIG");
  });
});

test("a secret of the wrong type is not in the message", async () => {
  const { wait, client, end } = await parts();
  const secret: Anything = Buffer.from("-----BEGIN PRIVATE KEY-----");
  const calls: ReadonlyArray<Promise<unknown>> = [
    connectIn({} as ClientEnvironment, "unix:/s", { key: secret }),
    client.setKnob("gossip_keys", secret),
    client.openPool(1, secret),
  ];
  for (const call of calls) {
    const error = await wait(call.catch((reason: Error) => reason));
    expect(String(error)).toMatch(/^RamsterError: Cannot /);
    expect(String(error)).not.toContain("PRIVATE");
  }
  await end();
});

test("bytes of another realm are a page and a value", async () => {
  const { wait, pool, map, end } = await parts();
  const foreign = runInNewContext(`new Uint8Array(${PAGE_BYTES}).fill(7)`);
  expect(foreign instanceof Uint8Array).toBe(false);
  expect(await wait(pool.put(1, foreign))).toEqual({ stored: true });
  expect(await wait(pool.get(1))).toEqual(new Uint8Array(PAGE_BYTES).fill(7));
  expect(await wait(map.set("a", foreign))).toEqual({ stored: true });
  expect(await wait(map.get("a"))).toEqual(new Uint8Array(PAGE_BYTES).fill(7));
  await end();
});

test("a time-out may be endless, or over already", async () => {
  const { wait, pool, end } = await parts();
  expect(await wait(pool.get(1, { timeoutMs: Number.POSITIVE_INFINITY }))).toBeNull();
  expect(await wait(outcomeOf(pool.get(1, { timeoutMs: -5 })))).toBeOneOf([null, "TIMED_OUT"]);
  await end();
});
