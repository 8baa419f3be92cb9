/**
 * The acceptance scenarios of docs/original.md, "topologies and scenarios", by number, on whole
 * nodes under virtual time. Scenarios 8 and 14 need several copies: processes/acceptance.test.ts.
 * Scenario 9 is here as far as one copy goes.
 */
import { describe, expect, test } from "bun:test";
import { Lz4 } from "../../src/compress/lz4.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { TAG } from "../../src/tmem/pampd.ts";
import { LOCAL_CLIENT } from "../../src/tmem/tmem.ts";
import { loadPageClass } from "../pages/load.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const MIB = 1024 * 1024;

const lz4 = await Lz4.load(new HeapMemory());
const scratch = new Uint8Array(8192);

async function cluster(
  settings: ReadonlyArray<Partial<NodeConfig>>,
  seed = 1,
): Promise<SimCluster> {
  const sim = new SimCluster(seed);
  await sim.start(settings);
  return sim;
}

const SERVER: Partial<NodeConfig> = { lendBytes: 64 * MIB };

/** Puts pages 0 .. count - 1, a few at a time, so that remotify keeps up and none is refused. */
function fill(sim: SimCluster, node: SimNode, pool: number, count: number, generation = 1): void {
  for (let number = 0; number < count; number += 1) {
    if (node.node.ramster.mustWait()) {
      sim.until("room", () => !node.node.ramster.mustWait());
    }
    expect(node.put(pool, number, generation)).toBe(STATUS.OK);
    if (number % 16 === 15) sim.run(1);
  }
  sim.until("remotify is done", () => node.counter("frames_in_flight") === 0);
}

/** The same over a link that keeps breaking: refused puts are tried again. */
function fillStubbornly(
  sim: SimCluster,
  node: SimNode,
  pool: number,
  count: number,
  generation: number,
): void {
  for (let number = 0; number < count; number += 1) {
    sim.until("the page is stored", () => node.put(pool, number, generation) === STATUS.OK);
    if (number % 16 === 15) sim.run(1);
  }
}

function remotePages(node: SimNode): number {
  return node.counter("remote_pers_pages") + node.counter("remote_eph_pages");
}

function foreignPages(node: SimNode): number {
  return node.counter("foreign_pers_pages") + node.counter("foreign_eph_pages");
}

/** Nothing is in flight, no flush is pending, and owner and holder agree on remote pages. */
function settle(sim: SimCluster): void {
  sim.until("the cluster is quiet", () => {
    const pending = sim.nodes.reduce((sum, node) => sum + node.counter("flnodes"), 0);
    const inFlight = sim.nodes.reduce((sum, node) => {
      return sum + node.counter("frames_in_flight") + node.counter("fetches_in_flight");
    }, 0);
    return pending + inFlight === 0;
  });
  sim.verify();
  for (const node of sim.nodes) {
    expect(node.counter("pers_zombie_count") + node.counter("eph_zombie_count")).toBe(0);
  }
}

describe("scenario 1: single node", () => {
  test("the store follows the coherency contract with remotify off", async () => {
    const sim = await cluster([{ target: null }]);
    const a = sim.node(0);
    const pers = a.newPool({ persistent: true });
    const eph = a.newPool({ persistent: false });
    expect(a.put(pers, 1, 1)).toBe(STATUS.OK);
    expect([a.get(pers, 1), a.get(pers, 1)]).toEqual([1, 1]); // Not exclusive.
    expect(a.put(pers, 1, 2)).toBe(STATUS.OK);
    expect(a.get(pers, 1)).toBe(2);
    expect(a.get(pers, 1, 1)).toBe(2); // get_and_free
    expect([a.get(pers, 1), a.get(pers, 1)]).toEqual(["miss", "miss"]);
    a.put(eph, 1, 1);
    expect([a.get(eph, 1, -1), a.get(eph, 1), a.get(eph, 1)]).toEqual([1, 1, "miss"]);
    a.put(pers, 1, 3);
    a.put(pers, 2, 3);
    expect(a.flush(pers, 1)).toBe(STATUS.OK);
    expect(a.flush(pers, 1)).toBe(STATUS.NOT_FOUND);
    expect([a.get(pers, 1), a.get(pers, 2)]).toEqual(["miss", 3]);
    a.flushObject(pers, 2);
    expect(a.get(pers, 2)).toBe("miss");
    a.put(pers, 5, 1);
    expect(a.node.ramster.flushPool(pers, { destroy: true })).toBe(STATUS.OK);
    expect(a.put(pers, 5, 1)).toBe(STATUS.UNKNOWN_POOL);
    expect(a.counter("frames_used")).toBe(0);
    a.verify();
    await sim.stop();
  });
});

