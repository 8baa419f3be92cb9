/**
 * Keys: what programs call a page, and the object id and index that stand for it.
 *
 *     { oid, index }     that page of that object
 *     "user:42"          page 0 of an object whose id is a hash of the text
 *     7                  page 7 of the object 0; 2^32 such pages an object
 *
 * The hash is the first 192 bits of SHA-256 over the text in UTF-8. Among 2^40 texts two have the
 * same with a chance of 2^-113, and one that looks like a number's object is as unlikely.
 *
 * Pages that a program numbers, and pages of one object, take less memory at the node than pages
 * with texts, since neighbours share a row of its index.
 */
import { createHash, type Hash } from "node:crypto";
import type { Oid } from "../core/handle.ts";
import { badArgument, display, isU32 } from "./arguments.ts";

/** An object: its id, or a text that stands for it. */
export type ObjectKey = Oid | string;

export interface PageKey {
  oid: ObjectKey;
  /** 0 .. 2^32 - 1. */
  index: number;
}

/** A page: its object and index, a text, or a whole number below 2^53. */
export type Key = PageKey | string | number;

/** A key with its object id. */
export interface ResolvedKey {
  readonly oid: Oid;
  readonly index: number;
}

const U64_END = 2n ** 64n;
const U32_END = 2 ** 32;

/** A key of its own: later changes of `key` are not in it. Throws BAD_CONFIG for what is no key. */
export function resolveKey(key: Key): ResolvedKey {
  if (typeof key === "string") return { oid: oidOfText(key), index: 0 };
  if (typeof key === "number") return resolveNumber(key);
  if (typeof key !== "object" || key === null) throw badArgument(`Cannot use key ${display(key)}`);
  const { oid, index } = key;
  if (!isU32(index)) {
    throw badArgument(`Cannot use index ${display(index)}: not an unsigned 32-bit integer`);
  }
  return { oid: resolveObject(oid), index };
}

/** An id of its own. Throws RamsterError BAD_CONFIG for what is no object id. */
export function resolveObject(oid: ObjectKey): Oid {
  if (typeof oid === "string") return oidOfText(oid);
  if (Array.isArray(oid) && oid.length === 3) {
    const [high, middle, low] = oid as Oid;
    if (isWord(high) && isWord(middle) && isWord(low)) return [high, middle, low];
  }
  throw badArgument(`Cannot use oid ${display(oid)}: not three unsigned 64-bit words`);
}

function isWord(word: unknown): boolean {
  return typeof word === "bigint" && word >= 0n && word < U64_END;
}

/** The first 192 bits of SHA-256 over the parts, one after the other. */
export function oidOf(...parts: readonly (string | Uint8Array)[]): Oid {
  return readOid(sha256(...parts).digest(), 0);
}

export type Sha256 = Hash;

/** SHA-256 over the parts, one after the other, and over what it is updated with later. */
export function sha256(...parts: readonly (string | Uint8Array)[]): Sha256 {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash;
}

export function readOid(bytes: Uint8Array, at: number): Oid {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [view.getBigUint64(at), view.getBigUint64(at + 8), view.getBigUint64(at + 16)];
}

/** Throws RamsterError BAD_CONFIG for a text that has no form in UTF-8. */
export function checkText(text: string): void {
  if (text.isWellFormed()) return;
  throw badArgument(`Cannot use key ${JSON.stringify(text)}: half a surrogate pair has no UTF-8`);
}

function oidOfText(text: string): Oid {
  checkText(text);
  return oidOf(text);
}

function resolveNumber(number: number): ResolvedKey {
  if (!Number.isSafeInteger(number) || number < 0) {
    throw badArgument(`Cannot use key "${number}": not a whole number from 0 to 2^53 - 1`);
  }
  const object = Math.floor(number / U32_END);
  return { oid: [0n, 0n, BigInt(object)], index: number % U32_END };
}
