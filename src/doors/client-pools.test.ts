/** A program can do nothing to pools that are not its own, with any number that it writes. */
import { expect, test } from "bun:test";
import { fillTestPage, SimCluster } from "../../harness/sim/cluster.ts";
import { drive } from "../../harness/sim/drive.ts";
import type { Client } from "../client/client.ts";
import { connect } from "../client/on-bun.ts";
import type { Pool } from "../client/pool.ts";
import type { Oid } from "../core/handle.ts";
import { PAGE_BYTES, POOLS_PER_CLIENT_MAX } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { type Address, formatAddress } from "../net/address.ts";
import type { NodeConfig } from "../node/config.ts";
import { ClientPools, PoolSet } from "./client-pools.ts";

const MIB = 1024 * 1024;
const DOOR: Address = { kind: "tcp", host: "10.0.0.0", port: 7778 };
/** The type of `SimNode.at`. */
const oidOf = (number: number): Oid => [1n, BigInt(number >> 6), 1n << 63n];

async function start(settings: Partial<NodeConfig> = {}) {
  const sim = new SimCluster(3);
  const owner = { clients: [DOOR], target: 1, lendBytes: 0, ...settings };
  await sim.start([owner, { lendBytes: 64 * MIB }]);
  const wait = <T>(promise: Promise<T>): Promise<T> => drive(sim.clock, promise);
  const newClient = (host: string): Promise<Client> => {
    const transport = sim.network.transport(host);
    const environment = {
      clock: sim.clock,
      transport,
      memory: new HeapMemory(),
      random: new SeededRandom(1),
    };
    return wait(connect(`tcp:${formatAddress(DOOR)}`, {}, environment));
  };
  return { sim, node: sim.node(0), wait, newClient };
}

function pageOf(pool: number, number: number, generation = 1): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  fillTestPage(page, 0, pool, number, generation);
  return page;
}

/**
 * A pool object that writes the number `id` in its messages, whether or not it may use that pool.
 */
async function forged(client: Client, id: number): Promise<Pool> {
  const pool = await client.newPool({ persistent: true });
  return Object.assign(pool, { id });
}

/**
 * Everything that a program can request from a pool. Each request must fail as for an unknown pool.
 */
async function expectUnknown(pool: Pool, wait: <T>(promise: Promise<T>) => Promise<T>) {
  const key = { oid: oidOf(7), index: 7 };
  const failed = (promise: Promise<unknown>): Promise<unknown> =>
    wait(promise.then(() => "done").catch((error: Error) => error.message));
  expect(await failed(pool.put(key.oid, 7, pageOf(0, 7, 9)))).toMatch(/unknown_pool/);
  for (const remove of ["default", "always", "never"] as const) {
    expect(await failed(pool.get(key.oid, 7, { remove }))).toMatch(/unknown_pool/);
  }
  expect(await failed(pool.flushPage(key.oid, 7))).toMatch(/unknown_pool/);
  expect(await failed(pool.flushObject(key.oid))).toMatch(/unknown_pool/);
  expect(await failed(pool.flush())).toMatch(/unknown_pool/);
  expect(await failed(pool.token())).toMatch(/unknown_pool/);
  expect(await failed(pool.destroy())).toMatch(/unknown_pool/);
}

test("a program cannot reach the pool of an export", async () => {
  const exports = [{ name: "swap", byteCount: 64 * MIB }];
  const nbd = [{ kind: "tcp", host: "10.0.0.0", port: 10_809 } as const];
  const { sim, node, wait, newClient } = await start({ exports, nbd });
  const [pool] = node.node.ramster.pools();
  expect(node.put(pool?.id ?? -1, 7, 1)).toBe(STATUS.OK);
  const client = await newClient("program");
  await expectUnknown(await wait(forged(client, pool?.id ?? -1)), wait);
  expect(node.get(pool?.id ?? -1, 7, -1)).toBe(1);
  // The answer is the same as for a pool that does not exist.
  await expectUnknown(await wait(forged(client, POOLS_PER_CLIENT_MAX - 1)), wait);
  await expectUnknown(await wait(forged(client, 65_535)), wait);
  expect((await wait(client.newPool({ persistent: true }))).id).not.toBe(pool?.id ?? -1);
  await sim.stop();
});

