/** Calls that have to wait, in virtual time: time-outs, silence, signals, copies. */
import { describe, expect, test } from "bun:test";
import { clientWorld, OID, outcomeOf, PROGRAM, pageOf } from "../../harness/sim/client-world.ts";
import type { Oid } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import type { Pool } from "./pool.ts";
import { RemoteMap } from "./remote-map.ts";
import { Requester } from "./requester.ts";

/** More than a node may be asked for at once: a call after this waits in the queue. */
function fillWindow(pool: Pool): Array<Promise<unknown>> {
  const keys = Array.from({ length: 256 }, (_, i) => 1_000_000 + i);
  return Array.from({ length: 5 }, () => outcomeOf(pool.getMany(keys)));
}

/** Stands for an AbortSignal, and counts its listeners. */
class CountingSignal {
  aborted = false;
  reason: unknown = null;
  listenersMax = 0;
  readonly listeners = new Set<() => void>();

  addEventListener(_type: "abort", listener: () => void): void {
    this.listeners.add(listener);
    this.listenersMax = Math.max(this.listenersMax, this.listeners.size);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.listeners.delete(listener);
  }

  abort(reason: unknown): void {
    this.aborted = true;
    this.reason = reason;
    for (const listener of [...this.listeners]) listener();
  }
}

describe("a node that falls silent", () => {
  test("holds no call beyond its time-out, and is dialled again after ten seconds", async () => {
    const { sim, node, wait, client, pool, end } = await clientWorld({ timeoutMs: 2000 });
    await wait(pool.put(OID, 1, pageOf(1)));
    sim.network.block(PROGRAM, node.host);
    sim.network.block(node.host, PROGRAM);
    const startMs = sim.clock.now();
    const calls = fillWindow(pool);
    calls.push(outcomeOf(pool.put(OID, 2, pageOf(2), { timeoutMs: 500 })));
    expect(await wait(calls.at(-1) as Promise<unknown>)).toBe("TIMED_OUT");
    expect(sim.clock.now() - startMs).toBeLessThan(600);
    expect(new Set(await wait(Promise.all(calls)))).toEqual(new Set(["TIMED_OUT"]));
    expect(sim.clock.now() - startMs).toBeLessThan(2100);
    // Later calls do not put that off.
    while (client.isConnected && sim.clock.now() - startMs < 20_000) {
      await wait(outcomeOf(pool.get(OID, 1, { timeoutMs: 300 })));
    }
    sim.until("the node counts as lost", () => !client.isConnected);
    expect(sim.clock.now() - startMs).toBeGreaterThan(9900);
    expect(sim.clock.now() - startMs).toBeLessThan(10_500);
    sim.network.unblock(PROGRAM, node.host);
    sim.network.unblock(node.host, PROGRAM);
    expect(await wait(pool.get(OID, 1, { timeoutMs: 5000 }))).toEqual(pageOf(1));
    await end();
  });

  test("is noticed when nothing follows the call that timed out", async () => {
    const { sim, node, wait, client, pool, end } = await clientWorld({ timeoutMs: 1000 });
    await wait(pool.get(OID, 1));
    sim.network.block(node.host, PROGRAM);
    expect(await wait(outcomeOf(pool.get(OID, 1)))).toBe("TIMED_OUT");
    expect(client.isConnected).toBe(true);
    sim.run(9200);
    expect(client.isConnected).toBe(false);
    sim.network.unblock(node.host, PROGRAM);
    expect(await wait(pool.get(OID, 1, { timeoutMs: 5000 }))).toBeNull();
    await end();
  });

  test("is not lost because nobody has asked it, or because it was slow once", async () => {
    const { sim, node, wait, client, pool, end } = await clientWorld({ timeoutMs: 2000 });
    sim.run(60_000);
    sim.network.block(node.host, PROGRAM);
    expect(await wait(outcomeOf(pool.get(OID, 1, { timeoutMs: 500 })))).toBe("TIMED_OUT");
    sim.run(1000);
    sim.network.unblock(node.host, PROGRAM);
    for (let second = 0; second < 30; second += 1) {
      sim.run(1000);
      expect(client.isConnected).toBe(true);
    }
    await end();
  });
});

