/**
 * OFFER: what a node lends, sent on a link to a node that does not gossip. Byte table: PROTOCOL.md.
 *
 *      0   lend frames, u32         4   free frames, u32
 *      8   flags, u8, bit 0: drained
 *      9   length, u8, and zone in UTF-8; empty: the host of the node
 */
import { assert } from "../core/assert.ts";
import { ZONE_BYTES_MAX } from "../core/limits.ts";
import type { Frame } from "./framer.ts";

export interface OfferBody {
  readonly lendFrames: number;
  readonly freeFrames: number;
  readonly isDrained: boolean;
  readonly zone: string;
}

const FREE = 4;
const FLAGS = 8;
const ZONE_LENGTH = 9;
const ZONE = 10;
const FLAG_DRAINED = 1;
export const OFFER_BYTES_MAX = ZONE + ZONE_BYTES_MAX;

/** Writes the body at `view[at]`, which has room for OFFER_BYTES_MAX. @returns its length. */
export function writeOffer(view: DataView, at: number, offer: OfferBody): number {
  view.setUint32(at, offer.lendFrames);
  view.setUint32(at + FREE, offer.freeFrames);
  view.setUint8(at + FLAGS, offer.isDrained ? FLAG_DRAINED : 0);
  const room = new Uint8Array(view.buffer, view.byteOffset + at + ZONE, ZONE_BYTES_MAX);
  const { read, written } = new TextEncoder().encodeInto(offer.zone, room);
  assert(read === offer.zone.length, "a zone is over ZONE_BYTES_MAX"); // Checked in node/config.ts.
  view.setUint8(at + ZONE_LENGTH, written);
  return ZONE + written;
}

export function readOffer(view: DataView, at: number): OfferBody {
  return {
    lendFrames: view.getUint32(at),
    freeFrames: view.getUint32(at + FREE),
    isDrained: (view.getUint8(at + FLAGS) & FLAG_DRAINED) !== 0,
    zone: zoneOf(view, at) ?? "",
  };
}

/** Validator of OFFER. */
export function invalidOfferBody({ view, bodyAt, bodyBytes }: Frame): string | null {
  if (bodyBytes < ZONE) return "fields are cut";
  if (view.getUint8(bodyAt + FLAGS) > FLAG_DRAINED) return "unknown flags";
  const zoneBytes = view.getUint8(bodyAt + ZONE_LENGTH);
  if (zoneBytes > ZONE_BYTES_MAX) return `zone of ${zoneBytes} bytes is over ${ZONE_BYTES_MAX}`;
  if (bodyBytes !== ZONE + zoneBytes) return "body does not end with the zone";
  return zoneOf(view, bodyAt) === null ? "zone is not UTF-8" : null;
}

/** Null when it is not UTF-8. */
function zoneOf(view: DataView, at: number): string | null {
  const byteCount = view.getUint8(at + ZONE_LENGTH);
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at + ZONE, byteCount);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null; // The decoder throws for nothing else.
  }
}
