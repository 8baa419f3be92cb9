/**
 * Placements: a few hundred random stores, frees, evictions, departures and replacements against a
 * plain Map, with all invariants checked on the way.
 */
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { Blocks } from "../../src/placement/blocks.ts";
import { Zbud } from "../../src/placement/zbud.ts";
import { playRandomly } from "../contract/placement-play.ts";
import { type MakePlacement, PlacementRig } from "../contract/placement-rig.ts";
import type { Fuzzer, FuzzTarget } from "./fuzzer.ts";

const FRAMES = 24;
const STEPS = 300;

export const blocks = fuzzerOf("blocks", (...parts) => new Blocks(...parts, { byUse: true }));

export const zbud = fuzzerOf("zbud", (...parts) => new Zbud(...parts));

function fuzzerOf(name: string, make: MakePlacement): Fuzzer {
  return {
    name,
    about: "stores, frees, evictions, departures and replacements against a Map",
    smokeRuns: 60,
    open: async () =>
      ({
        run: (random) => {
          playRandomly(new PlacementRig(make, FRAMES, new HeapMemory()), random.u32(), STEPS);
        },
      }) satisfies FuzzTarget,
  };
}
