/** Rules for whole nodes that come and go: see sim/churn.ts. More seeds: `bun run soak`. */
import { describe, expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import { churn, type Trouble } from "../sim/churn.ts";
import { SimCluster } from "../sim/cluster.ts";

const SEEDS = [1];
/** The seed is also the number of copies. */
const COPIES = [1, 2, 3];
const ONE = { replicas: 1 };
const LONG_MS = 600_000;
/** Shorter than some of the partitions. */
const SHORT_MS = 20_000;

describe("a cluster of whole nodes", () => {
  test.each(SEEDS)(
    "whose nodes are cut off and return in time loses nothing, seed %d",
    async (seed) => {
      const troubles: Trouble[] = ["partition"];
      expect(await churn({ ...ONE, seed, troubles, foreignGraceMs: LONG_MS })).toBe(0);
    },
  );

  test.each(SEEDS)(
    "whose nodes are cut off for too long reports what is lost, seed %d",
    async (seed) => {
      await churn({ ...ONE, seed, troubles: ["partition"], foreignGraceMs: SHORT_MS });
    },
  );

  test.each(SEEDS)("whose nodes crash and restart leaves no orphan, seed %d", async (seed) => {
    const troubles: Trouble[] = ["crash"];
    const lost = await churn({ ...ONE, seed, troubles, foreignGraceMs: LONG_MS });
    expect(lost).toBeGreaterThan(0);
  });

  test.each(SEEDS)("whose nodes leave and join leaves no orphan, seed %d", async (seed) => {
    await churn({ ...ONE, seed, troubles: ["stop"], foreignGraceMs: LONG_MS });
  });

  test.each(COPIES)("with all of that at once, seed %d", async (seed) => {
    const troubles: Trouble[] = ["crash", "stop", "partition"];
    const foreignGraceMs = seed % 2 === 0 ? LONG_MS : SHORT_MS;
    await churn({ seed, troubles, foreignGraceMs, replicas: seed });
  });

  test.each(COPIES)("with all of that at once and sealed pages, seed %d", async (seed) => {
    const troubles: Trouble[] = ["crash", "stop", "partition"];
    await churn({ seed, troubles, foreignGraceMs: LONG_MS, replicas: seed, seal: true });
  });

  test.each(COPIES)("with slow, full and failing disks, seed %d", async (seed) => {
    const troubles: Trouble[] = ["crash", "stop", "partition"];
    await churn({ seed, troubles, foreignGraceMs: LONG_MS, replicas: seed, disks: true });
  });
});

test("requests to a node that lost power fail in two seconds, and at once when it is dead", async () => {
  const sim = new SimCluster(1);
  const lent = { lendBytes: 16 * 1024 * 1024 };
  await sim.startGossiping([{ replicas: 1 }, lent, lent]);
  const [a, b, c] = [sim.node(0), sim.node(1), sim.node(2)];
  const pool = a.newPool({ persistent: true });
  for (let number = 0; number < 1500; number += 1) {
    sim.until("it is stored", () => a.put(pool, number, 1) === STATUS.OK);
  }
  sim.until("pages are away", () => a.counter("frames_in_flight") === 0);
  b.crash();
  const slowest = (): { away: number; ms: number } => {
    let [away, ms] = [0, 0];
    const gets = Array.from({ length: 200 }, (_, i) => a.startGet(pool, 7 * i));
    const startMs = sim.clock.now();
    for (const get of gets) {
      const got = a.wait(get);
      if (got === "away") away += 1;
      else expect(got).toBe(1);
      ms = Math.max(ms, sim.clock.now() - startMs);
    }
    return { away, ms };
  };
  const suspected = slowest();
  expect(suspected.away).toBeGreaterThan(10);
  expect(suspected.away).toBeLessThan(200);
  expect(suspected.ms).toBeLessThan(2200);
  const crashedMs = sim.clock.now();
  const isDead = (line: string): boolean => line.endsWith('member "n1" is dead');
  sim.until("both take it for dead", () => [a, c].every((node) => node.log.some(isDead)));
  expect(sim.clock.now() - crashedMs).toBeLessThan(6000);
  const dead = slowest();
  expect(dead.away).toBe(suspected.away);
  expect(dead.ms).toBeLessThan(100);
  await sim.stop();
});
