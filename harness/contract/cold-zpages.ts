/** The contract of ColdZpages (src/placement/placement.ts): a part of that of a placement. */
import { describe, expect, test } from "bun:test";
import { EPHEMERAL, PERSISTENT } from "../../src/core/kind.ts";
import { FRAME_BYTES, PAGE_BYTES, ZPAGE_BYTES_MAX } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { anySize, type MakePlacement, PlacementRig } from "./placement-rig.ts";

/** Puts zpages of any size and both kinds. */
function putAny(rig: PlacementRig, count: number, random: SeededRandom): void {
  for (let i = 0; i < count; i += 1) {
    rig.put(anySize(random), i % 3 === 0 ? EPHEMERAL : PERSISTENT);
  }
}

/** Begins epochs, and leaves nothing stored. */
function passEpochs(rig: PlacementRig, count: number): void {
  const { cold } = rig;
  for (let left = count, { epoch } = cold; left > 0; ) {
    rig.free(rig.put(100));
    if (cold.epoch === epoch) continue;
    ({ epoch } = cold);
    left -= 1;
  }
}

function half(zpageBytes: number): number {
  return Math.max(1, zpageBytes >>> 1);
}

function sorted(pages: readonly number[]): number[] {
  return [...pages].sort((a, b) => a - b);
}

/** Takes the oldest persistent zpages until `count` are leaving. @returns their pages. */
function takeOldest(rig: PlacementRig, count: number): number[] {
  const taken: number[] = [];
  while (taken.length < count) taken.push(...rig.takeOldest());
  return taken;
}

