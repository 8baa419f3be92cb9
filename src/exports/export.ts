/**
 * NbdExport: one export of the NBD door, with a pool of its own, as a swap device of the original.
 *
 *     byte offset >> 12 = page      oid word 0 = type << 8 | page & 0xff      index = page >> 8
 *
 * Consecutive pages are spread over 256 objects, as `oswiz` and `iswiz` of the original do
 * (drivers/staging/zcache/zcache-main.c in Linux 3.9). Exports are thin-provisioned: a page that
 * was never written has no record and reads as zeros.
 */
import { Handle } from "../core/handle.ts";
import { NBD_EXPORT_BYTES_MAX, PAGE_BYTES } from "../core/limits.ts";
import type { Device } from "../nbd/device.ts";
import { AllocationMap } from "./allocation-map.ts";
import { RangeLocks } from "./range-locks.ts";
import { Trend } from "./trend.ts";

/** Objects of an export: the original's SWIZ_BITS is 8. */
export const OBJECTS_PER_EXPORT = 256;

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
    this.handle.oid0lo = (this.type << 8) | (page & 0xff);
    this.handle.index = Math.floor(page / OBJECTS_PER_EXPORT);
    return this.handle;
  }

  /** A number of the page that is unique among the pages of all exports. */
  keyOf(page: number): number {
    return this.type * PAGES_PER_EXPORT_MAX + page;
  }
}
