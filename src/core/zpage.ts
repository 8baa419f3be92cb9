/** A compressed page on its way between memory, a message and a disk. */

/** Where the bytes of a zpage are, and what goes with them. One object is filled for many. */
export interface Zpage {
  bytes: Uint8Array;
  at: number;
  zpageBytes: number;
  codec: number;
  checksum: number;
  version: number;
}

/** One to be filled. */
export function emptyZpage(bytes: Uint8Array = new Uint8Array(0), at = 0): Zpage {
  return { bytes, at, zpageBytes: 0, codec: 0, checksum: 0, version: 0 };
}
