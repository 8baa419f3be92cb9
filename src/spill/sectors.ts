/**
 * Sectors: which sectors of the file are in use. Each has a bit. A run of sectors never crosses the
 * border of a group.
 *
 *     | group 0: 2048 bits | group 1 | ... |      1: in use
 *            cursor ^                  ^ end: nothing from here on was ever in use
 *
 * Next fit: the search starts where the last run ended, so that the pages of one batch lie side by
 * side. While enough is free below `end` it starts over there; otherwise the file grows. Each group
 * has a bound on its longest free run, as far as searches have found out. So full groups are
 * skipped at the cost of one byte a MiB.
 *
 * One search examines a bounded number of groups. It may then find nothing although a later group
 * has room. The next search skips the groups that were examined in vain.
 */
import { assert } from "../core/assert.ts";
import { FRAME_BYTES, SECTOR_BYTES, SECTORS_PER_PAGE_MAX } from "../core/limits.ts";
import type { Memory, Region } from "../core/memory.ts";

/** 1 MiB of the file. */
export const GROUP_SECTORS = 2048;
const BITS = 32;
const SCAN_GROUPS_MAX = 32;
/** While less than this fraction below `end` is in use, the search wraps around before it grows. */
const DENSE = 3 / 4;

export const NO_SECTOR = -1;

export class Sectors {
  /** All sectors of the file. */
  readonly sectorCount: number;
  private readonly region: Region;
  private readonly words: Int32Array;
  /** By group: no free run in it is longer than this. */
  private readonly runMax: Uint8Array;
  private readonly groupCount: number;
  private used = 0;
  private cursor = 0;
  private endGroup = 0;
  /** No sector is taken from here on. */
  private limit: number;

  constructor(memory: Memory, sectorCount: number) {
    this.groupCount = Math.floor(sectorCount / GROUP_SECTORS);
    assert(this.groupCount >= 1);
    this.sectorCount = this.groupCount * GROUP_SECTORS;
    this.limit = this.sectorCount;
    const byteCount = this.sectorCount / 8;
    this.region = memory.reserve(Math.ceil(byteCount / FRAME_BYTES) * FRAME_BYTES);
    this.words = this.region.words();
    this.runMax = new Uint8Array(this.groupCount).fill(SECTORS_PER_PAGE_MAX);
  }

  get usedCount(): number {
    return this.used;
  }

  get freeCount(): number {
    return this.sectorCount - this.used;
  }

  /** Takes `count` consecutive sectors. @returns the first, or NO_SECTOR. */
  take(count: number): number {
    assert(count >= 1 && count <= SECTORS_PER_PAGE_MAX);
    if (this.freeCount < count) return NO_SECTOR;
    const group = Math.floor(this.cursor / GROUP_SECTORS);
    const isDense = this.used >= this.endGroup * GROUP_SECTORS * DENSE;
    const endGroup = Math.min(this.endGroup, Math.ceil(this.limit / GROUP_SECTORS));
    let sector = this.scan(group, endGroup, this.cursor, count);
    if (sector === NO_SECTOR && isDense) sector = this.fresh(count);
    if (sector === NO_SECTOR) sector = this.scan(0, Math.min(group + 1, endGroup), 0, count);
    if (sector === NO_SECTOR) sector = this.fresh(count);
    if (sector !== NO_SECTOR) this.use(sector, count);
    return sector;
  }

  /** Frees a run of `take`. @returns whether no sector is in use any more. */
  give(sector: number, count: number): boolean {
    for (let at = sector; at < sector + count; at += 1) {
      const word = this.words[at >>> 5] ?? 0;
      assert((word & (1 << (at & 31))) !== 0, "A sector is freed that is not in use");
      this.words[at >>> 5] = word & ~(1 << (at & 31));
    }
    this.used -= count;
    this.runMax[Math.floor(sector / GROUP_SECTORS)] = SECTORS_PER_PAGE_MAX;
    if (this.used > 0) return false;
    this.cursor = 0;
    this.endGroup = 0;
    return true;
  }

  /** Limits the file to so many bytes for all further runs. @returns whether that is more. */
  limitTo(byteCount: number): boolean {
    const formerLimit = this.limit;
    // Searches up to the former limit did not see the rest of its group.
    const cut = Math.floor(formerLimit / GROUP_SECTORS);
    if (cut < this.groupCount) this.runMax[cut] = SECTORS_PER_PAGE_MAX;
    this.limit = Math.min(this.sectorCount, Math.floor(byteCount / SECTOR_BYTES));
    return this.limit > formerLimit;
  }

  /** Continues the search at the start, where the file was written before. */
  rewind(): void {
    this.cursor = 0;
  }

  close(): void {
    this.region.close();
  }

  /** Checks the bits and the figures about them. Reads everything: for tests. */
  verify(): void {
    const cut = Math.floor(this.limit / GROUP_SECTORS);
    let used = 0;
    for (let group = 0; group < this.groupCount; group += 1) {
      const start = group * GROUP_SECTORS;
      let run = 0;
      for (let at = start; at < start + GROUP_SECTORS; at += 1) {
        const isFree = this.isFree(at);
        assert(isFree || group < this.endGroup, "A group beyond the end is in use");
        used += isFree ? 0 : 1;
        // No search sees what its group has from the limit on, and `limitTo` resets that bound.
        run = isFree && !(group === cut && at >= this.limit) ? run + 1 : 0;
        assert(
          Math.min(run, SECTORS_PER_PAGE_MAX) <= (this.runMax[group] ?? 0),
          "A free run is longer than the bound of its group",
        );
      }
    }
    assert(used === this.used, "The number of used sectors is wrong");
  }

  /** The first sector of a group that was never in use. */
  private fresh(count: number): number {
    const sector = this.endGroup * GROUP_SECTORS;
    return sector + count <= this.limit ? sector : NO_SECTOR;
  }

  /** Searches groups `group` .. `endGroup - 1`, from sector `start` of the first one on. */
  private scan(group: number, endGroup: number, start: number, count: number): number {
    let scanned = 0;
    for (let at = group; at < endGroup; at += 1) {
      if ((this.runMax[at] ?? 0) < count) continue;
      const groupStart = at * GROUP_SECTORS;
      const sector = this.findIn(at, Math.max(start, groupStart), count);
      if (sector !== NO_SECTOR) return sector;
      if (start <= groupStart) this.runMax[at] = count - 1;
      scanned += 1;
      if (scanned === SCAN_GROUPS_MAX) break;
    }
    return NO_SECTOR;
  }

  private use(sector: number, count: number): void {
    for (let at = sector; at < sector + count; at += 1) {
      this.words[at >>> 5] = (this.words[at >>> 5] ?? 0) | (1 << (at & 31));
    }
    this.used += count;
    this.endGroup = Math.max(this.endGroup, Math.floor(sector / GROUP_SECTORS) + 1);
    this.cursor = sector + count;
  }

  /** The first free run of `count` in the group, from sector `start` on. */
  private findIn(group: number, start: number, count: number): number {
    const end = Math.min((group + 1) * GROUP_SECTORS, this.limit);
    let run = 0;
    for (let at = start; at < end; ) {
      if ((at & 31) === 0 && this.words[at >>> 5] === -1) {
        run = 0;
        at += BITS;
        continue;
      }
      run = this.isFree(at) ? run + 1 : 0;
      at += 1;
      if (run === count) return at - count;
    }
    return NO_SECTOR;
  }

  private isFree(sector: number): boolean {
    return ((this.words[sector >>> 5] ?? 0) & (1 << (sector & 31))) === 0;
  }
}
