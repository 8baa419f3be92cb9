/**
 * ClientPools: which pools a connection of the client door may use. Pools are capabilities. A
 * connection has the pools that it created, and the pools that it opened with their token. All
 * other pools, such as those of exports, do not exist for it.
 *
 *     NEW_POOL      the connection has the pool
 *     POOL_TOKEN    128 random bits, created on the first request of a connection that has the pool
 *     OPEN_POOL     a connection that knows number and token has the pool as well
 *     DESTROY_POOL  no connection has the pool any more, and the token is void
 *
 * So a reused pool number gives no access to an earlier or later pool.
 */
import { POOLS_PER_CLIENT_MAX } from "../core/limits.ts";
import type { Random } from "../core/random.ts";
import { POOL_TOKEN_BYTES } from "../wire/client-entries.ts";

const BITS_PER_WORD = 32;
const TOKEN_WORDS = POOL_TOKEN_BYTES / 4;

/** The pools of one connection, one bit each. The set is checked for every page. */
export class PoolSet {
  private readonly words = new Int32Array(Math.ceil(POOLS_PER_CLIENT_MAX / BITS_PER_WORD));

  /** `pool` may be any number from a message. */
  has(pool: number): boolean {
    const word = this.words[pool >>> 5];
    return word !== undefined && (word & (1 << (pool & 31))) !== 0;
  }

  add(pool: number): void {
    this.words[pool >>> 5] = (this.words[pool >>> 5] ?? 0) | (1 << (pool & 31));
  }

  remove(pool: number): void {
    this.words[pool >>> 5] = (this.words[pool >>> 5] ?? 0) & ~(1 << (pool & 31));
  }
}

export class ClientPools {
  private readonly random: Random;
  private readonly tokens = new Map<number, Uint32Array>();

  constructor(random: Random) {
    this.random = random;
  }

  /**
   * Writes the token of the pool to `view[at]`. The caller has checked that the connection has the
   * pool.
   */
  writeToken(pool: number, view: DataView, at: number): void {
    let token = this.tokens.get(pool);
    if (token === undefined) {
      token = Uint32Array.from({ length: TOKEN_WORDS }, () => this.random.u32());
      this.tokens.set(pool, token);
    }
    for (const [i, word] of token.entries()) view.setUint32(at + 4 * i, word);
  }

  /** Whether the token of the pool is at `view[at]`. Takes constant time. */
  isToken(pool: number, view: DataView, at: number): boolean {
    const token = this.tokens.get(pool);
    if (token === undefined) return false;
    let difference = 0;
    for (const [i, word] of token.entries()) difference |= word ^ view.getUint32(at + 4 * i);
    return difference === 0;
  }

  /** The pool is destroyed, and its token is void. */
  forget(pool: number): void {
    this.tokens.delete(pool);
  }
}
