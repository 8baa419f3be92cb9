/** Bodies of the client's own messages that more than one file reads or writes. */
import {
  OPEN_POOL_BYTES,
  OPEN_POOL_TOKEN_OFFSET,
  POOL_TOKEN_BYTES,
} from "../wire/client-entries.ts";
import type { Frame } from "../wire/framer.ts";
import { badArgument, display, isU16 } from "./arguments.ts";

/** The body of OPEN_POOL. Throws RamsterError BAD_CONFIG for an invalid number or token. */
export function openPoolBody(id: number, token: string): Uint8Array {
  if (!isU16(id)) throw badArgument(`Cannot open pool ${display(id)}: not a number of a pool`);
  if (
    typeof token !== "string" ||
    !/^[0-9a-f]+$/.test(token) ||
    token.length !== 2 * POOL_TOKEN_BYTES
  ) {
    // The token is not quoted: it may be that of another pool.
    const what = `a token has ${2 * POOL_TOKEN_BYTES} hexadecimal digits`;
    throw badArgument(`Cannot open pool ${id}: ${what}`);
  }
  const body = new Uint8Array(OPEN_POOL_BYTES);
  new DataView(body.buffer).setUint16(0, id);
  for (let i = 0; i < POOL_TOKEN_BYTES; i += 1) {
    body[OPEN_POOL_TOKEN_OFFSET + i] = Number.parseInt(token.slice(2 * i, 2 * i + 2), 16);
  }
  return body;
}

/** The token in a reply to POOL_TOKEN, in hexadecimal. */
export function tokenOf({ bytes, bodyAt }: Frame): string {
  const token = bytes.subarray(bodyAt, bodyAt + POOL_TOKEN_BYTES);
  return Array.from(token, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The body of a reply that is text. */
export function textOf({ bytes, bodyAt, bodyBytes }: Frame): string {
  return new TextDecoder().decode(bytes.subarray(bodyAt, bodyAt + bodyBytes));
}
