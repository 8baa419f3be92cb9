/**
 * NbdExport: one export of the NBD door, with a pool of its own, as a swap device of the original.
 *
 *     byte offset >> 12 = page
 *     oid word 0 = type << 8 | (page >> 5) & 0xff      index = (page >> 13) << 5 | page & 31
 *
 * Pages are spread over 256 objects, as `oswiz` and `iswiz` of the original do
 * (drivers/staging/zcache/zcache-main.c in Linux 3.9). There, consecutive pages are in different
 * objects. Here, 32 of them stay together, and share a leaf of the index (src/tmem/entries.ts).
 * Exports are thin-provisioned: a page that
 * was never written has no record and reads as zeros.
 */
import { Handle } from "../core/handle.ts";
import { Histogram } from "../core/histogram.ts";
import { NBD_EXPORT_BYTES_MAX, PAGE_BYTES } from "../core/limits.ts";
import type { Device } from "../nbd/device.ts";
import { AllocationMap } from "./allocation-map.ts";
import { RangeLocks } from "./range-locks.ts";
import { Trend } from "./trend.ts";

/** Objects of an export: the original's SWIZ_BITS is 8. */
export const OBJECTS_PER_EXPORT = 256;
/** Consecutive pages in one object, as in a leaf of the index. */
const PAGES_TOGETHER = 32;

const PAGES_PER_EXPORT_MAX = NBD_EXPORT_BYTES_MAX / PAGE_BYTES;

/** What an export needs to know about its pool. */
interface ExportPool {
  readonly id: number;
  readonly pageCount: number;
}

export interface ExportConfig {
  readonly name: string;
  /** Whole pages. */
  readonly byteCount: number;
}

export class NbdExport implements Device {
  readonly name: string;
  readonly description = "memory of a ramster cluster";
  readonly byteCount: number;
  readonly pageCount: number;
  readonly pool: ExportPool;
  /** Connections that have chosen it. */
  connectionCount = 0;
  readonly allocation: AllocationMap;
  /** How long its requests took. */
  readonly latencies = { read: new Histogram(), write: new Histogram() };
  /** The trend of its reads. */
  readonly trend = new Trend();
  /** Pages that unfinished changes have locked. */
  readonly locks = new RangeLocks();
  private readonly type: number;
  private readonly handle = new Handle();

  constructor({ name, byteCount }: ExportConfig, type: number, pool: ExportPool) {
    this.name = name;
    this.byteCount = byteCount;
    this.pageCount = byteCount / PAGE_BYTES;
    this.allocation = new AllocationMap(this.pageCount);
    this.type = type;
    this.pool = pool;
    this.handle.pool = pool.id;
  }

  /** What the page is stored under. One object, valid until the next call. */
  handleOf(page: number): Handle {
    const group = Math.floor(page / PAGES_TOGETHER);
    this.handle.oid0lo = (this.type << 8) | (group % OBJECTS_PER_EXPORT);
    const round = Math.floor(group / OBJECTS_PER_EXPORT);
    this.handle.index = round * PAGES_TOGETHER + (page % PAGES_TOGETHER);
    return this.handle;
  }

  /** The handle of the first page of an object, valid in the same way. */
  handleOfObject(number: number): Handle {
    return this.handleOf(number * PAGES_TOGETHER);
  }

  /** A number of the page that is unique among the pages of all exports. */
  keyOf(page: number): number {
    return this.type * PAGES_PER_EXPORT_MAX + page;
  }
}
