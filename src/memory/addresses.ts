/**
 * The addresses of the arrays used last. Bun needs as long for an address as for a short copy, and
 * the page path uses few arrays again and again: staging, and the received chunk.
 */
import { ptr } from "bun:ffi";

/** The bytes of an array this long are outside the collected heap, and never move. */
const STEADY_BYTES_MIN = 4096;

export class Addresses {
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
