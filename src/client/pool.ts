/**
 * Pool: the pages of one tmem pool, seen from a program. Made by Client.newPool or Client.openPool.
 *
 * Batches are cut into messages of CLIENT_GET_COUNT_MAX pages that travel together: one round trip
 * for all of them.
 */

import { RamsterError } from "../core/errors.ts";
import { HANDLE_BYTES, Handle, type Oid } from "../core/handle.ts";
import { CLIENT_GET_COUNT_MAX, PAGE_BYTES } from "../core/limits.ts";
import { STATUS, statusName } from "../core/status.ts";
import {
  PAGE_GET_ENTRY_BYTES,
  PAGE_PUT_ENTRY_BYTES,
  POOL_TOKEN_BYTES,
  writeGetAndFree,
} from "../wire/client-entries.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import { PageError } from "./errors.ts";
import type { Requester } from "./requester.ts";

/** "ok", or why the put was refused. A refused put leaves nothing under the handle. */
export type PutResult = { stored: true } | { stored: false; reason: string };

export interface PutEntry {
  oid: Oid;
  index: number;
  /** PAGE_BYTES long. */
  page: Uint8Array;
}

export interface PageKey {
  oid: Oid;
  index: number;
}

export interface GetOptions {
  /**
   * Whether the page is removed: "default", when its pool is ephemeral; "always"; "never". The
   * original's get_and_free.
   */
  remove?: "default" | "always" | "never";
}

const GET_AND_FREE = { never: -1, default: 0, always: 1 } as const;

const U64_END = 2n ** 64n;
const U32_END = 2 ** 32;

export class Pool {
  /** The node's number for it. Another connection opens it by this and its token. */
  readonly id: number;
  private readonly requester: Requester;
  private readonly handle = new Handle();

  constructor(requester: Requester, id: number) {
    this.requester = requester;
    this.id = id;
  }

  /**
   * Stores one page. Throws RamsterError BAD_CONFIG for an invalid oid, index or page, and CLOSED
   * when the node is gone.
   */
  async put(oid: Oid, index: number, page: Uint8Array): Promise<PutResult> {
    const [result] = await this.putMany([{ oid, index, page }]);
    return result ?? { stored: false, reason: statusName(STATUS.BAD_REQUEST) };
  }

  /** Stores pages. A page that is refused does not affect the others. */
  async putMany(entries: readonly PutEntry[]): Promise<PutResult[]> {
    for (const entry of entries) {
      checkKey(entry);
      checkPage(entry.page);
    }
    const results: PutResult[] = new Array(entries.length);
    await Promise.all(
      chunksOf(entries, CLIENT_GET_COUNT_MAX).map(async ({ from, items }) => {
        await this.requester.request(
          MESSAGE.PAGE_PUT,
          { count: items.length, bodyBytesMax: items.length * PAGE_PUT_ENTRY_BYTES },
          (bytes, view, at) => {
            for (const [i, entry] of items.entries()) {
              const entryAt = at + i * PAGE_PUT_ENTRY_BYTES;
              this.handle.set(this.id, entry.oid, entry.index).write(view, entryAt);
              bytes.set(entry.page, entryAt + HANDLE_BYTES);
            }
            return items.length * PAGE_PUT_ENTRY_BYTES;
          },
          (reply) => {
            for (let i = 0; i < items.length; i += 1) {
              const status = reply.view.getUint8(reply.bodyAt + i);
              results[from + i] =
                status === STATUS.OK
                  ? { stored: true }
                  : { stored: false, reason: statusName(status) };
            }
          },
        );
      }),
    );
    return results;
  }

  /** Gets one page, or null when there is none. Throws PageError for a page without a good copy. */
  async get(oid: Oid, index: number, options: GetOptions = {}): Promise<Uint8Array | null> {
    const [page] = await this.getMany([{ oid, index }], options);
    return page ?? null;
  }

  /**
   * Gets pages, in order; null for a miss. Throws PageError, with all results, when a page has no
   * good copy in reach.
   */
  async getMany(
    keys: readonly PageKey[],
    options: GetOptions = {},
  ): Promise<Array<Uint8Array | null>> {
    for (const key of keys) checkKey(key);
    const getAndFree = GET_AND_FREE[options.remove ?? "default"];
    const results: Array<Uint8Array | null | "lost" | "unreachable"> = new Array(keys.length);
    await Promise.all(
      chunksOf(keys, CLIENT_GET_COUNT_MAX).map(async ({ from, items }) => {
        await this.requester.request(
          MESSAGE.PAGE_GET,
          { count: items.length, bodyBytesMax: items.length * PAGE_GET_ENTRY_BYTES },
          (_bytes, view, at) => {
            for (const [i, key] of items.entries()) {
              const entryAt = at + i * PAGE_GET_ENTRY_BYTES;
              this.handle.set(this.id, key.oid, key.index).write(view, entryAt);
              writeGetAndFree(view, entryAt, getAndFree);
            }
            return items.length * PAGE_GET_ENTRY_BYTES;
          },
          (reply) => {
            let pageAt = reply.bodyAt + items.length;
            for (let i = 0; i < items.length; i += 1) {
              const status = reply.view.getUint8(reply.bodyAt + i);
              results[from + i] = outcomeOf(status, reply.bytes, pageAt);
              if (status === STATUS.OK) pageAt += PAGE_BYTES;
            }
          },
        );
      }),
    );
    return this.checked(keys, results);
  }

  /** Removes one page. @returns whether there was one. */
  async flushPage(oid: Oid, index: number): Promise<boolean> {
    const [found] = await this.flushPages([{ oid, index }]);
    return found ?? false;
  }

