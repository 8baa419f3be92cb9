/**
 * Options of one simulated run. All of them are drawn from its seed, so that runs differ in kind
 * and not only in noise (swarm testing). The command line may override any of them.
 */
import { BUGGIFY_POINTS, type BuggifyPoint } from "../../src/core/buggify.ts";
import { COPIES_MAX } from "../../src/core/limits.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import {
  ORDERS,
  type Order,
  PLACEMENTS,
  type PlacementName,
} from "../../src/placement/placement.ts";
import type { Replicas } from "../../src/ramster/holders/lenders.ts";

/** What may happen to a cluster: see troubles.ts. */
export const TROUBLES = [
  "crash",
  "stop",
  "pause",
  "isolate",
  "partition",
  "deaf",
  "cut",
  "loss",
  "slow",
  "flip",
  "pressure",
  "drain",
  "retarget",
  "disk",
  "squeeze",
] as const satisfies readonly string[];
export type Trouble = (typeof TROUBLES)[number];

export interface SimOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Virtual seconds of phase one, the start of all nodes included. */
  readonly seconds: number;
  readonly replicas: Replicas;
  /** Pages of each kind that an owner uses. */
  readonly pages: number;
  /** Between two operations of an owner, at most. */
  readonly operationMs: number;
  /** Between two troubles, at most. */
  readonly troubleMs: number;
  readonly troubles: readonly Trouble[];
  readonly lossPercent: number;
  readonly latencyMaxMs: number;
  /** One piece of a stream in this many has only a few bytes. */
  readonly tinyPieceOneIn: number;
  readonly remotifyEph: boolean;
  readonly selfshrink: boolean;
  /** Longer than a run, or so short that holders drop pages of owners that still run. */
  readonly foreignGraceMs: number;
  readonly seal: boolean;
  /** MiB of each owner's disk for pages that no lender takes; 0: no disk. */
  readonly diskMib: number;
  readonly replicasOnDisk: boolean;
  /** MiB that each lender lends: 1 is too little for all pages. */
  readonly lendMib: number;
  readonly placement: PlacementName;
  readonly order: Order;
  /** Whether owners compress cold pages again, and how many of these jobs fail. */
  readonly cold: boolean;
  readonly coldFailPercent: number;
  /** Whether nodes keep their memory: then half of the crashes end only the process. */
  readonly keep: boolean;
  /** Points of buggify that are armed in this run. */
  readonly buggify: readonly BuggifyPoint[];
  /** How often an armed point fires, in percent. */
  readonly buggifyPercent: number;
}

const NODES_MIN = 8;
const NODES_MAX = 10;
const SECONDS = 60;

export function drawOptions(seed: number, given: Partial<SimOptions> = {}): SimOptions {
  const random = new SeededRandom(seed ^ 0x51a5eed);
  const pick = <T>(values: readonly T[]): T => values[below(random, values.length)] as T;
  const drawn: SimOptions = {
    seed,
    nodes: NODES_MIN + below(random, NODES_MAX - NODES_MIN + 1),
    seconds: SECONDS,
    replicas: pick(["auto", "auto", 1, 2, 2, COPIES_MAX]),
    pages: pick([500, 700, 1000]),
    operationMs: pick([100, 200, 400]),
    troubleMs: pick([800, 2000, 5000]),
    troubles: someOf(random, TROUBLES),
    lossPercent: pick([0, 0, 3, 10]),
    latencyMaxMs: pick([0.5, 1, 5]),
    tinyPieceOneIn: pick([4, 100, 1000]),
    remotifyEph: pick([false, true]),
    selfshrink: pick([false, true]),
    foreignGraceMs: pick([600_000, 600_000, 600_000, 15_000]),
    seal: pick([false, false, true]),
    diskMib: pick([0, 0, 1, 4]),
    replicasOnDisk: pick([false, true]),
    lendMib: pick([16, 16, 16, 16, 16, 1]),
    buggify: below(random, 3) === 0 ? [] : someOf(random, BUGGIFY_POINTS),
    buggifyPercent: pick([1, 5, 25]),
    placement: pick(PLACEMENTS),
    order: pick(ORDERS),
    cold: pick([false, true, true]),
    coldFailPercent: pick([0, 0, 20]),
    // Drawn last: others stay as they were before there was this one.
    keep: pick([false, true]),
  };
  return { ...drawn, ...given };
}

/** Picks each with a chance of one in two, and at least one. */
function someOf<T>(random: SeededRandom, all: readonly T[]): T[] {
  const some = all.filter(() => below(random, 2) === 0);
  return some.length > 0 ? some : [all[below(random, all.length)] as T];
}

/** One line, in the order of their names here. */
export function optionsText(options: SimOptions): string {
  return Object.entries(options)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : value}`)
    .join(" ");
}
