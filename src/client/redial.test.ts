/** What a program sees of a lost connection, in virtual time: calls, pools, time-outs, signals. */
import { describe, expect, test } from "bun:test";
import { clientWorld, OID, outcomeOf, PROGRAM, pageOf } from "../../harness/sim/client-world.ts";
import { SeededRandom } from "../core/random.ts";

describe("a lost connection", () => {
  test("is dialled again, and pools are open before what waits is sent", async () => {
    const { wait, client, pool, cut, end } = await clientWorld();
    expect(await wait(pool.put(OID, 1, pageOf(1)))).toEqual({ stored: true });
    for (let round = 0; round < 3; round += 1) {
      cut();
      const get = pool.get(OID, 1);
      const put = pool.put(OID, 2, pageOf(2, round));
      expect(await wait(get)).toEqual(pageOf(1));
      expect(await wait(put)).toEqual({ stored: true });
      expect(client.isConnected).toBe(true);
      expect(await wait(pool.get(OID, 2))).toEqual(pageOf(2, round));
    }
    await end();
  });

  test("rejects puts under way, and sends gets and flushes again in their order", async () => {
    const { sim, wait, pool, cut, end } = await clientWorld();
    await wait(pool.putMany([1, 2].map((index) => ({ oid: OID, index, page: pageOf(index) }))));
    const outcomes: string[] = [];
    const note = (name: string, promise: Promise<unknown>): Promise<unknown> =>
      outcomeOf(promise).then((outcome) => outcomes.push(`${name} ${JSON.stringify(outcome)}`));
    const all = [
      note(
        "get",
        pool.get(OID, 1).then((page) => page?.byteLength),
      ),
      note("put", pool.put(OID, 3, pageOf(3))),
      note("take", pool.get(OID, 2, { remove: "always" })),
      note("flush", pool.flushPage(OID, 1)),
      note("flush pool", pool.flush()),
      note("get", pool.get(OID, 1)),
    ];
    sim.run(0); // All are sent, and none is answered.
    cut();
    await wait(Promise.all(all));
    expect(outcomes.sort()).toEqual(
      [
        "flush true",
        'flush pool "CLOSED"',
        "get 4096",
        "get null",
        'put "CLOSED"',
        'take "CLOSED"',
      ].sort(),
    );
    await end();
  });

  test("does not let a put overtake a flush that is sent again", async () => {
    const { sim, wait, pool, cut, end } = await clientWorld();
    await wait(pool.put(OID, 1, pageOf(1)));
    const flush = pool.flushPage(OID, 1);
    sim.run(0);
    cut();
    const put = pool.put(OID, 1, pageOf(1, 2));
    expect(await wait(flush)).toBe(true);
    expect(await wait(put)).toEqual({ stored: true });
    expect(await wait(pool.get(OID, 1))).toEqual(pageOf(1, 2));
    await end();
  });

  test("sends again what was sent before what still waits for room", async () => {
    const { sim, wait, pool, cut, end } = await clientWorld();
    await wait(pool.put(OID, 1, pageOf(1)));
    const flush = pool.flushPage(OID, 1);
    // More than the other side may be asked for at once: the put is not sent yet.
    const gets = Array.from({ length: 1000 }, (_, index) => pool.get(OID, 1000 + index));
    const put = pool.put(OID, 1, pageOf(1, 2));
    sim.run(0);
    cut();
    expect(await wait(flush)).toBe(true);
    expect(await wait(put)).toEqual({ stored: true });
    expect(new Set(await wait(Promise.all(gets)))).toEqual(new Set([null]));
    expect(await wait(pool.get(OID, 1))).toEqual(pageOf(1, 2));
    await end();
  });

  test("destroying a pool succeeds when the node had done so before the answer was lost", async () => {
    const { sim, node, wait, pool, client, end } = await clientWorld();
    const before = node.node.ramster.pools().length;
    sim.network.cutAfter(node.host, PROGRAM, 3);
    expect(await outcomeOf(wait(pool.destroy()))).toBeUndefined();
    expect(node.node.ramster.pools().length).toBe(before - 1);
    expect(await outcomeOf(wait(pool.get(OID, 1)))).toBe("POOL_GONE");
    expect(client.isConnected).toBe(true);
    await end();
  });

  test("without redial is the end, as is close() with it", async () => {
    const { sim, wait, client, pool, end, dial, node } = await clientWorld();
    const once = await dial({ redial: false });
    const own = await wait(once.newPool({ persistent: true }));
    const under = outcomeOf(own.get(OID, 1));
    sim.run(0);
    sim.network.cut(PROGRAM, node.host);
    expect(await wait(under)).toBe("CLOSED");
    expect(await wait(outcomeOf(own.get(OID, 1)))).toBe("CLOSED");
    await wait(once.close());
    expect(await wait(pool.get(OID, 1))).toBeNull();
    await wait(client.close());
    expect(await wait(outcomeOf(pool.get(OID, 1)))).toBe("CLOSED");
    expect(sim.clock.pendingCount).toBeLessThan(20);
    await end();
  });
});