describe("a call that waits in the queue", () => {
  test("stores the page and the key of the time of the call", async () => {
    const { wait, pool, end } = await clientWorld({ timeoutMs: 20_000 });
    const filling = fillWindow(pool);
    const oid: [bigint, bigint, bigint] = [1n, 2n, 3n];
    const key = { oid: oid as Oid, index: 7 };
    const [page, sent] = [pageOf(1), pageOf(2)];
    const resizable = new ArrayBuffer(PAGE_BYTES, { maxByteLength: 4 * PAGE_BYTES });
    const growing = new Uint8Array(resizable);
    growing.set(pageOf(3));
    const puts = [
      pool.put(key, page),
      pool.putMany([{ key: 8, page: sent }]).then(([result]) => result),
      pool.put(9, growing),
    ];
    const flush = pool.flushPages([{ oid, index: 99 }]);
    const get = pool.get({ oid, index: 7 });
    page.fill(9);
    key.index = 70;
    oid[2] = undefined as unknown as bigint;
    structuredClone(sent.buffer, { transfer: [sent.buffer as ArrayBuffer] });
    resizable.resize(4 * PAGE_BYTES);
    await wait(Promise.all(filling));
    for (const put of puts) expect(await wait(put)).toEqual({ stored: true });
    expect(await wait(flush)).toEqual([false]);
    expect(await wait(get)).toEqual(pageOf(1));
    expect(await wait(pool.get(8))).toEqual(pageOf(2));
    expect(await wait(pool.get(9))).toEqual(pageOf(3));
    await end();
  });

  test("has the key of the time of the call when it is sent again", async () => {
    const { sim, wait, pool, cut, end } = await clientWorld({ timeoutMs: 20_000 });
    await wait(pool.put(OID, 1, pageOf(1)));
    const oid: [bigint, bigint, bigint] = [OID[0], OID[1], OID[2]];
    const get = pool.get(oid, 1);
    sim.run(0);
    cut();
    oid[0] = -1n;
    expect(await wait(get)).toEqual(pageOf(1));
    await end();
  });

  test("is forgotten as soon as its signal is aborted", async () => {
    const { sim, client, end } = await clientWorld();
    const requester = new Requester(sim.clock, 60_000);
    const give = (signal: AbortSignal): WeakRef<object> => {
      const body = { bytes: new Uint8Array(1000) };
      const write = (): number => body.bytes.byteLength;
      const shape = { type: 1, count: 0, bodyBytesMax: 1000, again: true, read: () => {} };
      void outcomeOf(requester.request({ ...shape, write }, { signal }));
      return new WeakRef(body);
    };
    const alive = (refs: ReadonlyArray<WeakRef<object>>): number => {
      Bun.gc(true);
      return refs.filter((ref) => ref.deref() !== undefined).length;
    };
    const controllers = Array.from({ length: 200 }, () => new AbortController());
    const refs = controllers.map(({ signal }) => give(signal));
    await new Promise((resolve) => setImmediate(resolve));
    expect(alive(refs)).toBe(200);
    for (const controller of controllers) controller.abort();
    await new Promise((resolve) => setImmediate(resolve));
    // The collector takes a few words of the stack for references.
    expect(alive(refs)).toBeLessThan(20);
    expect(client.isConnected).toBe(true);
    await end();
  });
});

test("a signal has one listener, however many requests and calls share it", async () => {
  const { wait, client, pool, end } = await clientWorld({ timeoutMs: 20_000 });
  const map = new RemoteMap(await wait(client.newPool({ persistent: true, storeWhole: true })));
  const signal = new CountingSignal();
  const keys = Array.from({ length: 3000 }, (_, i) => i);
  await wait(pool.getMany(keys, { signal }));
  await wait(Promise.all(keys.slice(0, 20).map((key) => pool.get(key, { signal }))));
  expect(signal.listenersMax).toBe(1);
  const value = new Uint8Array(10);
  await wait(Promise.all(keys.slice(0, 20).map((key) => map.set(`${key}`, value, { signal }))));
  // The map has one of its own.
  expect(signal.listenersMax).toBe(2);
  expect(signal.listeners.size).toBe(0);
  const reason = new Error("enough");
  const calls = keys.slice(0, 20).map((key) => outcomeOf(pool.get(key, { signal })));
  const sets = keys.slice(0, 20).map((key) => outcomeOf(map.set(`${key}`, value, { signal })));
  signal.abort(reason);
  expect(new Set(await wait(Promise.all([...calls, ...sets])))).toEqual(new Set([reason]));
  expect(signal.listeners.size).toBe(0);
  await end();
});
