/**
 * Units of work, of which NBD_SLICE are done in one go: a page that is looked up is one.
 */
import { NBD_SLICE, PAGE_BYTES } from "../core/limits.ts";
import { COMMAND } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";

/** Of a page, and what any request costs. */
export const UNITS = { READ: 8, WRITE: 16, FREE: 2, LOOK: 1, REQUEST: 2 } as const;

const PER_PAGE: ReadonlyMap<number, number> = new Map([
  [COMMAND.READ, UNITS.READ],
  [COMMAND.WRITE, UNITS.WRITE],
  [COMMAND.TRIM, UNITS.FREE],
  [COMMAND.WRITE_ZEROES, UNITS.FREE],
  [COMMAND.CACHE, UNITS.READ],
  [COMMAND.BLOCK_STATUS, UNITS.LOOK],
]);

/** What the request costs of its connection's turn, at most: the rest of it has turns of its own. */
export function unitsOf({ type, byteCount }: Request): number {
  const perPage = PER_PAGE.get(type) ?? 0;
  return UNITS.REQUEST + Math.min(NBD_SLICE, Math.ceil(byteCount / PAGE_BYTES) * perPage);
}
