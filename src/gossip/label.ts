/**
 * Label: the name of a cluster, in clear in front of a packet or a stream (memberlist's label.go).
 * Encryption authenticates it.
 *
 *     244 | length, u8, 1 .. 255 | label | the rest
 *
 * Every packet has it. In a stream only the side that dials writes it. The answer has no label, but
 * its encryption authenticates the label too.
 *
 * Serf does not know labels, so a cluster with Serf agents has none.
 */
import { WireError } from "../core/errors.ts";
import { GOSSIP } from "./messages.ts";

const HEADER_BYTES = 2;

/** The header of a label: no bytes for an empty one. */
export function labelHeader(label: string): Uint8Array {
  const text = labelBytes(label);
  if (text.byteLength === 0) return text;
  const header = new Uint8Array(HEADER_BYTES + text.byteLength);
  header[0] = GOSSIP.HAS_LABEL;
  header[1] = text.byteLength;
  header.set(text, HEADER_BYTES);
  return header;
}

/** The bytes that encryption authenticates. */
export function labelBytes(label: string): Uint8Array {
  return new TextEncoder().encode(label);
}

/**
 * Where the header of `label` ends in `bytes`; -1 while it is incomplete. Throws WireError
 * BAD_FRAME for another label, an unexpected label, and two labels.
 */
export function labelEnd(bytes: Uint8Array, label: string): number {
  const header = labelHeader(label);
  const have = Math.min(header.byteLength, bytes.byteLength);
  for (let i = 0; i < have; i += 1) if (bytes[i] !== header[i]) throw foreign();
  if (have < header.byteLength) return -1;
  if (bytes[header.byteLength] !== GOSSIP.HAS_LABEL) return header.byteLength;
  throw header.byteLength === 0 ? foreign() : malformed("it has two labels");
}

function foreign(): WireError {
  return malformed("it has the label of another cluster");
}

function malformed(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read gossip: ${reason}`);
}
