/**
 * The handshake: HELLO, the first message each way. The side that connected sends it as a request.
 * The other side replies with its own, or with a handler status and a reason in one line.
 *
 *      0   role, u8                 1   reserved, 0           2   node number, u16
 *      4   page size, u32           8   boot id, u64         16   features, u32
 *     20   codecs, u32, bit `id` set for each whose zpages this side takes
 *     24   keepalive ms, u32       28   idle ms, u32
 *     32   cluster name: length u8, UTF-8                    then node name: the same
 *
 * The smaller of both timeouts is used. The original requires equal ones.
 */
import { assert } from "../core/assert.ts";
import { WireError } from "../core/errors.ts";
import { NAME_BYTES_MAX, PAGE_BYTES } from "../core/limits.ts";
import type { Frame } from "./framer.ts";

export const ROLE = { PEER: 1, CLIENT: 2, CLIENT_DOOR: 3 } as const;

/** Bits of the features: optional things that a side asks for. */
export const FEATURE = {
  /** The side does not gossip. The other side sends on the link what it lends. */
  OFFERS: 1,
} as const;

export interface Hello {
  readonly role: number;
  readonly node: number;
  readonly pageBytes: number;
  /**
   * A random number of each start. The same node with another boot id has lost all its pages.
   */
  readonly bootId: bigint;
  readonly features: number;
  readonly codecs: number;
  readonly keepaliveMs: number;
  readonly idleMs: number;
  readonly clusterName: string;
  readonly nodeName: string;
}

const FIXED_BYTES = 32;
export const HELLO_BYTES_MAX = FIXED_BYTES + 2 * (1 + NAME_BYTES_MAX);

/** The HELLO of a program to a client door. It is no node and belongs to no cluster. */
export function clientHello(): Hello {
  return {
    role: ROLE.CLIENT,
    node: 0,
    pageBytes: PAGE_BYTES,
    bootId: 0n,
    features: 0,
    codecs: 0,
    keepaliveMs: 0,
    idleMs: 0,
    clusterName: "",
    nodeName: "",
  };
}

/**
 * Writes the body at `view[at]`, which has room for HELLO_BYTES_MAX. Both names fit NAME_BYTES_MAX.
 *
 * @returns its length.
 */
export function encodeHello(hello: Hello, view: DataView, at: number): number {
  view.setUint8(at, hello.role);
  view.setUint8(at + 1, 0);
  view.setUint16(at + 2, hello.node);
  view.setUint32(at + 4, hello.pageBytes);
  view.setBigUint64(at + 8, hello.bootId);
  view.setUint32(at + 16, hello.features);
  view.setUint32(at + 20, hello.codecs);
  view.setUint32(at + 24, hello.keepaliveMs);
  view.setUint32(at + 28, hello.idleMs);
  let end = at + FIXED_BYTES;
  for (const name of [hello.clusterName, hello.nodeName]) {
    const room = new Uint8Array(view.buffer, view.byteOffset + end + 1, NAME_BYTES_MAX);
    const { read, written } = new TextEncoder().encodeInto(name, room);
    assert(read === name.length, "a name is over NAME_BYTES_MAX"); // Checked in node/config.ts.
    view.setUint8(end, written);
    end += 1 + written;
  }
  return end - at;
}

/** Reads a body. Throws WireError BAD_HANDSHAKE when it is invalid. */
export function decodeHello(view: DataView, at: number, bodyBytes: number): Hello {
  const names: string[] = [];
  const reason = readNames(view, at, bodyBytes, names);
  if (reason !== null) throw new WireError("BAD_HANDSHAKE", `Cannot read HELLO: ${reason}`);
  const [clusterName = "", nodeName = ""] = names;
  return {
    role: view.getUint8(at),
    node: view.getUint16(at + 2),
    pageBytes: view.getUint32(at + 4),
    bootId: view.getBigUint64(at + 8),
    features: view.getUint32(at + 16),
    codecs: view.getUint32(at + 20),
    keepaliveMs: view.getUint32(at + 24),
    idleMs: view.getUint32(at + 28),
    clusterName,
    nodeName,
  };
}

/** Why the body of a HELLO is invalid, or null. */
export function invalidHelloBody(frame: Frame): string | null {
  return readNames(frame.view, frame.bodyAt, frame.bodyBytes, []);
}

/**
 * Appends both names to `names`. @returns why the body is invalid, or null. This checks all of it.
 */
function readNames(view: DataView, at: number, bodyBytes: number, names: string[]): string | null {
  if (bodyBytes < FIXED_BYTES) return "fields are cut";
  if (view.getUint8(at + 1) !== 0) return "reserved byte is not 0";
  const end = at + bodyBytes;
  let nameAt = at + FIXED_BYTES;
  for (let i = 0; i < 2; i += 1) {
    if (nameAt >= end) return "name is cut";
    const nameBytes = view.getUint8(nameAt);
    if (nameBytes > NAME_BYTES_MAX) return `name of ${nameBytes} bytes is over ${NAME_BYTES_MAX}`;
    if (nameAt + 1 + nameBytes > end) return "name is cut";
    const bytes = new Uint8Array(view.buffer, view.byteOffset + nameAt + 1, nameBytes);
    const name = utf8OrNull(bytes);
    if (name === null) return "name is not UTF-8";
    names.push(name);
    nameAt += 1 + nameBytes;
  }
  return nameAt === end ? null : "body goes on after its fields";
}

/** Nothing is replaced or left out: names that differ in bytes must differ as text. */
function utf8OrNull(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null; // The decoder throws for nothing else.
  }
}

/**
 * Why these two sides cannot work together, as one line for both, or null. The caller checks roles.
 */
export function checkHello(mine: Hello, theirs: Hello): string | null {
  if (theirs.pageBytes !== mine.pageBytes) {
    return `page size is ${theirs.pageBytes} there and ${mine.pageBytes} here`;
  }
  if (theirs.role !== ROLE.PEER) return null;
  if (theirs.clusterName !== mine.clusterName) {
    return `cluster is "${theirs.clusterName}" there and "${mine.clusterName}" here`;
  }
  const missing = mine.codecs & ~theirs.codecs;
  if (missing !== 0) return `it does not take codec ${31 - Math.clz32(missing & -missing)}`;
  return null;
}

/** The times that both sides use: the smaller of each. The link has a lower bound for both. */
export function negotiate(mine: Hello, theirs: Hello): { keepaliveMs: number; idleMs: number } {
  const idleMs = Math.min(mine.idleMs, theirs.idleMs);
  const keepaliveMs = Math.min(mine.keepaliveMs, theirs.keepaliveMs);
  return { keepaliveMs: Math.min(keepaliveMs, Math.max(1, Math.floor(idleMs / 2))), idleMs };
}
