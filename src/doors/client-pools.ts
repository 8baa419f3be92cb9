/**
 * ClientPools: which pools a connection of the client door may use. A pool is used through a
 * capability: a connection has the pools that it made, and those that it opened with their token.
 * Any other pool, such as that of an export, is one that does not exist for it.
 *
 *     NEW_POOL      the connection has the pool
 *     POOL_TOKEN    128 random bits, made when they are first asked for; for who has the pool
 *     OPEN_POOL     who knows number and token has the pool, too
 *     DESTROY_POOL  nobody has it any more, and the token is forgotten
 *
 * So a number that is given out again says nothing about the pool that had it before.
 */
import { POOLS_PER_CLIENT_MAX } from "../core/limits.ts";
import type { Random } from "../core/random.ts";
import { POOL_TOKEN_BYTES } from "../wire/client-entries.ts";

const BITS_PER_WORD = 32;
const TOKEN_WORDS = POOL_TOKEN_BYTES / 4;

/** The pools that one connection has, a bit each: asked for every page. */
export class PoolSet {
  private readonly words = new Int32Array(Math.ceil(POOLS_PER_CLIENT_MAX / BITS_PER_WORD));

  /** `pool` is any number that came in a message. */
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

  /** Writes the token of the pool to `view[at]`. Only for a connection that has the pool. */
  writeToken(pool: number, view: DataView, at: number): void {
    let token = this.tokens.get(pool);
    if (token === undefined) {
      token = Uint32Array.from({ length: TOKEN_WORDS }, () => this.random.u32());
      this.tokens.set(pool, token);
    }
    for (const [i, word] of token.entries()) view.setUint32(at + 4 * i, word);
  }

  /** Whether what is at `view[at]` is the token of the pool. Takes as long for any. */
  isToken(pool: number, view: DataView, at: number): boolean {
    const token = this.tokens.get(pool);
    if (token === undefined) return false;
    let difference = 0;
    for (const [i, word] of token.entries()) difference |= word ^ view.getUint32(at + 4 * i);
    return difference === 0;
  }

  /** The pool is no more. */
  destroyed(pool: number): void {
    this.tokens.delete(pool);
  }
}
