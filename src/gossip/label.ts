/**
 * Label: which cluster a packet or stream belongs to, in clear in front of everything (memberlist's
 * label.go). Encryption authenticates it.
 *
 *     244 | length, u8, 1 .. 255 | label | the rest
 *
 * Serf does not know labels, so a cluster that Serf is to join has none.
 */
import { WireError } from "../core/errors.ts";
import { GOSSIP } from "./messages.ts";

/** The bytes in front: none for an empty label. */
export function labelHeader(label: string): Uint8Array {
  const text = new TextEncoder().encode(label);
  if (text.byteLength === 0) return text;
  const header = new Uint8Array(2 + text.byteLength);
  header[0] = GOSSIP.HAS_LABEL;
  header[1] = text.byteLength;
  header.set(text, 2);
  return header;
}

/**
 * How many bytes the label takes at the front of `bytes`, once it is known to be `label`; -1 when
 * it is not all there yet. Throws WireError BAD_FRAME for another label, or for one where there
 * should be none.
 */
export function labelEnd(bytes: Uint8Array, label: string): number {
  const header = labelHeader(label);
  const have = Math.min(header.byteLength, bytes.byteLength);
  for (let i = 0; i < have; i += 1) if (bytes[i] !== header[i]) throw foreign();
  if (have < header.byteLength) return -1;
  if (header.byteLength === 0 && bytes[0] === GOSSIP.HAS_LABEL) throw foreign();
  return header.byteLength;
}

function foreign(): WireError {
  return new WireError("BAD_FRAME", "Cannot read gossip: it has the label of another cluster");
}
