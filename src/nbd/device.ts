/** What the protocol needs to know about an export. */

/** Requests may begin and end at any byte. */
export const BLOCK_BYTES_MIN = 1;
/** The longest request: what clients may send by default (doc/proto.md, "Size constraints"). */
export const BLOCK_BYTES_MAX = 32 * 1024 * 1024;

export interface Device {
  readonly name: string;
  /** One line for a person. */
  readonly description: string;
  readonly byteCount: number;
}
