/**
 * NbdExport: one export of the NBD door: a swap device of the original, as a pool of its own.
 *
 *     byte offset >> 12 = page      oid word 0 = type << 8 | page & 0xff      index = page >> 8
 *
 * The swizzle is the original's (reference 4.5): consecutive pages are of 256 objects. A page that
 * was never written has no record and reads as zeros.
 */
import { Handle } from "../core/handle.ts";
import { NBD_EXPORT_BYTES_MAX, PAGE_BYTES } from "../core/limits.ts";
import type { Device } from "../nbd/device.ts";
import { AllocationMap } from "./allocation-map.ts";
import type { PendingRequest } from "./pending-request.ts";
import { RangeLocks } from "./range-locks.ts";
import { Trend } from "./trend.ts";

/** The original's SWIZ_BITS: objects of an export. */
export const OBJECTS_PER_EXPORT = 256;

const PAGES_PER_EXPORT_MAX = NBD_EXPORT_BYTES_MAX / PAGE_BYTES;

/** What it has to know of its pool. */
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
  readonly description: string;
  readonly byteCount: number;
  readonly pageCount: number;
  readonly pool: ExportPool;
  /** Connections that have chosen it. */
  connectionCount = 0;
  readonly allocation: AllocationMap;
  /** Of its reads. */
  readonly trend = new Trend();
  readonly locks: RangeLocks<PendingRequest>;
  private readonly type: number;
  private readonly handle = new Handle();

  /** `onFree`: a change that has waited for older ones may go on. */
  constructor(
    { name, byteCount }: ExportConfig,
    type: number,
    pool: ExportPool,
    onFree: (pending: PendingRequest) => void,
  ) {
    this.name = name;
    this.description = "memory of a ramster cluster";
    this.byteCount = byteCount;
    this.pageCount = byteCount / PAGE_BYTES;
    this.allocation = new AllocationMap(this.pageCount);
    this.locks = new RangeLocks(onFree);
    this.type = type;
    this.pool = pool;
    this.handle.pool = pool.id;
  }

  /** What the page is stored under. One object, valid until the next call. */
  at(page: number): Handle {
    this.handle.oid0lo = (this.type << 8) | (page & 0xff);
    this.handle.index = Math.floor(page / OBJECTS_PER_EXPORT);
    return this.handle;
  }

  /** A number for the page, of all exports' pages. */
  keyOf(page: number): number {
    return this.type * PAGES_PER_EXPORT_MAX + page;
  }
}
