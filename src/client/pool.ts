/**
 * Pool: the pages of one tmem pool, seen from a program. Made by Client.newPool or Client.openPool.
 *
 * Batches are cut into messages of CLIENT_GET_COUNT_MAX pages that travel together: one round trip
 * for all of them.
 *
 * After a lost connection, gets and flushes of pages are sent again, but for gets that remove what
 * they find in any pool: the page might be in an answer that was lost. Puts are not: a page that
 * was put meanwhile must not be replaced by an older one.
 */

import { RamsterError } from "../core/errors.ts";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import { CLIENT_GET_COUNT_MAX, PAGE_BYTES } from "../core/limits.ts";
import { STATUS, statusName } from "../core/status.ts";
import {
  PAGE_GET_ENTRY_BYTES,
  PAGE_PUT_ENTRY_BYTES,
  writeGetAndFree,
} from "../wire/client-entries.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import { badArgument, checkObject, display, isBytes, listOf } from "./arguments.ts";
import { PageError, poolGone, type Refusal, refusalOf } from "./errors.ts";
import {
  type Key,
  type ObjectKey,
  type PageKey,
  type ResolvedKey,
  resolveKey,
  resolveObject,
} from "./keys.ts";
import { tokenOf } from "./messages.ts";
import type { PoolLink } from "./pool-link.ts";
import type { Request, Requester } from "./requester.ts";
import type { CallOptions } from "./signal.ts";

/** Whether the page was stored, or why not. A refused put leaves nothing under the key. */
export type PutResult = { stored: true } | { stored: false; reason: Refusal };

/** A page of PAGE_BYTES bytes, and its key. */
export type PutEntry = (PageKey | { key: Key }) & { page: Uint8Array };

export interface GetOptions extends CallOptions {
  /**
   * Whether the page is removed: "default", when its pool is ephemeral; "always"; "never". The
   * original's get_and_free.
   */
  remove?: "default" | "always" | "never" | undefined;
}

interface ResolvedPut extends ResolvedKey {
  readonly page: Uint8Array;
}

const GET_AND_FREE = { never: -1, default: 0, always: 1 } as const;

export class Pool implements AsyncDisposable {
  /** The node's number for it. Another client opens it by this and its token. */
  readonly id: number;
  private readonly requester: Requester;
  private readonly link: PoolLink;
  private readonly isOwn: boolean;
  private readonly handle = new Handle();

  /** @internal Made by Client. `isOwn`: this client has made the pool. */
  constructor(requester: Requester, link: PoolLink, { isOwn }: { isOwn: boolean }) {
    this.requester = requester;
    this.link = link;
    this.isOwn = isOwn;
    this.id = link.id;
  }

  /**
   * Stores one page, as it is at the time of the call. Throws RamsterError BAD_CONFIG for an
   * invalid key or page, and CLOSED when the connection is lost: the page may be stored or not.
   */
  put(key: Key, page: Uint8Array, options?: CallOptions): Promise<PutResult>;
  put(oid: ObjectKey, index: number, page: Uint8Array, options?: CallOptions): Promise<PutResult>;
  async put(
    key: Key | ObjectKey,
    second: number | Uint8Array,
    third?: Uint8Array | CallOptions,
    fourth?: CallOptions,
  ): Promise<PutResult> {
    const [result] =
      typeof second === "number"
        ? await this.putMany([{ ...pageKey(key, second), page: third as Uint8Array }], fourth)
        : await this.putMany([{ key: key as Key, page: second }], third as CallOptions);
    return result ?? { stored: false, reason: "other" };
  }

  /**
   * Stores pages, as they are at the time of the call. A page that is refused does not affect the
   * others.
   */
  async putMany(entries: readonly PutEntry[], options?: CallOptions): Promise<PutResult[]> {
    const puts = listOf(entries, "entries").map(resolvePut);
    const results: PutResult[] = new Array(puts.length);
    await Promise.all(
      chunksOf(puts, CLIENT_GET_COUNT_MAX).map(({ from, items }) => {
        const write = (bytes: Uint8Array, view: DataView, at: number): number => {
          for (const [i, { oid, index, page }] of items.entries()) {
            const entryAt = at + i * PAGE_PUT_ENTRY_BYTES;
            this.handle.set(this.id, oid, index).write(view, entryAt);
            bytes.set(page, entryAt + HANDLE_BYTES);
          }
          return items.length * PAGE_PUT_ENTRY_BYTES;
        };
        const read = (reply: Frame): void => {
          for (let i = 0; i < items.length; i += 1) {
            const status = reply.view.getUint8(reply.bodyAt + i);
            if (status === STATUS.UNKNOWN_POOL) throw this.gone("put pages into");
            const isStored = status === STATUS.OK;
            results[from + i] = isStored
              ? { stored: true }
              : { stored: false, reason: refusalOf(status) };
          }
        };
        const shape = { type: MESSAGE.PAGE_PUT, count: items.length, again: false };
        const bodyBytesMax = items.length * PAGE_PUT_ENTRY_BYTES;
        return this.request({ ...shape, bodyBytesMax, write, read }, options);
      }),
    );
    return results;
  }