  /** Removes pages. @returns for each whether there was one. */
  async flushPages(keys: readonly PageKey[]): Promise<boolean[]> {
    for (const key of keys) checkKey(key);
    const found: boolean[] = new Array(keys.length);
    await Promise.all(
      chunksOf(keys, CLIENT_GET_COUNT_MAX).map(({ from, items }) => {
        return this.flushBatch(MESSAGE.PAGE_FLUSH, items, (i, status) => {
          found[from + i] = status === STATUS.OK;
        });
      }),
    );
    return found;
  }

  /** Removes every page of the object. @returns whether there was one. */
  async flushObject(oid: Oid): Promise<boolean> {
    checkKey({ oid, index: 0 });
    let found = false;
    await this.flushBatch(MESSAGE.OBJECT_FLUSH, [{ oid, index: 0 }], (_i, status) => {
      found = status === STATUS.OK;
    });
    return found;
  }

  /**
   * The token that opens the pool for another connection (`Client.openPool`), in hexadecimal.
   * Whoever has it can read, change and destroy the pool. It is valid as long as the pool exists.
   */
  async token(): Promise<string> {
    let token = "";
    await this.requestForPool(MESSAGE.POOL_TOKEN, "get the token of", ({ bytes, bodyAt }) => {
      token = bytes.slice(bodyAt, bodyAt + POOL_TOKEN_BYTES).toHex();
    });
    return token;
  }

  /** Removes every page and keeps the pool. */
  async flush(): Promise<void> {
    await this.requestForPool(MESSAGE.FLUSH_POOL, "flush");
  }

  /** Removes every page and the pool. */
  async destroy(): Promise<void> {
    await this.requestForPool(MESSAGE.DESTROY_POOL, "destroy");
  }

  private async flushBatch(
    type: number,
    items: readonly PageKey[],
    onStatus: (i: number, status: number) => void,
  ): Promise<void> {
    await this.requester.request(
      type,
      { count: items.length, bodyBytesMax: items.length * HANDLE_BYTES },
      (_bytes, view, at) => {
        for (const [i, key] of items.entries()) {
          this.handle.set(this.id, key.oid, key.index).write(view, at + i * HANDLE_BYTES);
        }
        return items.length * HANDLE_BYTES;
      },
      (reply) => {
        for (let i = 0; i < items.length; i += 1) {
          const status = reply.view.getUint8(reply.bodyAt + i);
          if (status === STATUS.UNKNOWN_POOL) throw this.unknown("flush pages of");
          onStatus(i, status);
        }
      },
    );
  }

  private async requestForPool(
    type: number,
    verb: string,
    read: (reply: Frame) => void = () => {},
  ): Promise<void> {
    await this.requester.request(
      type,
      { count: 0, bodyBytesMax: 4 },
      (_bytes, view, at) => {
        view.setUint16(at, this.id);
        view.setUint16(at + 2, 0);
        return 4;
      },
      (reply) => {
        if (reply.handlerStatus !== STATUS.OK) throw this.unknown(verb);
        read(reply);
      },
    );
  }

  private unknown(verb: string): RamsterError {
    return new RamsterError("REFUSED", `Cannot ${verb} pool ${this.id}: unknown_pool`);
  }

  private checked(
    keys: readonly PageKey[],
    results: ReadonlyArray<Uint8Array | null | "lost" | "unreachable">,
  ): Array<Uint8Array | null> {
    const pages: Array<Uint8Array | null> = [];
    for (const [i, result] of results.entries()) {
      if (result === "lost" || result === "unreachable") {
        const key = keys[i];
        const name = key === undefined ? "" : this.handle.set(this.id, key.oid, key.index);
        const why = result === "lost" ? "it is lost" : "its holder does not answer";
        const code = result === "lost" ? "LOST" : "UNREACHABLE";
        throw new PageError(code, `Cannot get page "${name}": ${why}`, results);
      }
      pages.push(result);
    }
    return pages;
  }
}

function outcomeOf(
  status: number,
  bytes: Uint8Array,
  at: number,
): Uint8Array | null | "lost" | "unreachable" {
  switch (status) {
    case STATUS.OK:
      return bytes.slice(at, at + PAGE_BYTES);
    case STATUS.NOT_FOUND:
      return null;
    case STATUS.LOST:
      return "lost";
    case STATUS.UNREACHABLE:
    case STATUS.NO_ROOM:
      return "unreachable";
    default:
      throw new RamsterError("REFUSED", `Cannot get page: ${statusName(status)}`);
  }
}

function chunksOf<T>(
  items: readonly T[],
  size: number,
): Array<{ from: number; items: readonly T[] }> {
  const chunks: Array<{ from: number; items: readonly T[] }> = [];
  for (let from = 0; from < items.length; from += size) {
    chunks.push({ from, items: items.slice(from, from + size) });
  }
  return chunks;
}

function checkKey(key: PageKey): void {
  const isOid = key.oid.length === 3 && key.oid.every((word) => word >= 0n && word < U64_END);
  if (!isOid) {
    throw new RamsterError(
      "BAD_CONFIG",
      `Cannot use oid "${key.oid}": not three unsigned 64-bit words`,
    );
  }
  if (!Number.isInteger(key.index) || key.index < 0 || key.index >= U32_END) {
    throw new RamsterError(
      "BAD_CONFIG",
      `Cannot use index "${key.index}": not an unsigned 32-bit integer`,
    );
  }
}

function checkPage(page: Uint8Array): void {
  if (page.byteLength !== PAGE_BYTES) {
    throw new RamsterError(
      "BAD_CONFIG",
      `Cannot put a page of ${page.byteLength} bytes: a page has ${PAGE_BYTES}`,
    );
  }
}
