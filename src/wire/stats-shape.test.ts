import { expect, test } from "bun:test";
import { SimCluster } from "../../harness/sim/cluster.ts";
import { drive } from "../../harness/sim/drive.ts";
import { parseEvents, parseStats } from "./stats-shape.ts";

/** Neither a value of a report, nor a list or a map of some. */
const WRONG = [[]];

/** The paths of all values, and the report with a wrong one there. */
function* spoilt(value: unknown, path = ""): Generator<[string, unknown]> {
  yield [path, WRONG];
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    for (const [at, wrong] of spoilt(inner, `${path}/${name}`)) {
      yield [
        at,
        Array.isArray(value) ? value.with(Number(name), wrong) : { ...value, [name]: wrong },
      ];
    }
  }
}

test("the report of a node is one, and is none with a wrong value anywhere", async () => {
  const sim = new SimCluster(1);
  await sim.startGossiping([{}, {}]);
  const report = () => JSON.parse(sim.node(0).node.admin.statsPart(0));
  expect(sim.clock.runUntil(() => report().peers.length === 1, 60_000)).toBe(true);
  const stats = report();
  expect([stats.members.length, stats.peers.length]).toEqual([2, 1]);
  expect(parseStats(JSON.stringify(stats))).toEqual(stats);
  let count = 0;
  for (const [path, wrong] of spoilt(stats)) {
    count += 1;
    expect(() => parseStats(JSON.stringify(wrong)), path).toThrow("it is not a report of stats");
  }
  expect(count).toBeGreaterThan(200);
  const { verdict: _, findings: __, pools: ___, ...earlier } = stats;
  const later = { ...earlier, more_yet: WRONG };
  expect(parseStats(JSON.stringify(later))).toEqual(later);
  await drive(sim.clock, sim.stop());
});

test("a text that is no report is refused as such", () => {
  for (const text of ["", "x", "null", "[]", '{"events":[{}],"boot_id":""}']) {
    const error = { code: "BAD_FRAME" };
    expect(() => parseStats(text)).toThrow(expect.objectContaining(error));
    expect(() => parseEvents(text)).toThrow(expect.objectContaining(error));
  }
  const event = { number: 1, kind: "joined", text: "t", age_ms: 2 };
  const events = { boot_id: "1", events: [event] };
  expect(parseEvents(JSON.stringify(events))).toEqual(events as ReturnType<typeof parseEvents>);
});
