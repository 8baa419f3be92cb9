/**
 * Memory from the operating system: anonymous mmap, returned with madvise, through bun:ffi and the
 * C library.
 *
 * A region is address space without a reservation (MAP_NORESERVE). It costs nothing until a page of
 * it is touched. `madvise(MADV_DONTNEED)` makes that page free and zero again (madvise(2)).
 *
 * The kernel refuses that for locked memory (mlockall, src/memory/linux-process.ts), except with
 * MADV_DONTNEED_LOCKED since Linux 5.18. Pinned memory is never returned: it is touched when it is
 * reserved, or later if there is much of it (holding.ts), and released by writing zeros.
 *
 * Kept regions (kept-memory.ts) are mapped from a file in memory, and shared. MADV_DONTNEED frees
 * nothing of these, but fallocate(FALLOC_FL_PUNCH_HOLE) does, also where they are locked.
 *
 * Copies use memcpy on plain addresses, which needs no view: 4 ns for 64 bytes and 23 ns for 4 KiB.
 * `subarray` and `set` take 60 to 150 ns.
 */

import { dlopen, type Pointer, toArrayBuffer } from "bun:ffi";
import { assert } from "../core/assert.ts";
import { RamsterError } from "../core/errors.ts";
import { BYTES_PER_MIB, FRAME_BYTES, REGION_WORDS_BYTES_MAX } from "../core/limits.ts";
import type { Kept, Memory, Region, ReserveOptions } from "../core/memory.ts";
import { Addresses } from "./addresses.ts";
import { assertRange, noAddresses } from "./heap-memory.ts";
import type { Holding, Touchable } from "./holding.ts";

// <sys/mman.h>: the same numbers on every Linux that Bun runs on.
const PROT_NONE = 0x0;
const PROT_READ_WRITE = 0x3;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
const MAP_SHARED_NORESERVE = 0x4001;
/** FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of <linux/falloc.h>. */
const PUNCH_HOLE = 0x3;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const MADV_NOHUGEPAGE = 15;
/** Linux 5.14. */
const MADV_POPULATE_WRITE = 23;
const MADV_DONTNEED_LOCKED = 24;

/** The smallest page of any machine. */
const OS_PAGE_BYTES = 4096;

/** Smaller tables use small pages, so that a node with few pages stays small. */
const HUGE_FROM_BYTES = 2 * 1024 * 1024;

/**
 * In swap mode regions up to this size are pinned whole: tables of requests, batches, heads.
 */
const PINNED_WHOLE_BYTES_MAX = 4 * 1024 * 1024;

/** Available memory that is left to other programs. */
const LEFT_BYTES = 64 * BYTES_PER_MIB;

function openLibc(path: string) {
  return dlopen(path, {
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
    munmap: { args: ["ptr", "u64"], returns: "i32" },
    mprotect: { args: ["ptr", "u64", "i32"], returns: "i32" },
    madvise: { args: ["ptr", "u64", "i32"], returns: "i32" },
    memcpy: { args: ["ptr", "ptr", "u64"], returns: "void" },
    fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
    memset: { args: ["ptr", "i32", "u64"], returns: "void" },
  }).symbols;
}

type Libc = ReturnType<typeof openLibc>;

/** A file in memory that a region is mapped from. */
export interface RegionFile {
  readonly fd: number;
  readonly kept: Kept | null;
  /** Of what a predecessor left. */
  readonly residentBytes: number;
}

export class FfiMemory implements Memory {
  readonly journal = null;
  private readonly libc: Libc;
  private readonly addresses = new Addresses();
  private readonly holding: Holding | null;

  /**
   * Throws when bun:ffi is missing, or the C library cannot be opened at `path`: see
   * open-memory.ts. `holding` null: only the `pinnedBytes` of `reserve` are pinned.
   */
  constructor(path: string, holding: Holding | null) {
    this.libc = openLibc(path);
    this.holding = holding;
  }

  reserve(byteCount: number, options: ReserveOptions = { pinnedBytes: 0 }): Region {
    return this.map(byteCount, options, null);
  }