  /** Gets one page, or null when there is none. Throws PageError for a page without a good copy. */
  get(key: Key, options?: GetOptions): Promise<Uint8Array | null>;
  get(oid: ObjectKey, index: number, options?: GetOptions): Promise<Uint8Array | null>;
  async get(
    key: Key | ObjectKey,
    second?: number | GetOptions,
    third?: GetOptions,
  ): Promise<Uint8Array | null> {
    const [page] =
      typeof second === "number"
        ? await this.getMany([pageKey(key, second)], third)
        : await this.getMany([key as Key], second);
    return page ?? null;
  }

  /**
   * Gets pages, in order; null for a miss. Throws PageError, with all results, when a page has no
   * good copy in reach.
   */
  async getMany(keys: readonly Key[], options: GetOptions = {}): Promise<Array<Uint8Array | null>> {
    const pages = listOf(keys, "keys").map(resolveKey);
    const remove = options?.remove ?? "default";
    const getAndFree = Object.hasOwn(GET_AND_FREE, remove) ? GET_AND_FREE[remove] : null;
    if (getAndFree === null) {
      const values = Object.keys(GET_AND_FREE).join(", ");
      throw badArgument(`Cannot use remove ${display(remove)}: not one of ${values}`);
    }
    const results: Array<Uint8Array | null | "lost" | "unreachable"> = new Array(pages.length);
    await Promise.all(
      chunksOf(pages, CLIENT_GET_COUNT_MAX).map(({ from, items }) => {
        const write = (_bytes: Uint8Array, view: DataView, at: number): number => {
          for (const [i, { oid, index }] of items.entries()) {
            const entryAt = at + i * PAGE_GET_ENTRY_BYTES;
            this.handle.set(this.id, oid, index).write(view, entryAt);
            writeGetAndFree(view, entryAt, getAndFree);
          }
          return items.length * PAGE_GET_ENTRY_BYTES;
        };
        const read = (reply: Frame): void => {
          let pageAt = reply.bodyAt + items.length;
          for (let i = 0; i < items.length; i += 1) {
            const status = reply.view.getUint8(reply.bodyAt + i);
            if (status === STATUS.UNKNOWN_POOL) throw this.gone("get pages of");
            results[from + i] = outcomeOf(status, reply.bytes, pageAt);
            if (status === STATUS.OK) pageAt += PAGE_BYTES;
          }
        };
        const again = remove !== "always";
        const shape = { type: MESSAGE.PAGE_GET, count: items.length, again };
        const bodyBytesMax = items.length * PAGE_GET_ENTRY_BYTES;
        return this.request({ ...shape, bodyBytesMax, write, read }, options);
      }),
    );
    return this.checked(pages, results);
  }

  /** Removes one page. @returns whether there was one. */
  flushPage(key: Key, options?: CallOptions): Promise<boolean>;
  flushPage(oid: ObjectKey, index: number, options?: CallOptions): Promise<boolean>;
  async flushPage(
    key: Key | ObjectKey,
    second?: number | CallOptions,
    third?: CallOptions,
  ): Promise<boolean> {
    const [found] =
      typeof second === "number"
        ? await this.flushPages([pageKey(key, second)], third)
        : await this.flushPages([key as Key], second);
    return found ?? false;
  }

  /** Removes pages. @returns for each whether there was one. */
  async flushPages(keys: readonly Key[], options?: CallOptions): Promise<boolean[]> {
    const pages = listOf(keys, "keys").map(resolveKey);
    const found: boolean[] = new Array(pages.length);
    await Promise.all(
      chunksOf(pages, CLIENT_GET_COUNT_MAX).map(({ from, items }) => {
        const onStatus = (i: number, status: number): void => {
          found[from + i] = status === STATUS.OK;
        };
        return this.flushBatch(MESSAGE.PAGE_FLUSH, items, onStatus, options);
      }),
    );
    return found;
  }

