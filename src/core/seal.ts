/**
 * Seal: what makes a zpage unreadable and unforgeable for whoever keeps it. Given from outside, so
 * that what moves pages knows no cipher; the implementation is security/page-seal.ts.
 *
 * A seal binds the bytes to handle, version, codec and length. It is as long as what it seals: the
 * tag, which tells whether anything was changed, stays with the owner, SEAL_TAG_WORDS words a page.
 */
import type { Handle } from "./handle.ts";

/** 96 bits: what NIST SP 800-38D, 5.2.1.2, allows, and what fits whole words. */
export const SEAL_TAG_WORDS = 3;

/** A zpage, and what it is bound to beside its handle. */
export interface Sealable {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly zpageBytes: number;
  readonly codec: number;
  readonly version: number;
}

export interface Seal {
  /**
   * Seals the zpage where it is, and leaves its tag in `tag`. A version must always come with the
   * same bytes, codec and handle; then it gives the same sealed bytes and tag every time.
   */
  seal(handle: Handle, zpage: Sealable, tag: Int32Array): void;
  /**
   * Opens the sealed zpage into `target`, from its start. The zpage stays as it is.
   *
   * @returns false, with nothing in `target`, when it is not what was sealed to the last bit.
   */
  open(handle: Handle, zpage: Sealable, tag: Int32Array, target: Uint8Array): boolean;
}