describe("a node", () => {
  test("that has restarted has none of the pools, and takes new ones", async () => {
    const { sim, node, wait, client, pool, end } = await clientWorld({ timeoutMs: 20_000 });
    const other = await wait(client.openPool(pool.id, await wait(pool.token())));
    await wait(pool.put(OID, 1, pageOf(1)));
    await node.stop();
    sim.until("the client has noticed", () => !client.isConnected);
    const waiting = [pool.get(OID, 1), other.put(OID, 1, pageOf(1)), pool.destroy()].map(outcomeOf);
    sim.run(500);
    await node.restart();
    expect(await wait(Promise.all(waiting))).toEqual(["POOL_GONE", "POOL_GONE", "POOL_GONE"]);
    expect(await wait(outcomeOf(pool.token()))).toBe("POOL_GONE");
    const next = await wait(client.newPool({ persistent: true }));
    expect(await wait(next.put(OID, 1, pageOf(1)))).toEqual({ stored: true });
    // It has the number of the old pool, which stays gone.
    expect(next.id).toBe(pool.id);
    expect(await wait(outcomeOf(pool.get(OID, 1)))).toBe("POOL_GONE");
    await wait(pool[Symbol.asyncDispose]());
    expect(await wait(next.get(OID, 1))).toEqual(pageOf(1));
    await end();
  });

  test("that stays away lets each call wait as long as its time-out says", async () => {
    const { sim, node, wait, client, pool } = await clientWorld();
    await node.stop();
    sim.until("the client has noticed", () => !client.isConnected);
    const ended: unknown[] = [];
    for (const timeoutMs of [undefined, 500, 1000]) {
      void outcomeOf(pool.get(OID, 1, { timeoutMs })).then((code) => ended.push(code));
    }
    const endedAfter = async (ms: number): Promise<number> => {
      sim.run(ms);
      await new Promise((resolve) => setImmediate(resolve));
      return ended.length;
    };
    expect(await endedAfter(490)).toBe(0);
    expect(await endedAfter(110)).toBe(1);
    expect(await endedAfter(390)).toBe(1);
    expect(await endedAfter(110)).toBe(2);
    expect(await endedAfter(890)).toBe(2);
    expect(await endedAfter(110)).toBe(3);
    expect(new Set(ended)).toEqual(new Set(["ADDRESS_UNREACHABLE"]));
    const last = outcomeOf(pool.get(OID, 1));
    await wait(client.close());
    expect(await wait(last)).toBe("CLOSED");
    const dialled = sim.clock.pendingCount;
    sim.run(10_000);
    expect(sim.clock.pendingCount).toBeLessThanOrEqual(dialled);
    await sim.stop();
  });

  test("that falls silent is dialled again once a call has waited for it", async () => {
    const { sim, node, wait, client, pool, end } = await clientWorld({ timeoutMs: 12_000 });
    await wait(pool.put(OID, 1, pageOf(1)));
    sim.network.block(PROGRAM, node.host);
    sim.network.block(node.host, PROGRAM);
    expect(await wait(outcomeOf(pool.get(OID, 1)))).toBe("TIMED_OUT");
    sim.run(10);
    expect(client.isConnected).toBe(false);
    sim.network.unblock(PROGRAM, node.host);
    sim.network.unblock(node.host, PROGRAM);
    expect(await wait(pool.get(OID, 1))).toEqual(pageOf(1));
    await end();
  });
});

