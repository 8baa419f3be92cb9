/**
 * Seal: makes a zpage unreadable and unforgeable for its holders. It is given from outside, so that
 * the code that moves pages knows no cipher. The implementation is security/page-seal.ts.
 *
 * A seal binds the bytes to handle, version, codec and length. A sealed zpage keeps its length.
 * Its tag, which proves that nothing was changed, stays with the owner: SEAL_TAG_WORDS words.
 */
import type { Handle } from "./handle.ts";

/** 96 bits: what NIST SP 800-38D, 5.2.1.2, allows, and what fits whole words. */
export const SEAL_TAG_WORDS = 3;

/** A zpage, and what its seal binds beside the handle. */
export interface Sealable {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly zpageBytes: number;
  readonly codec: number;
  readonly version: number;
}

export interface Seal {
  /**
   * Seals the zpage in place and writes its tag to `tag`. A version must always have the same
   * bytes, codec and handle. It then gives the same sealed bytes and tag every time.
   */
  seal(handle: Handle, zpage: Sealable, tag: Int32Array): void;
  /**
   * Opens the sealed zpage into the start of `target`. The zpage stays as it is.
   *
   * @returns false, with nothing in `target`, when any bit differs from what was sealed.
   */
  open(handle: Handle, zpage: Sealable, tag: Int32Array, target: Uint8Array): boolean;
}
