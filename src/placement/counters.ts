/**
 * Counters of a placement, by kind: index 0 ephemeral, 1 persistent. Reports have them under the
 * names of the original: core/figures.ts.
 *
 * As in the kernel, buddied and unbuddied count frames, zombies included. They stay 0 in a
 * placement without buddies. Unlike there `zbytes` is without headers, and whole frames, which the
 * original lacks, are counted apart.
 */
import type { Report } from "../core/figure.ts";
import type { PLACEMENT_READ, ZBUD_READ } from "../core/figures.ts";
import { CHUNK_BYTES, CHUNK_COUNT, PAGE_BYTES, ZBUD_HEADER_BYTES } from "../core/limits.ts";

export type PlacementReport = Report<typeof ZBUD_READ & typeof PLACEMENT_READ>;

type PerKind = [number, number];

export class PlacementCounters {
  readonly zbytes: PerKind = [0, 0];
  readonly zpages: PerKind = [0, 0];
  readonly pageframes: PerKind = [0, 0];
  readonly buddied: PerKind = [0, 0];
  readonly unbuddied: PerKind = [0, 0];
  /** Frames whose zpages are leaving. */
  readonly zombies: PerKind = [0, 0];
  readonly whole: PerKind = [0, 0];
  readonly cumul_zbytes: PerKind = [0, 0];
  readonly cumul_zpages: PerKind = [0, 0];
  readonly evicted_pageframes: PerKind = [0, 0];
  /** Slides of a block, and zpages that compaction moved to another block. */
  slides = 0;
  moves = 0;
  /** How many zpages of each size in chunks were ever stored: where the room in a frame goes. */
  readonly cumul_chunk_counts: readonly [Float64Array, Float64Array] = [
    new Float64Array(CHUNK_COUNT + 1),
    new Float64Array(CHUNK_COUNT + 1),
  ];

  addZpage(kind: 0 | 1, zpageBytes: number): void {
    this.zpages[kind] += 1;
    this.zbytes[kind] += zpageBytes;
    this.cumul_zpages[kind] += 1;
    this.cumul_zbytes[kind] += zpageBytes;
    const chunks = chunksOf(zpageBytes);
    const histogram = this.cumul_chunk_counts[kind];
    histogram[chunks] = (histogram[chunks] ?? 0) + 1;
  }

  /** A predecessor stored the zpage. */
  restoreZpage(kind: 0 | 1, zpageBytes: number): void {
    this.zpages[kind] += 1;
    this.zbytes[kind] += zpageBytes;
  }

  /** A zpage was replaced with a shorter one, which is not one more that was ever stored. */
  shortenZpage(kind: 0 | 1, savedBytes: number): void {
    this.zbytes[kind] -= savedBytes;
  }

  removeZpage(kind: 0 | 1, zpageBytes: number): void {
    this.zpages[kind] -= 1;
    this.zbytes[kind] -= zpageBytes;
  }

  snapshot(): PlacementReport {
    const { zbytes, zpages, pageframes, buddied, unbuddied, zombies, whole } = this;
    const { cumul_zbytes, cumul_zpages, evicted_pageframes } = this;
    return {
      eph_zbytes: zbytes[0],
      pers_zbytes: zbytes[1],
      eph_zpages: zpages[0],
      pers_zpages: zpages[1],
      eph_pageframes: pageframes[0],
      pers_pageframes: pageframes[1],
      eph_buddied_count: buddied[0],
      pers_buddied_count: buddied[1],
      eph_unbuddied_count: unbuddied[0],
      pers_unbuddied_count: unbuddied[1],
      eph_zombie_count: zombies[0],
      pers_zombie_count: zombies[1],
      eph_whole_count: whole[0],
      pers_whole_count: whole[1],
      eph_cumul_zbytes: cumul_zbytes[0],
      pers_cumul_zbytes: cumul_zbytes[1],
      eph_cumul_zpages: cumul_zpages[0],
      pers_cumul_zpages: cumul_zpages[1],
      eph_evicted_pageframes: evicted_pageframes[0],
      pers_evicted_pageframes: evicted_pageframes[1],
      block_slides: this.slides,
      block_moves: this.moves,
    };
  }
}

/** The chunks that zbud needs for a zpage. A whole page has a frame to itself. */
export function chunksOf(zpageBytes: number): number {
  if (zpageBytes === PAGE_BYTES) return CHUNK_COUNT;
  return Math.ceil((zpageBytes + ZBUD_HEADER_BYTES) / CHUNK_BYTES);
}