  /** The same, from a file of that length if there is one. What it has stays. */
  map(byteCount: number, options: ReserveOptions, file: RegionFile | null): Region {
    // What a predecessor kept has its memory.
    const newBytes = Math.max(0, options.pinnedBytes - (file?.residentBytes ?? 0));
    if (newBytes > PINNED_WHOLE_BYTES_MAX) this.checkAvailable(newBytes);
    const whole = this.holding !== null && byteCount <= PINNED_WHOLE_BYTES_MAX;
    const pinnedBytes = whole ? byteCount : options.pinnedBytes;
    // In swap mode all memory is resident before the first page is put.
    const grows = options.grows === true && this.holding === null && pinnedBytes === 0;
    const shape = { byteCount, pinnedBytes, grows, file };
    const region = new FfiRegion(this.libc, this.addresses, shape);
    if (this.holding !== null && pinnedBytes > PINNED_WHOLE_BYTES_MAX) {
      this.holding.expect(region, newBytes);
    } else if (pinnedBytes > 0) region.touch(0, pinnedBytes);
    return region;
  }

  /** Touching more than is available would end this process, or others, without an error. */
  private checkAvailable(pinnedBytes: number): void {
    if (this.holding === null) return;
    const { holding } = this;
    const availableBytes = Math.max(
      0,
      holding.availableBytes() - LEFT_BYTES - holding.pendingBytes,
    );
    if (pinnedBytes <= availableBytes) return;
    const [wanted, available] = [pinnedBytes, availableBytes].map((it) => {
      return `${Math.floor(it / BYTES_PER_MIB)}MiB`;
    });
    const detail = `${available} are available: use less --memory, smaller exports, or --no-swap`;
    throw new RamsterError(
      "NO_MEMORY",
      `Cannot pin another ${wanted} of memory for swap mode: ${detail}`,
    );
  }

  copy(
    target: Uint8Array,
    targetOffset: number,
    source: Uint8Array,
    sourceOffset: number,
    byteCount: number,
  ): void {
    assertRange(target.byteLength, targetOffset, byteCount);
    assertRange(source.byteLength, sourceOffset, byteCount);
    if (byteCount === 0) return; // An empty array has no address.
    const to = this.addresses.of(target) + targetOffset;
    const from = this.addresses.of(source) + sourceOffset;
    this.libc.memcpy(to as Pointer, from as Pointer, byteCount);
  }
}

interface RegionShape {
  readonly byteCount: number;
  readonly pinnedBytes: number;
  readonly grows: boolean;
  readonly file: RegionFile | null;
}

class FfiRegion implements Region, Touchable {
  readonly byteCount: number;
  private readonly libc: Libc;
  private readonly addresses: Addresses;
  private readonly address: number;
  private readonly file: RegionFile | null;
  readonly pinnedBytes: number;
  private isClosed = false;
  private table: Int32Array | null = null;
  /** Usable bytes from the start. The rest has PROT_NONE: touching it raises SIGSEGV. */
  private usableBytes: number;