  /** Removes every page of the object. @returns whether there was one. */
  async flushObject(oid: ObjectKey, options?: CallOptions): Promise<boolean> {
    let found = false;
    const onStatus = (_i: number, status: number): void => {
      found = status === STATUS.OK;
    };
    const items = [{ oid: resolveObject(oid), index: 0 }];
    await this.flushBatch(MESSAGE.OBJECT_FLUSH, items, onStatus, options);
    return found;
  }

  /**
   * The token that opens the pool for another client (`Client.openPool`), in hexadecimal. Whoever
   * has it can read, change and destroy the pool. It is valid as long as the pool exists.
   */
  token(options?: CallOptions): Promise<string> {
    this.link.isShared = true;
    return this.fetchToken(options);
  }

  /** Removes every page and keeps the pool. */
  flush(options?: CallOptions): Promise<void> {
    return this.requestForPool({ type: MESSAGE.FLUSH_POOL, again: false }, "flush", options);
  }

  /** Removes every page and the pool. */
  async destroy(options?: CallOptions): Promise<void> {
    const request = { type: MESSAGE.DESTROY_POOL, again: true, endsPool: true };
    await this.requestForPool(request, "destroy", options);
    this.link.isGone = true;
  }

  /**
   * For `await using`: destroys the pool, if this object is the result of `newPool` and nobody else
   * may use it, since its token was never asked for. Does nothing to other pools, and to one that
   * is gone.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isOwn || this.link.isShared || this.link.isGone) return;
    try {
      await this.destroy();
    } catch (error) {
      if (!(error instanceof RamsterError) || error.code !== "POOL_GONE") throw error;
    }
  }

  /** @internal Fetches the token, so that the pool can be opened after a lost connection. */
  learnToken(): void {
    // A failure shows at the next connection: the pool is gone then.
    this.fetchToken().catch(() => null);
  }

  private async fetchToken(options?: CallOptions): Promise<string> {
    let token = "";
    const read = (reply: Frame): void => {
      token = tokenOf(reply);
    };
    const request = { type: MESSAGE.POOL_TOKEN, again: true, read };
    await this.requestForPool(request, "get the token of", options);
    this.link.token = token;
    return token;
  }

  private flushBatch(
    type: number,
    items: readonly ResolvedKey[],
    onStatus: (i: number, status: number) => void,
    options?: CallOptions,
  ): Promise<void> {
    const write = (_bytes: Uint8Array, view: DataView, at: number): number => {
      for (const [i, { oid, index }] of items.entries()) {
        this.handle.set(this.id, oid, index).write(view, at + i * HANDLE_BYTES);
      }
      return items.length * HANDLE_BYTES;
    };
    const read = (reply: Frame): void => {
      for (let i = 0; i < items.length; i += 1) {
        const status = reply.view.getUint8(reply.bodyAt + i);
        if (status === STATUS.UNKNOWN_POOL) throw this.gone("flush pages of");
        onStatus(i, status);
      }
    };
    const shape = { type, count: items.length, bodyBytesMax: items.length * HANDLE_BYTES };
    return this.request({ ...shape, again: true, write, read }, options);
  }

  private requestForPool(
    { read, ...shape }: Pick<Request, "type" | "again" | "endsPool"> & Partial<Request>,
    verb: string,
    options?: CallOptions,
  ): Promise<void> {
    const write = (_bytes: Uint8Array, view: DataView, at: number): number => {
      view.setUint16(at, this.id);
      view.setUint16(at + 2, 0);
      return 4;
    };
    const checked = (reply: Frame): void => {
      if (reply.handlerStatus !== STATUS.OK) throw this.gone(verb);
      read?.(reply);
    };
    return this.request({ ...shape, count: 0, bodyBytesMax: 4, write, read: checked }, options);
  }

  private request(request: Request, options?: CallOptions): Promise<void> {
    return this.requester.request({ ...request, pool: this.link }, options);
  }

  private gone(verb: string): RamsterError {
    return poolGone(`${verb} pool ${this.id}`);
  }

  private checked(
    keys: readonly ResolvedKey[],
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

function pageKey(oid: Key | ObjectKey, index: number): PageKey {
  return { oid: oid as ObjectKey, index };
}

function resolvePut(entry: PutEntry): ResolvedPut {
  checkObject(entry, "entry");
  const { page } = entry;
  if (!isBytes(page) || page.byteLength !== PAGE_BYTES) {
    const what = isBytes(page) ? `a page of ${page.byteLength} bytes` : "this";
    throw badArgument(`Cannot put ${what}: a page is a Uint8Array of ${PAGE_BYTES} bytes`);
  }
  return { ...resolveKey("key" in entry ? entry.key : entry), page };
}
