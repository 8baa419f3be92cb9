/**
 * Memory from the operating system: anonymous mmap, given back with madvise, through bun:ffi on the
 * C library.
 *
 * A region is address space without a reservation (MAP_NORESERVE): it costs nothing until a page of
 * it is touched, and `madvise(MADV_DONTNEED)` makes that page free and zero again (madvise(2)).
 *
 * The kernel refuses that for locked memory (mlockall, src/memory/linux-process.ts).
 * MADV_DONTNEED_LOCKED does it, since Linux 5.18. Pinned memory is never given back: it is touched
 * when it is reserved, and released by writing zeros.
 *
 * Copies go through memcpy on plain addresses, which needs no view: 4 ns for 64 bytes and 23 ns for
 * 4 KiB where `subarray` and `set` cost 60 to 150.
 */

import { dlopen, type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { assert } from "../core/assert.ts";
import { RamsterError } from "../core/errors.ts";
import { BYTES_PER_MIB, FRAME_BYTES, REGION_WORDS_BYTES_MAX } from "../core/limits.ts";
import type { Memory, Region, ReserveOptions } from "../core/memory.ts";
import { assertRange, noAddresses } from "./heap-memory.ts";

// <sys/mman.h>, the same numbers on every Linux that Bun runs on.
const PROT_NONE = 0x0;
const PROT_READ_WRITE = 0x3;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const MADV_NOHUGEPAGE = 15;
const MADV_DONTNEED_LOCKED = 24;

/** A table smaller than this stays on small pages: a node that keeps little is to stay small. */
const HUGE_FROM_BYTES = 2 * 1024 * 1024;

/**
 * In swap mode a region up to this size is pinned whole: tables of requests, batches, heads.
 */
const PINNED_WHOLE_BYTES_MAX = 4 * 1024 * 1024;

/** What is left of the available memory to other programs. */
const LEFT_BYTES = 64 * BYTES_PER_MIB;

/** For a node under a kernel's swap. */
export interface Holding {
  /** What can be pinned now: what programs can still get before anything is swapped out. */
  readonly availableBytes: () => number;
}

function openLibc(path: string) {
  return dlopen(path, {
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
    munmap: { args: ["ptr", "u64"], returns: "i32" },
    mprotect: { args: ["ptr", "u64", "i32"], returns: "i32" },
    madvise: { args: ["ptr", "u64", "i32"], returns: "i32" },
    memcpy: { args: ["ptr", "ptr", "u64"], returns: "void" },
    memset: { args: ["ptr", "i32", "u64"], returns: "void" },
  }).symbols;
}

type Libc = ReturnType<typeof openLibc>;

/** An array this long has its bytes outside the collected heap, where they never move. */
const STEADY_BYTES_MIN = 4096;

/**
 * Addresses of the arrays used last. Asking Bun for one costs as much as a short copy, and the page
 * path uses the same few arrays page after page: staging, and the chunk that a message came in.
 */
class Addresses {
  private newer: Uint8Array | null = null;
  private newerAddress = 0;
  private older: Uint8Array | null = null;
  private olderAddress = 0;

  of(array: Uint8Array): number {
    if (array === this.newer) return this.newerAddress;
    if (array === this.older) return this.olderAddress;
    const address = ptr(array) as number;
    if (array.byteLength < STEADY_BYTES_MIN) return address;
    this.older = this.newer;
    this.olderAddress = this.newerAddress;
    this.newer = array;
    this.newerAddress = address;
    return address;
  }
}

export class FfiMemory implements Memory {
  private readonly libc: Libc;
  private readonly addresses = new Addresses();
  private readonly holding: Holding | null;

  /**
   * Throws where the C library cannot be opened at `path` or bun:ffi is missing: see
   * open-memory.ts. `holding` null: only what `reserve` asks for is pinned.
   */
  constructor(path: string, holding: Holding | null) {
    this.libc = openLibc(path);
    this.holding = holding;
  }

  reserve(byteCount: number, options: ReserveOptions = { pinnedBytes: 0 }): Region {
    if (options.pinnedBytes > PINNED_WHOLE_BYTES_MAX) this.checkAvailable(options.pinnedBytes);
    const whole = this.holding !== null && byteCount <= PINNED_WHOLE_BYTES_MAX;
    const pinnedBytes = whole ? byteCount : options.pinnedBytes;
    // In swap mode all memory is there before a page comes.
    const grows = options.grows === true && this.holding === null && pinnedBytes === 0;
    return new FfiRegion(this.libc, this.addresses, { byteCount, pinnedBytes, grows });
  }

  /** Touching more than there is ends the process, or the programs around it, without a word. */
  private checkAvailable(pinnedBytes: number): void {
    if (this.holding === null) return;
    const availableBytes = Math.max(0, this.holding.availableBytes() - LEFT_BYTES);
    if (pinnedBytes <= availableBytes) return;
    const [wanted, available] = [pinnedBytes, availableBytes].map((it) => {
      return `${Math.floor(it / BYTES_PER_MIB)}MiB`;
    });
    const detail = `${available} are available, use less --memory, smaller exports, or --no-swap`;
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
}

class FfiRegion implements Region {
  readonly byteCount: number;
  private readonly libc: Libc;
  private readonly addresses: Addresses;
  private readonly address: number;
  private readonly pinnedBytes: number;
  private table: Int32Array | null = null;
  /** From the start: what may be touched. The rest has PROT_NONE, and touching it is a SIGSEGV. */
  private usableBytes: number;

  constructor(libc: Libc, addresses: Addresses, { byteCount, pinnedBytes, grows }: RegionShape) {
    assert(byteCount > 0 && byteCount % FRAME_BYTES === 0);
    assert(pinnedBytes >= 0 && pinnedBytes <= byteCount && pinnedBytes % FRAME_BYTES === 0);
    const flags = MAP_PRIVATE_ANONYMOUS_NORESERVE;
    const protection = grows ? PROT_NONE : PROT_READ_WRITE;
    const address = libc.mmap(null, byteCount, protection, flags, -1, 0) as number | null;
    // MAP_FAILED is the all-ones pointer, which arrives as a number far above any address.
    if (address === null || address <= 0 || address > Number.MAX_SAFE_INTEGER) {
      throw noAddresses(byteCount);
    }
    this.libc = libc;
    this.addresses = addresses;
    this.address = address;
    this.byteCount = byteCount;
    this.pinnedBytes = pinnedBytes;
    this.usableBytes = grows ? 0 : byteCount;
    // A huge page for a small table would take more than is pinned.
    const isSmall = pinnedBytes > 0 && pinnedBytes < HUGE_FROM_BYTES;
    this.advise(0, isSmall ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    if (pinnedBytes > 0) this.clear(0, pinnedBytes);
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
    if (this.libc.madvise(address, byteCount, MADV_DONTNEED) !== 0) {
      // It is locked. A kernel that does not know the other advice leaves it here, as zeros.
      const isGone = this.libc.madvise(address, byteCount, MADV_DONTNEED_LOCKED) === 0;
      if (!isGone) this.clear(offset, byteCount);
    }
    if (this.table !== null) return; // A table is released as a whole.
    // The kernel would make holes into huge pages again, and give the memory back to us.
    const whole = byteCount === this.byteCount;
    this.advise(this.pinnedBytes, whole ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }

  /** Writes zeros, which makes the range resident. */
  private clear(offset: number, byteCount: number): void {
    this.libc.memset((this.address + offset) as Pointer, 0, byteCount);
  }

  /** From `offset` to the end. A kernel without huge pages refuses, which changes nothing. */
  private advise(offset: number, advice: number): void {
    const address = (this.address + offset) as Pointer;
    this.libc.madvise(address, this.byteCount - offset, advice);
  }

  close(): void {
    this.table = null;
    this.libc.munmap(this.address as Pointer, this.byteCount);
  }
}