export function coldZpagesContract(name: string, make: MakePlacement): void {
  describe(`${name} with cold zpages`, () => {
    test("returns what a zpage was replaced with, and leaves the others as they were", () => {
      const rig = new PlacementRig(make, 128);
      const sizes = [2, 7, 8, 9, 63, 64, 65, 1000, 2047, 3999, ZPAGE_BYTES_MAX, PAGE_BYTES];
      for (const divisor of [1, 2, 3, 10, 100]) {
        for (const size of sizes) {
          const page = rig.put(size);
          rig.put(900);
          const shorter = Math.max(1, Math.min(ZPAGE_BYTES_MAX, Math.floor(size / divisor)));
          rig.replace(page, Math.min(shorter, size - 1));
          rig.checkAll();
        }
      }
    });

    test("replaces a zpage several times", () => {
      const rig = new PlacementRig(make);
      putAny(rig, 20, new SeededRandom(1));
      const page = rig.put(PAGE_BYTES);
      for (const size of [ZPAGE_BYTES_MAX, 3000, 2999, 2000, 1]) {
        rig.replace(page, size);
        rig.checkAll();
      }
    });

    test("gives each zpage that was not used for two epochs, once in a round", () => {
      const rig = new PlacementRig(make, 1000);
      putAny(rig, 1000, new SeededRandom(2));
      rig.restOfRound();
      const cold = rig.coldPages();
      expect(cold.length).toBeGreaterThan(500);
      expect(cold.length).toBeLessThan(950);
      for (let i = 0; i < 2; i += 1) expect(sorted(rig.restOfRound())).toEqual(cold);
      passEpochs(rig, 2);
      expect(sorted(rig.restOfRound())).toEqual(sorted([...rig.stored.keys()]));
    });

    test("goes on where the last call ended", () => {
      const rig = new PlacementRig(make, 1000);
      putAny(rig, 600, new SeededRandom(3));
      passEpochs(rig, 2);
      rig.restOfRound();
      const atOnce = rig.restOfRound(1000);
      expect(atOnce.length).toBe(600);
      for (const countMax of [1, 7]) expect(rig.restOfRound(countMax)).toEqual(atOnce);
    });

    test("ends each round, also that of an empty store", () => {
      const rig = new PlacementRig(make);
      for (let i = 0; i < 3; i += 1) expect(rig.restOfRound()).toEqual([]);
      putAny(rig, 30, new SeededRandom(4));
      rig.freeAll();
      for (let i = 0; i < 3; i += 1) expect(rig.restOfRound()).toEqual([]);
    });

    test("passes over what was settled or replaced, until it is put again", () => {
      const rig = new PlacementRig(make, 1000);
      putAny(rig, 600, new SeededRandom(5));
      passEpochs(rig, 2);
      rig.restOfRound();
      for (const [i, page] of rig.restOfRound().entries()) {
        const { zpageBytes = 0 } = rig.stored.get(page) ?? {};
        if (i % 3 === 0) rig.settle(page);
        else if (zpageBytes > 1) rig.replace(page, half(zpageBytes));
        else rig.settle(page);
      }
      for (let i = 0; i < 2; i += 1) {
        expect(rig.restOfRound()).toEqual([]);
        passEpochs(rig, 2);
      }
      // The new zpages get the places of the old ones.
      const sizes = [...rig.stored.values()].map(({ zpageBytes }) => zpageBytes);
      rig.freeAll();
      for (const size of sizes) rig.put(size);
      passEpochs(rig, 2);
      rig.restOfRound();
      expect(rig.restOfRound().length).toBe(sizes.length);
      rig.checkAll();
    });

    test("passes over leaving zpages, until they are put back", () => {
      const rig = new PlacementRig(make, 1000);
      putAny(rig, 300, new SeededRandom(6));
      passEpochs(rig, 2);
      rig.restOfRound();
      const pages = sorted(rig.restOfRound());
      const taken = new Set(takeOldest(rig, 50));
      expect(sorted(rig.restOfRound())).toEqual(pages.filter((page) => !taken.has(page)));
      for (const page of taken) rig.putBack(page, "oldest");
      expect(sorted(rig.restOfRound())).toEqual(pages);
    });

    test("leaves a settled zpage settled while it is used, and when it was leaving", () => {
      const rig = new PlacementRig(make, 1000);
      for (let i = 0; i < 100; i += 1) rig.put(i % 4 === 0 ? PAGE_BYTES : 1000);
      for (const page of rig.stored.keys()) rig.settle(page);
      for (const page of rig.stored.keys()) rig.touch(page);
      for (const [i, page] of takeOldest(rig, 50).entries()) {
        rig.putBack(page, i % 2 === 0 ? "oldest" : "newest");
      }
      passEpochs(rig, 3);
      for (let i = 0; i < 2; i += 1) expect(rig.restOfRound()).toEqual([]);
      rig.checkAll();
    });

    test("leaves the ages as they are", () => {
      for (const size of [3000, PAGE_BYTES]) {
        const rig = new PlacementRig(make, 600);
        const pages = Array.from({ length: 400 }, () => rig.put(size));
        // Of the oldest 150, and of the newest.
        for (const page of [...pages.slice(0, 60), ...pages.slice(340)]) rig.replace(page, 1500);
        const taken = takeOldest(rig, 150);
        expect(Math.max(...taken)).toBeLessThan(pages[200] ?? 0);
        expect(taken).toEqual(expect.arrayContaining(pages.slice(0, 60)));
        rig.checkAll();
      }
    });

    test("always has room for what was a whole page", () => {
      for (const limit of [24, 3]) {
        for (const size of [ZPAGE_BYTES_MAX, 2500, 1000, 1]) {
          const rig = new PlacementRig(make, 24);
          for (let i = 0; i < 24; i += 1) rig.put(PAGE_BYTES, i < 12 ? EPHEMERAL : PERSISTENT);
          expect(rig.frames.hasFree).toBe(false);
          rig.frames.limit = limit;
          for (const page of [...rig.stored.keys()]) {
            rig.replace(page, size);
            rig.checkAll();
          }
          expect(rig.placement.counters.whole).toEqual([0, 0]);
          const [least, most] = [size / PAGE_BYTES, size / PAGE_BYTES + 0.25];
          expect(rig.frames.framesUsed / 24).toBeGreaterThanOrEqual(Math.min(1, least));
          expect(rig.frames.framesUsed / 24).toBeLessThanOrEqual(Math.min(1, most));
        }
      }
    });

    test("puts what was a whole page where zpages of its kind are", () => {
      const rig = new PlacementRig(make, 8);
      const whole = Array.from({ length: 6 }, () => rig.put(PAGE_BYTES));
      rig.put(3000);
      rig.put(3000, EPHEMERAL);
      for (const page of whole) rig.replace(page, 500);
      expect(rig.frames.framesUsed).toBe(3);
      rig.checkAll();
    });

    test("has the frames back when all zpages are half as long, after compaction", () => {
      const rig = new PlacementRig(make, 2000);
      const random = new SeededRandom(7);
      for (let size = anySize(random); rig.put(size) !== 0; ) size = anySize(random);
      expect(rig.frames.framesUsed).toBe(2000);
      let bytes = 0;
      for (const [page, { zpageBytes }] of rig.stored) {
        if (zpageBytes > 1) rig.replace(page, half(zpageBytes));
        bytes += half(zpageBytes);
      }
      while (rig.placement.compact());
      expect(bytes / FRAME_BYTES / rig.frames.framesUsed).toBeGreaterThan(0.9);
      expect(rig.placement.framesNeeded).toBeLessThanOrEqual(rig.frames.framesUsed);
      rig.checkAll();
    });

    test("counts each zpage as stored once, with the bytes that it has", () => {
      const rig = new PlacementRig(make, 64);
      putAny(rig, 60, new SeededRandom(8));
      const { counters } = rig.placement;
      const before = counters.snapshot();
      for (const [page, { zpageBytes }] of rig.stored) {
        if (zpageBytes > 1) rig.replace(page, half(zpageBytes));
      }
      const after = counters.snapshot();
      expect(after.pers_zbytes).toBeLessThan(before.pers_zbytes * 0.51);
      expect(after.pers_zpages).toBe(before.pers_zpages);
      expect(after.pers_cumul_zpages).toBe(before.pers_cumul_zpages);
      expect(after.pers_cumul_zbytes).toBe(before.pers_cumul_zbytes);
    });

    test("replaces no zpage that is leaving, and none with one that is as long", () => {
      const rig = new PlacementRig(make);
      for (const size of [1000, PAGE_BYTES]) rig.put(size);
      const [page = 0] = rig.takeOldest();
      expect(() => rig.replace(page, 10)).toThrow("only a live zpage can be replaced");
      rig.putBack(page, "oldest");
      const { zpageBytes = 0 } = rig.stored.get(page) ?? {};
      expect(() => rig.replace(page, zpageBytes)).toThrow("a zpage is replaced with a shorter one");
      rig.checkAll();
    });
  });
}
