import { expect, test } from "bun:test";
import { below, SeededRandom } from "../core/random.ts";
import type { Coordinate } from "../gossip/serf-coordinate.ts";
import { Coordinates, distance } from "./coordinates.ts";

const NODES = 12;
const random = new SeededRandom(1);
/** Round trips in milliseconds between points on a plane, each with an access line. */
const places = Array.from({ length: NODES }, () => {
  return [below(random, 80), below(random, 80), 1 + below(random, 5)] as const;
});

function rttMs(a: number, b: number): number {
  const [ax = 0, ay = 0, aLine = 0] = places[a] ?? [];
  const [bx = 0, by = 0, bLine = 0] = places[b] ?? [];
  return Math.hypot(ax - bx, ay - by) + aLine + bLine;
}

function observeAll(nodes: readonly Coordinates[], rounds: number): void {
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, node] of nodes.entries()) {
      const other = (i + 1 + below(random, NODES - 1)) % NODES;
      node.observe((nodes[other] as Coordinates).own, rttMs(i, other));
    }
  }
}

/** The median over all pairs of the error of the distance, as a fraction of the round trip. */
function medianError(nodes: readonly Coordinates[]): number {
  const errors = nodes.flatMap(({ own }, i) => {
    return nodes.slice(i + 1).map((other, j) => {
      const rtt = rttMs(i, i + 1 + j);
      return Math.abs(distance(own, other.own) * 1000 - rtt) / rtt;
    });
  });
  return errors.sort((a, b) => a - b)[errors.length >> 1] ?? 1;
}

test("coordinates predict round trips, even between nodes that never met", () => {
  const nodes = places.map((_, i) => new Coordinates(new SeededRandom(i + 1)));
  expect(medianError(nodes)).toBeGreaterThan(0.9);
  observeAll(nodes, 500);
  expect(medianError(nodes)).toBeLessThan(0.1);
  expect(nodes.every(({ own }) => own.error < 0.3)).toBe(true);
});

test("a node recovers its coordinate after any coordinates of others", () => {
  const nodes = places.map((_, i) => new Coordinates(new SeededRandom(i + 1)));
  observeAll(nodes, 500);
  const far: Coordinate = {
    vec: [1000, -1000, 0, 0, 0, 0, 0, 1000],
    error: 0,
    adjustment: -1000,
    height: 1000,
  };
  for (const node of nodes) {
    for (let i = 0; i < 100; i += 1) node.observe(i % 2 === 0 ? far : { ...far, vec: ZEROS }, i);
    expect(Object.values(node.own).flat().every(Number.isFinite)).toBe(true);
  }
  observeAll(nodes, 3000);
  expect(medianError(nodes)).toBeLessThan(0.1);
});

test("implausible round trips are ignored", () => {
  const node = new Coordinates(new SeededRandom(1));
  node.observe({ vec: ZEROS, error: 1, adjustment: 0, height: 0.001 }, 20_000);
  expect(node.own.vec).toEqual(ZEROS);
  node.observe({ vec: ZEROS, error: 1, adjustment: 0, height: 0.001 }, 20);
  expect(node.own.vec).not.toEqual(ZEROS);
});

const ZEROS = [0, 0, 0, 0, 0, 0, 0, 0];
