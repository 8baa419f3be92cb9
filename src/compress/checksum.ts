/**
 * Checksum of a stored page: CRC-32 (zlib's polynomial) over handle, version and zpage bytes.
 *
 *     crc( handle, 32 bytes || version, u64 || zpage )       started from the seed of the owner
 *
 * The seed separates owners, and the starts of one owner: the same page has another checksum at
 * each. The checksum finds damage and mix-ups. It does not protect against forgery: page-seal.ts.
 *
 * Everything is summed in one scratch array. Its views are made once, one for each length: a view
 * for each page would cost more than its sum.
 *
 *      0                    CHECKSUM_PREFIX_BYTES   CHECKSUM_ZPAGE_OFFSET
 *      | handle | version           |      . . .    | zpage ...
 *      `-------- prefix(40) --------'               `-- zpage(length)
 */
import { AssertionError } from "../core/assert.ts";
import { HANDLE_BYTES } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";

/** Handle and version. */
export const CHECKSUM_PREFIX_BYTES = HANDLE_BYTES + 8;
/**
 * Where in the scratch array the zpage starts: at a chunk, so that the header that is stored in
 * front of a zpage fits too.
 */
export const CHECKSUM_ZPAGE_OFFSET = 64;

export class Checksummer {
  /**
   * Callers write here what is to be summed. The zpage has room for two pages, as in the output
   * buffer of the original.
   */
  readonly scratch = new Uint8Array(CHECKSUM_ZPAGE_OFFSET + 2 * PAGE_BYTES);
  private readonly memory: Memory;
  private readonly prefixViews: readonly Uint8Array[];
  private readonly zpageViews: readonly Uint8Array[];

  constructor(memory: Memory) {
    this.memory = memory;
    this.prefixViews = viewsOf(this.scratch, 0, CHECKSUM_ZPAGE_OFFSET);
    this.zpageViews = viewsOf(this.scratch, CHECKSUM_ZPAGE_OFFSET, PAGE_BYTES);
  }

  /**
   * Continues `seed` over `scratch[0 .. length)`, length at most CHECKSUM_ZPAGE_OFFSET.
   *
   * @returns an unsigned sum.
   */
  prefix(length: number, seed: number): number {
    return Bun.hash.crc32(viewAt(this.prefixViews, length), seed);
  }

  /**
   * Continues `seed` over `length` bytes of the zpage, at most PAGE_BYTES.
   *
   * @returns an unsigned sum.
   */
  zpage(length: number, seed: number): number {
    return Bun.hash.crc32(viewAt(this.zpageViews, length), seed);
  }

  /** Continues `seed` over bytes of another array. Overwrites the zpage of the scratch array. */
  update(seed: number, source: Uint8Array, sourceOffset: number, length: number): number {
    this.memory.copy(this.scratch, CHECKSUM_ZPAGE_OFFSET, source, sourceOffset, length);
    return this.zpage(length, seed);
  }
}

/** The seed of all checksums of an owner: the CRC-32 of its boot id, u64. */
export function ownerSeed(bootId: bigint): number {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, bootId);
  return Bun.hash.crc32(bytes);
}

function viewsOf(scratch: Uint8Array, offset: number, lengthMax: number): Uint8Array[] {
  const view = (_: unknown, length: number) => scratch.subarray(offset, offset + length);
  return Array.from({ length: lengthMax + 1 }, view);
}

function viewAt(views: readonly Uint8Array[], length: number): Uint8Array {
  const view = views[length];
  if (view === undefined) throw new AssertionError(`Cannot sum ${length} bytes at once`);
  return view;
}
