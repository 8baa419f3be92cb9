/** What the protocol has to know of an export. */

/** Requests may begin and end at any byte. */
export const BLOCK_BYTES_MIN = 1;
/** Of one request: what the protocol lets a client send without asking. */
export const BLOCK_BYTES_MAX = 32 * 1024 * 1024;

export interface Device {
  readonly name: string;
  /** One line for a person. */
  readonly description: string;
  readonly byteCount: number;
}
