import { expect, test } from "bun:test";
import { FRAME_BYTES } from "../../src/core/limits.ts";
import { TOPOLOGIES, type Topology } from "./options.ts";
import { planTopology } from "./topology.ts";

const MIB = 1024 * 1024;

function plan(topology: Topology, nodes: number, servers = 0) {
  return planTopology({
    topology,
    nodes,
    servers,
    replicas: "auto",
    memoryBytes: MIB,
    workingSetBytes: 8 * MIB,
  });
}

test.each([
  ["server", 5, 2, [null, null, 0, 1, 0]],
  ["ring", 4, 0, [1, 2, 3, 0]],
  ["ring", 1, 0, [null]],
  ["pair", 4, 0, [1, null, 3, null]],
  ["symmetric", 4, 0, [1, 0, 3, 2]],
  ["symmetric", 3, 0, [1, 0, null]],
] as const)("in topology %s %i nodes with %i servers send to %j", (...row) => {
  const [topology, nodes, servers, targets] = row;
  expect(plan(topology, nodes, servers).map((node) => node.target)).toEqual([...targets]);
});

test("nodes that only lend are not loaded, and all others are", () => {
  const loaded = (topology: Topology, servers = 0): boolean[] => {
    return plan(topology, 4, servers).map((node) => node.loaded);
  };
  expect(loaded("server", 1)).toEqual([false, true, true, true]);
  expect(loaded("pair")).toEqual([true, false, true, false]);
  expect(loaded("ring")).toEqual([true, true, true, true]);
});

test("each node lends whole frames for all that its borrowers may send, and nothing without borrowers", () => {
  for (const topology of TOPOLOGIES) {
    const plans = plan(topology, 8, topology === "server" ? 2 : 0);
    for (const { number, lendBytes } of plans) {
      const borrowers = plans.filter((other) => other.target === number).length;
      expect(lendBytes).toBeGreaterThanOrEqual(borrowers * 8 * MIB);
      expect(lendBytes % FRAME_BYTES).toBe(0);
      expect(lendBytes > 0).toBe(borrowers > 0);
    }
  }
});

test("a server that nobody sends to lends as little as a node can, so that it starts", () => {
  const lent = plan("server", 5, 4).map((node) => node.lendBytes);
  expect(lent.slice(1)).toEqual([MIB, MIB, MIB, 0]);
});

test("a working set that no node could lend room for is refused", () => {
  const options = {
    topology: "ring",
    nodes: 2,
    servers: 0,
    replicas: "auto",
    memoryBytes: MIB,
  } as const;
  expect(() => planTopology({ ...options, workingSetBytes: 2 ** 50 })).toThrow(
    /^Cannot use that --working-set: node 0 would lend 1280TiB, at most \w+ can be lent$/,
  );
});

test("no node sends to itself", () => {
  for (const topology of TOPOLOGIES) {
    for (const { number, target } of plan(topology, 6, topology === "server" ? 1 : 0)) {
      expect(target).not.toBe(number);
    }
  }
});

test("nodes that are all servers are refused", () => {
  expect(() => plan("server", 2, 2)).toThrow("Cannot stress 2 nodes: all are servers");
});

test("pages with two copies are lent room twice", () => {
  const options = {
    topology: "auto",
    nodes: 6,
    memoryBytes: MIB,
    workingSetBytes: 8 * MIB,
  } as const;
  const lent = (replicas: 1 | 2 | "auto", servers: number): number | undefined => {
    return planTopology({ ...options, servers, replicas })[0]?.lendBytes;
  };
  expect(lent("auto", 2)).toBe(2 * (lent(1, 2) ?? 0));
  expect(lent("auto", 2)).toBe(lent(2, 2));
  expect(lent("auto", 1)).toBe(lent(1, 1));
});