describe("scenario 2: overflow pair", () => {
  test("pages go to the holder, gets by the owner succeed, and a flush empties the holder", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 2000);
    settle(sim);
    expect(remotePages(a)).toBeGreaterThan(1000);
    expect(foreignPages(b)).toBe(remotePages(a));
    for (let number = 0; number < 2000; number += 1) expect(a.get(pool, number)).toBe(1);
    expect(a.counter("remote_pers_pages_succ_get")).toBeGreaterThan(1000);
    settle(sim);
    for (let number = 0; number < 1000; number += 1) a.flush(pool, number);
    settle(sim);
    expect(foreignPages(b)).toBe(remotePages(a));
    a.node.ramster.flushPool(pool, { destroy: false });
    settle(sim);
    expect([remotePages(a), foreignPages(b), a.counter("frames_used")]).toEqual([0, 0, 0]);
    expect(b.counter("foreign_frames_used")).toBe(0);
    await sim.stop();
  });
});

describe("scenario 3: symmetric pair", () => {
  test("the same pool id and handle on two nodes name different pages", async () => {
    const sim = await cluster([{ target: 1 }, { target: 0 }]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const poolA = a.newPool({ persistent: true });
    const poolB = b.newPool({ persistent: true });
    expect(poolA).toBe(poolB);
    fill(sim, a, poolA, 1500, 1);
    fill(sim, b, poolB, 1500, 2);
    settle(sim);
    expect(remotePages(a)).toBeGreaterThan(500);
    expect(remotePages(b)).toBeGreaterThan(500);
    expect([foreignPages(a), foreignPages(b)]).toEqual([remotePages(b), remotePages(a)]);
    for (let number = 0; number < 1500; number += 1) {
      expect(a.get(poolA, number)).toBe(1);
      expect(b.get(poolB, number)).toBe(2);
    }
    settle(sim);
    a.node.ramster.flushPool(poolA, { destroy: true });
    settle(sim);
    for (let number = 0; number < 1500; number += 1) expect(b.get(poolB, number)).toBe(2);
    await sim.stop();
  });
});

describe("scenario 4: RAM server", () => {
  test("three clients of one server keep their pages apart", async () => {
    const client = { target: 0, lendBytes: 0 };
    const sim = await cluster([SERVER, client, client, client]);
    const clients = sim.nodes.slice(1);
    const pools = clients.map((node) => node.newPool({ persistent: true }));
    for (const [i, node] of clients.entries()) fill(sim, node, pools[i] ?? 0, 1200, i + 1);
    settle(sim);
    const away = clients.reduce((sum, node) => sum + remotePages(node), 0);
    expect(foreignPages(sim.node(0))).toBe(away);
    for (const [i, node] of clients.entries()) {
      for (let number = 0; number < 1200; number += 1) {
        expect(node.get(pools[i] ?? 0, number)).toBe(i + 1);
      }
    }
    await sim.stop();
  });
});

describe("scenario 5: idle owner", () => {
  test("selfshrink brings the foreign count to zero once there is room", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0, selfshrink: true }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 900);
    settle(sim);
    expect(foreignPages(b)).toBeGreaterThan(100);
    for (let number = 300; number < 900; number += 1) a.flush(pool, number);
    sim.run(30_000);
    expect(foreignPages(b)).toBeGreaterThan(0); // Slowly, as the original.
    sim.run(600_000);
    expect([foreignPages(b), remotePages(a)]).toEqual([0, 0]);
    for (let number = 0; number < 300; number += 1) expect(a.get(pool, number)).toBe(1);
    settle(sim);
    await sim.stop();
  });
});

