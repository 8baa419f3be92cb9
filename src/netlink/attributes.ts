/**
 * Attributes of netlink messages (linux/netlink.h, struct nlattr): length and type, two bytes each
 * in the order of the machine, and then the value, padded to four bytes.
 */

const HEADER_BYTES = 4;
/** NLA_F_NESTED: the value is attributes. */
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

export function attribute(type: number, value: Uint8Array): Uint8Array {
  const length = HEADER_BYTES + value.byteLength;
  const bytes = new Uint8Array(padded(length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, type, true);
  bytes.set(value, HEADER_BYTES);
  return bytes;
}

export function u32Attribute(type: number, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, true);
  return attribute(type, new Uint8Array(view.buffer));
}

export function u64Attribute(type: number, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return attribute(type, new Uint8Array(view.buffer));
}

export function textAttribute(type: number, text: string): Uint8Array {
  return attribute(type, new TextEncoder().encode(`${text}\0`));
}

export function nestedAttribute(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return attribute(type | NESTED, joined(parts));
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The values of the attributes by type. A length that cannot be right ends the list. */
export function readAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER_BYTES <= bytes.byteLength; ) {
    const length = view.getUint16(at, true);
    if (length < HEADER_BYTES || at + length > bytes.byteLength) break;
    const value = bytes.subarray(at + HEADER_BYTES, at + length);
    found.set(view.getUint16(at + 2, true) & TYPE_MASK, value);
    at += padded(length);
  }
  return found;
}

export function padded(length: number): number {
  return (length + 3) & ~3;
}