describe("a signal", () => {
  const reason = new Error("enough");

  test("ends calls at once: before they are sent, under way, and without a connection", async () => {
    const { sim, node, wait, client, pool, end } = await clientWorld();
    await wait(pool.put(OID, 1, pageOf(1)));
    const aborted = AbortSignal.abort(reason);
    expect(await outcomeOf(pool.get(OID, 1, { signal: aborted }))).toBe(reason);
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [
      pool.get(OID, 1, { signal }),
      pool.putMany([{ oid: OID, index: 2, page: pageOf(2) }], { signal }),
      pool.flushPage(OID, 1, { signal }),
      client.stats({ signal }),
      client.newPool({ persistent: true, signal }),
      pool.token({ signal }),
    ].map(outcomeOf);
    sim.run(0);
    const sentMs = sim.clock.now();
    controller.abort(reason);
    expect(await Promise.all(calls)).toEqual(calls.map(() => reason));
    expect(sim.clock.now()).toBe(sentMs);
    // The late answers are ignored, and the connection goes on.
    expect(await wait(pool.get(OID, 2))).toEqual(pageOf(2));
    expect(await wait(pool.get(OID, 1))).toBeNull();
    await node.stop();
    const second = new AbortController();
    const waiting = outcomeOf(pool.get(OID, 1, { signal: second.signal }));
    sim.run(100);
    second.abort(reason);
    expect(await waiting).toBe(reason);
    await end();
  });

  test("ends connecting, and does nothing to the client later", async () => {
    const { sim, node, dial, wait, end } = await clientWorld();
    const controller = new AbortController();
    const later = await dial({ signal: controller.signal });
    controller.abort(reason);
    expect((await wait(later.stats())).node.name).toBe("n0");
    await wait(later.close());
    sim.network.block(PROGRAM, node.host);
    const second = new AbortController();
    const dialling = outcomeOf(dial({ signal: second.signal }));
    sim.run(10);
    second.abort(reason);
    expect(await dialling).toBe(reason);
    expect(await outcomeOf(dial({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    sim.network.unblock(PROGRAM, node.host);
    await end();
  });

  test("leaves no listener behind", async () => {
    const { wait, pool, end } = await clientWorld();
    let listeners = 0;
    const signal = {
      aborted: false,
      reason: null,
      addEventListener: () => {
        listeners += 1;
      },
      removeEventListener: () => {
        listeners -= 1;
      },
    };
    await wait(pool.put(OID, 1, pageOf(1), { signal }));
    await wait(pool.get(OID, 1, { signal }));
    await outcomeOf(pool.put("a", new Uint8Array(1), { signal }));
    expect(listeners).toBe(0);
    await end();
  });
});

test("await using closes a client, and destroys a pool that nobody else can have", async () => {
  const { node, wait, client, pool, dial, end } = await clientWorld();
  const count = (): number => node.node.ramster.pools().length;
  const before = count();
  const own = await wait(client.newPool({ persistent: true }));
  const shared = await wait(client.newPool({ persistent: true }));
  const token = await wait(shared.token());
  const opened = await wait((await dial()).openPool(shared.id, token));
  expect(count()).toBe(before + 2);
  for (const it of [own, own, shared, opened]) await wait(it[Symbol.asyncDispose]());
  expect(count()).toBe(before + 1);
  expect(await wait(opened.get(OID, 1))).toBeNull();
  await wait(client[Symbol.asyncDispose]());
  expect(await wait(outcomeOf(pool.get(OID, 1)))).toBe("CLOSED");
  await end();
});

test("whatever is cut at whatever time, what was stored is there and nothing else", async () => {
  for (let seed = 1; seed <= 8; seed += 1) {
    const { sim, node, wait, pool, end } = await clientWorld({ timeoutMs: 60_000 }, seed);
    const random = new SeededRandom(seed);
    const draw = (limit: number): number => random.u32() % limit;
    /** By page: the generations that it may have; 0 is none. */
    const may = new Map<number, Set<number>>();
    for (let step = 1; step <= 40; step += 1) {
      const number = draw(5);
      const known = may.get(number) ?? new Set([0]);
      if (draw(4) === 0) sim.network.cutAfter(node.host, PROGRAM, draw(9000));
      if (draw(6) === 0) sim.network.cutAfter(PROGRAM, node.host, draw(9000));
      if (draw(2) === 0) {
        const outcome = await wait(outcomeOf(pool.put(number, pageOf(number, step))));
        if (outcome === "CLOSED") may.set(number, new Set([...known, step]));
        else expect(outcome).toEqual({ stored: true });
        if (outcome !== "CLOSED") may.set(number, new Set([step]));
      } else {
        const page = await wait(pool.get(number));
        const seen = [...known].find((generation) => {
          return generation === 0
            ? page === null
            : page !== null && Buffer.compare(page, pageOf(number, generation)) === 0;
        });
        if (seen === undefined) throw new Error(`seed ${seed}, step ${step}: a wrong page`);
        may.set(number, new Set([seen]));
      }
    }
    await end();
  }
});
