/**
 * Counters of zbud, by kind (index 0 ephemeral, 1 persistent), reported under the kernel's names:
 * docs/original.md, "zbud counters".
 *
 * As in the kernel, buddied and unbuddied count frames, zombies included. Unlike there `zbytes` is
 * without headers, and whole frames, which the original lacks, are counted apart.
 */
import { CHUNK_COUNT } from "../core/limits.ts";

type PerKind = [number, number];

export class ZbudCounters {
  readonly zbytes: PerKind = [0, 0];
  readonly zpages: PerKind = [0, 0];
  readonly pageframes: PerKind = [0, 0];
  readonly buddied: PerKind = [0, 0];
  readonly unbuddied: PerKind = [0, 0];
  readonly whole: PerKind = [0, 0];
  readonly cumul_zbytes: PerKind = [0, 0];
  readonly cumul_zpages: PerKind = [0, 0];
  readonly evicted_pageframes: PerKind = [0, 0];
  /** How many zpages of each size in chunks were ever stored: where the room in a frame goes. */
  readonly cumul_chunk_counts: readonly [Float64Array, Float64Array] = [
    new Float64Array(CHUNK_COUNT + 1),
    new Float64Array(CHUNK_COUNT + 1),
  ];

  addZpage(kind: 0 | 1, chunks: number, zpageBytes: number): void {
    this.zpages[kind] += 1;
    this.zbytes[kind] += zpageBytes;
    this.cumul_zpages[kind] += 1;
    this.cumul_zbytes[kind] += zpageBytes;
    const histogram = this.cumul_chunk_counts[kind];
    histogram[chunks] = (histogram[chunks] ?? 0) + 1;
  }

  removeZpage(kind: 0 | 1, zpageBytes: number): void {
    this.zpages[kind] -= 1;
    this.zbytes[kind] -= zpageBytes;
  }

  /** Kernel names to values, for one kind: `eph_zbytes`, `pers_buddied_count`, ... */
  snapshot(into: Record<string, number>): void {
    for (const [kind, prefix] of [
      [0, "eph"],
      [1, "pers"],
    ] as const) {
      into[`${prefix}_zbytes`] = this.zbytes[kind];
      into[`${prefix}_zpages`] = this.zpages[kind];
      into[`${prefix}_pageframes`] = this.pageframes[kind];
      into[`${prefix}_buddied_count`] = this.buddied[kind];
      into[`${prefix}_unbuddied_count`] = this.unbuddied[kind];
      into[`${prefix}_whole_count`] = this.whole[kind];
      into[`${prefix}_cumul_zbytes`] = this.cumul_zbytes[kind];
      into[`${prefix}_cumul_zpages`] = this.cumul_zpages[kind];
      into[`${prefix}_evicted_pageframes`] = this.evicted_pageframes[kind];
    }
  }
}