describe("scenario 6: holder evicts foreign ephemeral pages", () => {
  test("a get by the owner misses, and so do further gets until a put", async () => {
    const owner = { target: 1, lendBytes: 0, remotifyEph: true };
    const sim = await cluster([owner, { lendBytes: MIB }]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: false });
    for (let number = 0; number < 3000; number += 1) {
      a.put(pool, number, 1);
      if (number % 8 === 7) sim.run(2);
    }
    settle(sim);
    expect(b.counter("foreign_evicted_eph_zpages")).toBeGreaterThan(0);
    let misses = 0;
    let hits = 0;
    for (let number = 0; number < 3000; number += 1) {
      const first = a.get(pool, number);
      if (first === "miss") {
        misses += 1;
        expect(a.get(pool, number)).toBe("miss");
      } else {
        hits += 1;
        expect(first).toBe(1);
        expect(a.get(pool, number)).toBe("miss"); // Exclusive.
      }
    }
    expect(misses).toBeGreaterThan(0);
    expect(hits).toBeGreaterThan(0);
    expect(a.counter("remote_eph_pages_unsucc_get")).toBeGreaterThan(0);
    a.put(pool, 0, 2);
    expect(a.get(pool, 0)).toBe(2);
    settle(sim);
    expect([remotePages(a), foreignPages(b)]).toEqual([0, 0]);
    await sim.stop();
  });
});

describe("scenario 7: put or flush while a page travels", () => {
  test("a remote put in flight never makes a newer page stale, and leaves no orphan", async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER], seed);
      const [a, b] = [sim.node(0), sim.node(1)];
      const pool = a.newPool({ persistent: true });
      fill(sim, a, pool, 500);
      for (let number = 500; number < 560; number += 1) a.put(pool, number, 1);
      const underWay = (): boolean => a.counter("frames_in_flight") > 0;
      expect(sim.clock.runUntil(underWay, 1000)).toBe(true);
      for (let number = 0; number < 560; number += 2) a.put(pool, number, 2);
      for (let number = 1; number < 560; number += 2) a.flush(pool, number);
      settle(sim);
      expect(a.counter("remotify_raced")).toBeGreaterThan(0);
      for (let number = 0; number < 560; number += 1) {
        const got = a.get(pool, number);
        if (number % 2 === 1) expect(got).toBe("miss");
        else if (got !== "miss") expect(got).toBe(2); // A put may have been refused; never stale.
      }
      settle(sim);
      expect(foreignPages(b)).toBe(remotePages(a));
      a.node.ramster.flushPool(pool, { destroy: true });
      settle(sim);
      expect(foreignPages(b)).toBe(0);
      await sim.stop();
    }
  });

  test("a page that is put again into the frame that it is sent from has the new bytes", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0, persZpageMeanBytes: 3584 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    const alone = Array.from({ length: 245 }, (_, i) => 10 + 11 * i); // One a frame.
    fill(sim, a, pool, 10);
    for (const number of alone) a.put(pool, number, 1);
    expect(sim.clock.runUntil(() => a.counter("frames_in_flight") > 0, 1000)).toBe(true);
    for (const number of alone) expect(a.put(pool, number, 2)).toBe(STATUS.OK);
    settle(sim);
    expect(a.counter("remotify_raced")).toBeGreaterThan(0);
    for (const number of alone) expect(a.get(pool, number)).toBe(2);
    settle(sim);
    expect(foreignPages(b)).toBe(remotePages(a));
    await sim.stop();
  });

  test("a get in flight is served the newer page, or misses after a flush", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 1500);
    settle(sim);
    const reput = a.startGet(pool, 0);
    const flushed = a.startGet(pool, 1);
    const both = [a.startGet(pool, 2), a.startGet(pool, 2), a.startGet(pool, 2, 1)];
    const late = a.startGet(pool, 2);
    a.put(pool, 0, 2);
    a.flush(pool, 1);
    expect(a.wait(reput)).toBe(2);
    expect(a.wait(flushed)).toBe("miss");
    expect(both.map((pending) => a.wait(pending))).toEqual([1, 1, 1]);
    expect(a.wait(late)).toBe("miss"); // The third get removed the page.
    expect(a.counter("fetch_shared")).toBe(3);
    expect(a.counter("fetch_raced")).toBe(2);
    settle(sim);
    expect(foreignPages(b)).toBe(remotePages(a));
    await sim.stop();
  });
});

