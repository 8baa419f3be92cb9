/** A node whose pages have nowhere to go, and what it logs: whole nodes under virtual time. */
import { expect, test } from "bun:test";
import { STATUS } from "../../src/core/status.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { LENDER } from "../sim/borrowing.ts";
import { SimCluster, type SimNode } from "../sim/cluster.ts";

const ALONE: Partial<NodeConfig> = { lendBytes: 0 };
const SERVER: Partial<NodeConfig> = {
  role: "server",
  memoryBytes: 0,
  lendBytes: 16 * 1024 * 1024,
  target: null,
};

async function gossiping(settings: ReadonlyArray<Partial<NodeConfig>>) {
  const sim = new SimCluster(1);
  await sim.startGossiping(settings);
  sim.run(60_000);
  return { sim, node: sim.node(0) };
}

/** Lines of the log about it. */
function warnings(node: SimNode): string[] {
  return node.log.filter((it) => it.includes("to go")).map((it) => it.replace(/^.*?ramster: /, ""));
}

function reason(node: SimNode): string | null {
  return node.node.admin.snapshot().nowhere;
}

const NO_LENDER = "no node lends anything, start a lender (ramster server) and join it";
const TWO_ZONES =
  '--replicas 2 needs lenders in 2 zones and there are 1, start one or run "ramster set replicas auto"';
const NO_TARGET =
  'the target is none, set --target auto or "ramster set remote_target_nodenum auto"';
const ONE_COPY = "ONE COPY: a page that moves away gets one copy; add a lender in another zone";
const HELD = 'moving pages away is off, switch it on with "ramster set pers_remotify_enable 1"';

test.each([
  ["sees no lender", [ALONE], NO_LENDER],
  ["wants lenders of more zones than there are", [{ ...ALONE, replicas: 2 }, LENDER], TWO_ZONES],
  ["has no target", [{ ...ALONE, target: null }, LENDER], NO_TARGET],
  ["keeps persistent pages", [{ ...ALONE, remotifyPers: false }, LENDER], HELD],
  ["has a lender", [ALONE, LENDER], null],
  ["has a disk", [{ ...ALONE, spillPath: "disk", spillBytes: 2 ** 20 }], null],
  ["is a server that no program uses", [SERVER], null],
] as const)("a node that %s logs that once", async (_, settings, why) => {
  const { sim, node } = await gossiping(settings);
  expect(reason(node)).toBe(why);
  const { counters } = node.node.admin.snapshot();
  expect(counters.nowhere_count).toBe(why === null ? 0 : 1);
  expect(warnings(node)).toEqual(
    why === null ? [] : [`DEGRADED: pages have nowhere to go; ${why}`],
  );
  await sim.stop();
});

test("the log of a node with --peers asks for a lender among them", async () => {
  const sim = new SimCluster(1);
  await sim.start([ALONE, ALONE]);
  const why = "no node lends anything, start a lender (ramster server) and name it in --peers";
  expect(reason(sim.node(0))).toBe(why);
  await sim.stop();
});

test("a node whose lender lends nothing names that lender", async () => {
  const { sim, node } = await gossiping([ALONE, SERVER]);
  const [, lender] = sim.nodes as [SimNode, SimNode];
  expect(reason(node)).toBe(null);
  lender.node.admin.setKnob("draining", "1");
  sim.run(10_000);
  const name = JSON.stringify(lender.node.config.name);
  expect(reason(node)).toBe(`lender ${name} is drained, run "ramster undrain" there`);
  lender.node.admin.setKnob("draining", "0");
  lender.node.admin.setKnob("reserve", "100%");
  sim.run(10_000);
  expect(reason(node)).toBe(`lender ${name} lends nothing now: its log says why`);
  expect(lender.log.filter((it) => it.includes("ramster: lending nothing: "))).toHaveLength(1);
  lender.crash();
  sim.run(60_000);
  expect(reason(node)).toBe(NO_LENDER);
  await sim.stop();
});

test("a node that is drained does not log that its pages have somewhere to go again", async () => {
  const { sim, node } = await gossiping([ALONE]);
  node.node.admin.setKnob("draining", "1");
  sim.run(60_000);
  expect(warnings(node)).toEqual([`DEGRADED: pages have nowhere to go; ${NO_LENDER}`]);
  await sim.stop();
});

test("a node whose lender comes late logs that pages have somewhere to go again", async () => {
  const { sim, node } = await gossiping([{ ...ALONE, target: null }, LENDER]);
  node.node.admin.setKnob("remote_target_nodenum", "auto");
  sim.run(2000);
  expect(reason(node)).toBe(null);
  expect(warnings(node).at(-1)).toBe("over: pages have nowhere to go");
  await sim.stop();
});

test.each([
  ["auto", [ONE_COPY]],
  [2, [ONE_COPY, `DEGRADED: pages have nowhere to go; ${TWO_ZONES}`]],
  [1, []],
] as const)(
  "with one lender and --replicas %p it is logged from the start that pages get one copy",
  async (replicas, why) => {
    const { sim, node } = await gossiping([{ ...ALONE, replicas }, LENDER]);
    const lines = node.log.filter((it) => /copy|copies|go;/.test(it));
    expect(lines.map((it) => it.replace(/^.*?ramster: /, "")).sort()).toEqual([...why].sort());
    await sim.stop();
  },
);

test("the arrival of a second lender is logged, too", async () => {
  const { sim, node } = await gossiping([ALONE, LENDER, LENDER]);
  const copies = () => node.log.filter((it) => it.includes("gets one copy"));
  expect(copies()).toEqual([]);
  const lenders = sim.nodes.slice(1);
  for (const lender of lenders) lender.node.admin.setKnob("draining", "1");
  lenders[0]?.node.admin.setKnob("draining", "0");
  sim.run(60_000);
  expect(copies().at(-1)).toEndWith(ONE_COPY);
  lenders[0]?.node.admin.setKnob("draining", "1");
  sim.run(60_000);
  expect(copies()).toHaveLength(1); // None moves away.
  for (const lender of lenders) lender.node.admin.setKnob("draining", "0");
  sim.run(60_000);
  expect(copies().at(-1)).toEndWith("over: a page that moves away gets one copy");
  await sim.stop();
});

test("a server with one frame logs it as soon as a program puts pages on it", async () => {
  const { sim, node } = await gossiping([SERVER]);
  const pool = node.newPool({ persistent: true });
  expect(node.put(pool, 1, 1)).toBe(STATUS.OK);
  sim.run(60_000);
  const why = "a server keeps no pages of programs, connect these to a node (ramster node)";
  expect(reason(node)).toBe(why);
  expect(warnings(node)).toEqual([`DEGRADED: pages have nowhere to go; ${why}`]);
  await sim.stop();
});