  constructor(libc: Libc, addresses: Addresses, shape: RegionShape) {
    const { byteCount, pinnedBytes, grows, file } = shape;
    assert(byteCount > 0 && byteCount % FRAME_BYTES === 0);
    assert(pinnedBytes >= 0 && pinnedBytes <= byteCount && pinnedBytes % FRAME_BYTES === 0);
    const flags = file === null ? MAP_PRIVATE_ANONYMOUS_NORESERVE : MAP_SHARED_NORESERVE;
    const protection = grows ? PROT_NONE : PROT_READ_WRITE;
    const address = libc.mmap(null, byteCount, protection, flags, file?.fd ?? -1, 0) as
      | number
      | null;
    // MAP_FAILED is the all-ones pointer: as a number it is far above any address.
    if (address === null || address <= 0 || address > Number.MAX_SAFE_INTEGER) {
      throw noAddresses(byteCount);
    }
    this.libc = libc;
    this.addresses = addresses;
    this.address = address;
    this.byteCount = byteCount;
    this.file = file;
    this.pinnedBytes = pinnedBytes;
    this.usableBytes = grows ? 0 : byteCount;
    // A huge page for a small table would take more memory than is pinned.
    const isSmall = pinnedBytes > 0 && pinnedBytes < HUGE_FROM_BYTES;
    this.advise(0, isSmall ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  }

  get kept(): Kept | null {
    return this.file?.kept ?? null;
  }

  touch(offset: number, byteCount: number): void {
    if (this.isClosed) return;
    const address = (this.address + offset) as Pointer;
    if (this.libc.madvise(address, byteCount, MADV_POPULATE_WRITE) === 0) return;
    const bytes = new Uint8Array(toArrayBuffer(address, 0, byteCount));
    for (let at = 0; at < byteCount; at += OS_PAGE_BYTES) Atomics.add(bytes, at, 0);
  }

  grow(byteCount: number): boolean {
    assertRange(this.byteCount, 0, byteCount);
    const more = Math.ceil(byteCount / FRAME_BYTES) * FRAME_BYTES - this.usableBytes;
    if (more <= 0) return true;
    const address = (this.address + this.usableBytes) as Pointer;
    if (this.libc.mprotect(address, more, PROT_READ_WRITE) !== 0) return false;
    this.usableBytes += more;
    return true;
  }

  read(offset: number, target: Uint8Array, targetOffset: number, byteCount: number): void {
    assertRange(this.usableBytes, offset, byteCount);
    assertRange(target.byteLength, targetOffset, byteCount);
    if (byteCount === 0) return;
    const to = this.addresses.of(target) + targetOffset;
    this.libc.memcpy(to as Pointer, (this.address + offset) as Pointer, byteCount);
  }

  write(offset: number, source: Uint8Array, sourceOffset: number, byteCount: number): void {
    assertRange(this.usableBytes, offset, byteCount);
    assertRange(source.byteLength, sourceOffset, byteCount);
    if (byteCount === 0) return;
    const from = this.addresses.of(source) + sourceOffset;
    this.libc.memcpy((this.address + offset) as Pointer, from as Pointer, byteCount);
  }

  move(from: number, to: number, byteCount: number): void {
    assertRange(this.usableBytes, from, byteCount);
    assertRange(this.usableBytes, to, byteCount);
    assert(Math.abs(from - to) >= byteCount, "The ranges of the move overlap");
    if (byteCount === 0) return;
    const target = (this.address + to) as Pointer;
    this.libc.memcpy(target, (this.address + from) as Pointer, byteCount);
  }

  words(): Int32Array {
    assert(this.byteCount <= REGION_WORDS_BYTES_MAX);
    if (this.table === null) {
      this.table = new Int32Array(toArrayBuffer(this.address as Pointer, 0, this.byteCount));
      this.advise(0, MADV_NOHUGEPAGE);
      if (this.byteCount > HUGE_FROM_BYTES) this.advise(HUGE_FROM_BYTES, MADV_HUGEPAGE);
    }
    return this.table;
  }

  release(offset: number, byteCount: number): void {
    assertRange(this.usableBytes, offset, byteCount);
    assert(offset % FRAME_BYTES === 0 && byteCount % FRAME_BYTES === 0);
    const pinned = Math.min(Math.max(this.pinnedBytes - offset, 0), byteCount);
    if (pinned > 0) this.clear(offset, pinned);
    if (pinned < byteCount) this.giveBack(offset + pinned, byteCount - pinned);
  }

  private giveBack(offset: number, byteCount: number): void {
    const address = (this.address + offset) as Pointer;
    if (this.file !== null) {
      const isGone = this.libc.fallocate(this.file.fd, PUNCH_HOLE, offset, byteCount) === 0;
      if (!isGone) this.clear(offset, byteCount);
    } else if (this.libc.madvise(address, byteCount, MADV_DONTNEED) !== 0) {
      // The range is locked. A kernel without MADV_DONTNEED_LOCKED keeps it, as zeros.
      const isGone = this.libc.madvise(address, byteCount, MADV_DONTNEED_LOCKED) === 0;
      if (!isGone) this.clear(offset, byteCount);
    }
    if (this.table !== null) return; // A table is released as a whole.
    // Otherwise the kernel would fill the holes with huge pages, which takes the memory again.
    const whole = byteCount === this.byteCount;
    this.advise(this.pinnedBytes, whole ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }

  /** Writes zeros, which makes the range resident. */
  private clear(offset: number, byteCount: number): void {
    this.libc.memset((this.address + offset) as Pointer, 0, byteCount);
  }

  /** Advises from `offset` to the end. A kernel without huge pages refuses, which is harmless. */
  private advise(offset: number, advice: number): void {
    const address = (this.address + offset) as Pointer;
    this.libc.madvise(address, this.byteCount - offset, advice);
  }

  close(): void {
    this.isClosed = true;
    this.table = null;
    this.libc.munmap(this.address as Pointer, this.byteCount);
  }
}