describe("scenario 9: holder restarted empty", () => {
  test("a get of a page that the holder lost is an error and never a miss", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 1500);
    settle(sim);
    const before = remotePages(a);
    b.crash();
    const early = a.startGet(pool, 0);
    await b.restart();
    expect(["away", "lost"]).toContain(a.wait(early) as string);
    sim.until("the link is up again", () => a.get(pool, 0) === "lost");
    expect(a.get(pool, 0)).toBe("lost");
    expect(a.counter("remote_pers_pages_unsucc_get")).toBeGreaterThan(0);
    // The owner has learnt which pages are lost, without a request for each.
    sim.until("it knows what is gone", () => a.counter("remote_pers_pages_lost") === before);
    const report = `${before} pages are lost: "n1" had their only copies and lost them`;
    expect(a.log.at(-1)).toEndWith(`ramster: ${report}`);
    for (const number of [1, 2, 500]) expect(a.get(pool, number)).toBe("lost");
    expect(a.get(pool, 1499)).toBe(1); // The newest page never left.
    a.put(pool, 0, 2);
    expect(a.get(pool, 0)).toBe(2);
    fill(sim, a, pool, 1500, 3);
    for (let number = 0; number < 1500; number += 1) expect(a.get(pool, number)).toBe(3);
    settle(sim);
    expect(foreignPages(b)).toBe(remotePages(a));
    await sim.stop();
  });
});

test("ephemeral pages at a holder that restarted are a miss, and new ones may go there", async () => {
  const sim = await cluster([{ target: 1, lendBytes: 0, remotifyEph: true }, SERVER]);
  const [a, b] = [sim.node(0), sim.node(1)];
  const pool = a.newPool({ persistent: false });
  fill(sim, a, pool, 1500);
  settle(sim);
  expect(remotePages(a)).toBeGreaterThan(0);
  const old = a.node.links.channelOf(1);
  b.crash();
  sim.run(3000);
  await b.restart();
  sim.until("the old link is gone", () => a.node.links.channelOf(1) !== old);
  a.node.links.want(1);
  // Other pages may have gone there since.
  sim.until("it knows what is gone", () => foreignPages(b) === remotePages(a));
  settle(sim);
  expect(a.get(pool, 0)).toBe("miss");
  fill(sim, a, pool, 1500, 2);
  settle(sim);
  expect(foreignPages(b)).toBe(remotePages(a));
  a.verify();
  await sim.stop();
});

describe("scenario 10: owner restarted", () => {
  test("its old foreign pages are purged when it returns", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    fill(sim, a, a.newPool({ persistent: true }), 1500);
    settle(sim);
    expect(foreignPages(b)).toBeGreaterThan(0);
    a.crash();
    await a.restart();
    const pool = a.newPool({ persistent: true });
    a.node.links.want(1);
    sim.until("purged", () => foreignPages(b) === 0);
    expect(b.counter("foreign_purged_pages")).toBeGreaterThan(0);
    fill(sim, a, pool, 1500, 2);
    for (let number = 0; number < 1500; number += 1) expect(a.get(pool, number)).toBe(2);
    settle(sim);
    await sim.stop();
  });
});

