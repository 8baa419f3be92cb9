/** Units of work: looking up one page is one unit, and NBD_SLICE of them are done in one go. */
import { NBD_SLICE, PAGE_BYTES } from "../core/limits.ts";
import { COMMAND } from "../nbd/protocol.ts";
import type { Request } from "../nbd/request.ts";

/** Cost of a page that is read, written, freed or looked up, and of any request. */
export const UNITS = { READ: 8, WRITE: 16, FREE: 2, LOOK: 1, REQUEST: 2 } as const;

const PER_PAGE: ReadonlyMap<number, number> = new Map([
  [COMMAND.READ, UNITS.READ],
  [COMMAND.WRITE, UNITS.WRITE],
  [COMMAND.TRIM, UNITS.FREE],
  [COMMAND.WRITE_ZEROES, UNITS.FREE],
  [COMMAND.CACHE, UNITS.READ],
  [COMMAND.BLOCK_STATUS, UNITS.LOOK],
]);

/** What the request costs its connection's turn; a pending request continues in its own turns. */
export function unitsOf({ type, byteCount }: Request): number {
  const perPage = PER_PAGE.get(type) ?? 0;
  return UNITS.REQUEST + Math.min(NBD_SLICE, Math.ceil(byteCount / PAGE_BYTES) * perPage);
}
