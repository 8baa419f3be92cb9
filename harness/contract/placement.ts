/**
 * The contract of a Placement (src/placement/placement.ts), as a suite that every placement passes.
 * Call `placementContract` at the top level of a test file. A placement with cold zpages passes
 * another suite too (cold-zpages.ts).
 */
import { describe, expect, test } from "bun:test";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../src/core/kind.ts";
import { PAGE_BYTES, ZPAGE_BYTES_MAX } from "../../src/core/limits.ts";
import { below, type Random, SeededRandom } from "../../src/core/random.ts";
import { coldZpagesContract } from "./cold-zpages.ts";
import { playRandomly } from "./placement-play.ts";
import { anySize, type MakePlacement, PlacementRig } from "./placement-rig.ts";

/** Puts zpages of the kind until there is no room. */
function fill(rig: PlacementRig, kind: Kind, random: Random): void {
  while (rig.put(anySize(random), kind) !== 0);
  expect(rig.frames.hasFree).toBe(false);
}

export function placementContract(name: string, make: MakePlacement): void {
  describe(`${name} as a placement`, () => {
    test("returns what was stored, whatever its size", () => {
      const rig = new PlacementRig(make);
      for (const size of [
        1,
        7,
        24,
        25,
        63,
        64,
        65,
        2000,
        2047,
        3999,
        ZPAGE_BYTES_MAX,
        PAGE_BYTES,
      ]) {
        expect(rig.put(size)).toBeGreaterThan(0);
      }
      rig.checkAll();
    });

    test("has no frame left in use when all zpages are freed", () => {
      const rig = new PlacementRig(make);
      const random = new SeededRandom(1);
      for (let i = 0; i < 60; i += 1)
        rig.put(anySize(random), i % 2 === 0 ? EPHEMERAL : PERSISTENT);
      rig.freeAll();
      rig.placement.verify();
      expect(rig.frames.framesUsed).toBe(0);
      expect(rig.placement.framesNeeded).toBe(0);
      expect(rig.placement.counters.zpages).toEqual([0, 0]);
      expect(rig.placement.counters.pageframes).toEqual([0, 0]);
    });

    test("refuses a zpage without room, and changes nothing", () => {
      const rig = new PlacementRig(make, 16);
      fill(rig, PERSISTENT, new SeededRandom(2));
      expect(rig.put(PAGE_BYTES)).toBe(0);
      expect(rig.put(ZPAGE_BYTES_MAX, EPHEMERAL)).toBe(0);
      expect(rig.placement.hasRoom).toBe(false);
      rig.checkAll();
    });

    test("takes a zpage as large as the one that was freed before, in a full store", () => {
      const rig = new PlacementRig(make, 24);
      const random = new SeededRandom(3);
      fill(rig, PERSISTENT, random);
      for (let i = 0; i < 500; i += 1) {
        const pages = rig.pages(PERSISTENT);
        const page = pages[below(random, pages.length)] ?? 0;
        const size = rig.stored.get(page)?.zpageBytes ?? 0;
        rig.free(page);
        expect(rig.put(size)).toBeGreaterThan(0);
      }
      rig.checkAll();
    });

    test("makes room for a zpage of either kind by evicting ephemeral ones alone", () => {
      const random = new SeededRandom(4);
      for (const kind of [EPHEMERAL, PERSISTENT] as const) {
        const rig = new PlacementRig(make, 32);
        for (let i = 0; i < 8; i += 1) rig.put(anySize(random), PERSISTENT);
        fill(rig, EPHEMERAL, random);
        while (rig.placement.hasRoom) {
          for (let left = 64; left > 0 && rig.put(PAGE_BYTES, kind) === 0; left -= 1) {
            expect(rig.placement.evict(kind)).toBe(true);
          }
          if (kind === EPHEMERAL && rig.evicted.length > 50) break;
        }
        expect(rig.evicted.length).toBeGreaterThan(10);
        rig.checkAll();
        if (kind === PERSISTENT) expect(rig.placement.evict(kind)).toBe(false);
      }
    });

    test("promises room only where evictions make it, also while ephemeral ones are leaving", () => {
      const random = new SeededRandom(7);
      let kept = 0;
      for (let round = 0; round < 200; round += 1) {
        const rig = new PlacementRig(make, 12);
        for (let i = 0; i < 4; i += 1) rig.put(anySize(random), PERSISTENT);
        fill(rig, EPHEMERAL, random);
        const count = round % 4 === 0 ? 1 : rig.pages(EPHEMERAL).length;
        for (let left = below(random, count); left > 0; left -= 1) rig.takeOldest(EPHEMERAL);
        if (!rig.placement.hasRoom) continue;
        kept += 1;
        while (rig.put(PAGE_BYTES) === 0) expect(rig.placement.evict(PERSISTENT)).toBe(true);
      }
      expect(kept).toBeGreaterThan(10);
    });

    test("takes the oldest zpages first", () => {
      const rig = new PlacementRig(make, 512);
      const random = new SeededRandom(5);
      for (let i = 0; i < 400; i += 1) rig.put(2500 + below(random, 1500));
      const taken: number[] = [];
      while (taken.length < 100) taken.push(...rig.takeOldest());
      expect(Math.max(...taken)).toBeLessThan(150);
    });

    test("takes each zpage once, also one of the other kind beside it", () => {
      const rig = new PlacementRig(make);
      const random = new SeededRandom(6);
      for (let i = 0; i < 50; i += 1)
        rig.put(anySize(random), i % 3 === 0 ? EPHEMERAL : PERSISTENT);
      for (const kind of [EPHEMERAL, PERSISTENT] as const) {
        expect(rig.placement.hasLive(kind)).toBe(true);
        const taken: number[] = [];
        for (let more = rig.takeOldest(kind); more.length > 0; more = rig.takeOldest(kind)) {
          taken.push(...more);
        }
        expect(rig.placement.hasLive(kind)).toBe(false);
        expect(taken.sort((a, b) => a - b)).toEqual(rig.pages(kind));
      }
      expect(rig.placement.evict(PERSISTENT)).toBe(false);
      rig.checkAll();
    });

    test("puts a leaving zpage back as the oldest or as the newest", () => {
      const rig = new PlacementRig(make);
      for (let i = 0; i < 20; i += 1) rig.put(PAGE_BYTES);
      const [first = 0] = rig.takeOldest();
      const [second = 0] = rig.takeOldest();
      rig.putBack(first, "newest");
      rig.putBack(second, "oldest");
      rig.placement.verify();
      const order: number[] = [];
      for (let more = rig.takeOldest(); more.length > 0; more = rig.takeOldest())
        order.push(...more);
      expect(order[0]).toBe(second);
      expect(order.indexOf(first)).toBeGreaterThan(order.length / 2);
    });

    test("counts what comes free when a zpage leaves", () => {
      const rig = new PlacementRig(make);
      const random = new SeededRandom(7);
      for (let i = 0; i < 60; i += 1) rig.put(anySize(random));
      let sum = 0;
      for (const page of rig.pages(PERSISTENT)) sum += rig.placement.framesOf(rig.refOf(page));
      expect(sum).toBeGreaterThan(rig.frames.framesUsed * 0.7);
      expect(sum).toBeLessThanOrEqual(rig.frames.framesUsed);
    });

    test("agrees with a plain Map over random operations", () => {
      for (const seed of [1, 2, 3]) playRandomly(new PlacementRig(make, 100), seed, 8000);
    });
  });
  if (new PlacementRig(make, 1).placement.cold !== null) coldZpagesContract(name, make);
}