describe("scenario 11: link down", () => {
  test("local operations continue, no frame stays a zombie, and remotify resumes", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 600);
    settle(sim);
    sim.partition([a], [b]);
    let refused = 0;
    for (let number = 600; number < 1400; number += 1) {
      if (a.put(pool, number, 1) !== STATUS.OK) refused += 1;
      if (number % 16 === 0) sim.run(50);
    }
    expect(refused).toBeGreaterThan(0); // Full, and nowhere to go: the caller gets an error.
    sim.until("requests have timed out", () => a.counter("frames_in_flight") === 0);
    expect(a.get(pool, 600)).toBe(1);
    a.verify();
    const before = remotePages(a);
    sim.heal([a], [b]);
    sim.network.cut(a.host, b.host);
    sim.until("remotify resumes", () => remotePages(a) > before);
    settle(sim);
    expect(foreignPages(b)).toBe(remotePages(a));
    fill(sim, a, pool, 1400, 2);
    for (let number = 0; number < 1400; number += 1) expect(a.get(pool, number)).toBe(2);
    await sim.stop();
  });

  test("a target that lends nothing refuses puts, without a lost page or a pending flush", async () => {
    const sim = await cluster([{ target: 1 }, { lendBytes: 0 }]);
    const a = sim.node(0);
    const pool = a.newPool({ persistent: true });
    const stored = new Set<number>();
    for (let number = 0; number < 900; number += 1) {
      if (a.put(pool, number, 1) === STATUS.OK) stored.add(number);
      if (number % 16 === 15) sim.run(5);
    }
    sim.run(10_000);
    settle(sim);
    expect(stored.size).toBeLessThan(900);
    expect([remotePages(a), a.counter("flnodes")]).toEqual([0, 0]);
    for (const number of stored) expect(a.get(pool, number)).toBe(1);
    await sim.stop();
  });

  test("a page that a holder took, but whose answer was lost, is flushed there", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    a.node.links.want(1);
    sim.until("the link is up", () => a.node.links.channelOf(1) !== null);
    sim.network.block(b.host, a.host); // Puts arrive, answers do not.
    for (let number = 0; number < 500; number += 1) a.put(pool, number, 1);
    sim.until("the holder has some", () => foreignPages(b) > 0);
    a.node.ramster.setTarget(null);
    sim.until("given up", () => a.counter("frames_in_flight") === 0);
    expect(remotePages(a)).toBe(0);
    sim.network.unblock(b.host, a.host);
    sim.until("flushed", () => foreignPages(b) === 0);
    settle(sim);
    for (let number = 0; number < 100; number += 1) expect(a.get(pool, number)).toBe(1);
    await sim.stop();
  });

  test("a flush that is sent again never takes a copy that was put after it", async () => {
    // Answers arrive between the deadline of the flush and that of the put behind it.
    for (let ms = 4000; ms < 4300; ms += 50) {
      const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
      const [a, b] = [sim.node(0), sim.node(1)];
      const pool = a.newPool({ persistent: true });
      a.node.links.want(1);
      sim.until("the link is up", () => a.node.links.channelOf(1) !== null);
      sim.network.block(b.host, a.host);
      const stored: number[] = [];
      for (let number = 0; number < 480; number += 1) {
        if (a.put(pool, number, 1) === STATUS.OK) stored.push(number);
      }
      sim.run(ms);
      sim.network.unblock(b.host, a.host);
      settle(sim);
      for (const number of stored) expect(a.get(pool, number)).toBe(1);
      await sim.stop();
    }
  });

  test("a get whose link is cut is sent again, even with nothing else to send", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 1000);
    settle(sim);
    a.node.ramster.setTarget(null);
    sim.run(1000);
    const pending = a.startGet(pool, 0);
    sim.run(0.01);
    sim.network.cut(a.host, b.host);
    expect(a.wait(pending)).toBe(1);
    await sim.stop();
  });

  test("a link that is cut again and again while pages move loses nothing", async () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER], seed);
      const [a, b] = [sim.node(0), sim.node(1)];
      const pool = a.newPool({ persistent: true });
      for (let round = 1; round <= 8; round += 1) {
        sim.network.cutAfter(a.host, b.host, 200_000 * round);
        fillStubbornly(sim, a, pool, 800, round);
        sim.network.cut(a.host, b.host);
        for (let number = 0; number < 800; number += 37) expect(a.get(pool, number)).toBe(round);
      }
      sim.until("flushes are through", () => a.counter("flnodes") === 0);
      settle(sim);
      expect(foreignPages(b)).toBe(remotePages(a));
      await sim.stop();
    }
  });
});