test("a program cannot reach the pool of another program", async () => {
  const { sim, wait, newClient } = await start();
  const pool = await wait((await newClient("one")).newPool({ persistent: true }));
  await wait(pool.put(oidOf(7), 7, pageOf(pool.id, 7)));
  const stranger = await newClient("another");
  await expectUnknown(await wait(forged(stranger, pool.id)), wait);
  await wait(pool.token()); // A token that exists does not open the pool by itself.
  await expectUnknown(await wait(forged(stranger, pool.id)), wait);
  expect(await wait(pool.get(oidOf(7), 7))).toEqual(pageOf(pool.id, 7));
  await sim.stop();
});

test("a destroyed pool is gone for all its connections, also when its number is reused", async () => {
  const { sim, node, wait, newClient } = await start();
  const one = await newClient("one");
  const pool = await wait(one.newPool({ persistent: true }));
  const token = await wait(pool.token());
  const two = await newClient("two");
  const opened = await wait(two.openPool(pool.id, token));
  await wait(pool.destroy());
  await expectUnknown(opened, wait);
  // Another client gets the number again.
  const three = await newClient("three");
  let next = await wait(three.newPool({ persistent: true }));
  while (next.id !== pool.id) next = await wait(three.newPool({ persistent: true }));
  await wait(next.put(oidOf(7), 7, pageOf(next.id, 7)));
  await expectUnknown(pool, wait);
  await expectUnknown(opened, wait);
  const reopened = wait(two.openPool(pool.id, token).catch((error: unknown) => error));
  expect(await reopened).toMatchObject({ code: "REFUSED" });
  expect(await wait(next.get(oidOf(7), 7))).toEqual(pageOf(next.id, 7));
  node.verify();
  await sim.stop();
});

test("waiting puts do not go into a new pool that has got the number meanwhile", async () => {
  const { sim, node, wait, newClient } = await start({ putWaitMs: 20_000 });
  const one = await newClient("one");
  const pool = await wait(one.newPool({ persistent: true }));
  const token = await wait(pool.token());
  const two = await newClient("two");
  const opened = await wait(two.openPool(pool.id, token));
  // All frames are in use, and no page moves away.
  const full = node.newPool({ persistent: true });
  sim.network.block(node.host, sim.node(1).host);
  for (let number = 0; !node.node.ramster.mustWait(); number += 1) node.put(full, number, 1);
  const entries = Array.from({ length: 100 }, (_, number) => {
    return { oid: oidOf(number), index: number & 63, page: pageOf(pool.id, number) };
  });
  const puts = pool.putMany(entries);
  sim.run(10);
  await wait(opened.destroy());
  // The filler has one number, and the last is that of the destroyed pool.
  const makes = Array.from({ length: POOLS_PER_CLIENT_MAX - 1 }, () => {
    return two.newPool({ persistent: true });
  });
  const next = (await wait(Promise.all(makes))).at(-1);
  expect(next?.id).toBe(pool.id);
  expect(node.node.ramster.mustWait()).toBe(true);
  sim.network.unblock(node.host, sim.node(1).host);
  await expect(wait(puts)).rejects.toMatchObject({ code: "POOL_GONE" });
  expect(await wait(next?.get(oidOf(0), 0) ?? Promise.reject(new Error("no pool")))).toBeNull();
  await sim.stop();
});

test("PoolSet and ClientPools have what was added, and no set has a number out of range", () => {
  const set = new PoolSet();
  for (const id of [0, 31, 32, 255]) set.add(id);
  expect([0, 1, 31, 32, 33, 254, 255].map((id) => set.has(id))).toEqual([
    true,
    false,
    true,
    true,
    false,
    false,
    true,
  ]);
  set.remove(31);
  expect([31, 256, 287, 65_535].map((id) => set.has(id))).toEqual([false, false, false, false]);
  const pools = new ClientPools(new SeededRandom(1));
  const view = new DataView(new ArrayBuffer(40));
  expect(pools.isToken(3, view, 0)).toBe(false); // The pool has no token yet, so zeros are not one.
  pools.writeToken(3, view, 8);
  expect([pools.isToken(3, view, 8), pools.isToken(4, view, 8)]).toEqual([true, false]);
  for (let bit = 0; bit < 128; bit += 1) {
    const at = 8 + (bit >> 3);
    view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)));
    expect(pools.isToken(3, view, 8)).toBe(false);
    view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)));
  }
  pools.forget(3);
  expect(pools.isToken(3, view, 8)).toBe(false);
});