describe("scenario 12: retarget and unset live", () => {
  test("old pages stay where they are and reachable, and new ones go to the new target", async () => {
    const sim = await cluster([{ target: 1, lendBytes: 0 }, SERVER, SERVER]);
    const [a, b, c] = [sim.node(0), sim.node(1), sim.node(2)];
    const pool = a.newPool({ persistent: true });
    fill(sim, a, pool, 1000);
    settle(sim);
    const atB = foreignPages(b);
    a.node.ramster.setTarget(2);
    for (let number = 1000; number < 2000; number += 1) {
      a.put(pool, number, 1);
      if (number % 8 === 0) sim.run(2);
    }
    settle(sim);
    expect(foreignPages(b)).toBe(atB);
    expect(foreignPages(c)).toBeGreaterThan(500);
    a.node.ramster.setTarget(null);
    const atC = foreignPages(c);
    for (let number = 2000; number < 2200; number += 1) a.put(pool, number, 1);
    sim.run(5000);
    expect([foreignPages(b), foreignPages(c)]).toEqual([atB, atC]);
    for (let number = 0; number < 2000; number += 1) expect(a.get(pool, number)).toBe(1);
    settle(sim);
    await sim.stop();
  });
});

describe("scenario 13: the largest zpage", () => {
  test("zpages of 4000 bytes and whole pages travel and come back", async () => {
    const owner = { target: 1, lendBytes: 0, persZpageBytesMax: 4000, persZpageMeanBytes: 4000 };
    const sim = await cluster([owner, SERVER]);
    const [a, b] = [sim.node(0), sim.node(1)];
    const pool = a.newPool({ persistent: true, storeWhole: true });
    const pages = [largestZpage(), incompressible()];
    for (let round = 0; round < 300; round += 1) {
      for (const [i, page] of pages.entries()) {
        if (a.node.ramster.mustWait()) sim.until("room", () => !a.node.ramster.mustWait());
        expect(a.node.ramster.put(a.at(pool, round * 2 + i), page, 0)).toBe(STATUS.OK);
      }
      sim.run(1);
    }
    settle(sim);
    expect(foreignPages(b)).toBeGreaterThan(200);
    expect(a.counter("stored_whole")).toBe(300); // The others are zpages.
    for (const bytes of [4000, PAGE_BYTES]) {
      expect(remoteZpages(a, pool, 600, bytes)).toBeGreaterThan(100);
    }
    for (let number = 0; number < 600; number += 1) {
      const pending = a.startGet(pool, number);
      sim.until("the page is here", () => a.results.has(pending.token));
      expect(a.results.get(pending.token)).toBe(STATUS.OK);
      expect(Buffer.compare(pending.target, pages[number % 2] ?? pending.target)).toBe(0);
    }
    expect(a.counter("remote_pers_pages_succ_get")).toBeGreaterThan(200);
    await sim.stop();
  });
});

/** Counts the remote pages among the first `count` whose zpages have this size. */
function remoteZpages(node: SimNode, poolId: number, count: number, bytes: number): number {
  const { tmem } = node.node.ramster.zcache;
  const pool = tmem.pool(LOCAL_CLIENT, poolId);
  if (pool === null) throw new Error(`no pool ${poolId}`);
  return Array.from({ length: count }, (_, number) => tmem.find(pool, node.at(poolId, number)))
    .filter((page) => tmem.tag(page) === TAG.REMOTE)
    .filter((page) => tmem.zpageBytes(page) === bytes).length;
}

function incompressible(): Uint8Array {
  const page = new Uint8Array(4096);
  let state = 1;
  for (let i = 0; i < page.length; i += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    page[i] = state >>> 16;
  }
  return page;
}

/** A page that lz4 compresses to exactly 4000 bytes. */
function largestZpage(): Uint8Array {
  const { pages } = loadPageClass("near-limit");
  for (let at = 0; at < pages.byteLength; at += PAGE_BYTES) {
    if (lz4.compress(pages, at, scratch, 0, 4000) === 4000) return pages.slice(at, at + PAGE_BYTES);
  }
  throw new Error("no page of 4000 bytes in fixtures/pages");
}
