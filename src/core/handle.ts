/**
 * Handle: what identifies a page within one client: pool, object id (oid, 192 bits) and index.
 *
 * A Handle is a scratch object. Each connection or caller has one and fills it again for every
 * page, so naming a page allocates nothing. The oid is kept as six 32-bit halves, since a bigint
 * would allocate.
 *
 * Wire form, 32 bytes, big-endian (that of the original's `struct tmem_handle`, without the client,
 * which is never taken from a payload):
 *
 *      0   oid word 0, u64       8   oid word 1, u64      16   oid word 2, u64
 *     24   index, u32           28   pool, u16            30   reserved, 0
 */

export const HANDLE_BYTES = 32;

/** Object id as programs see it: three unsigned 64-bit words. */
export type Oid = readonly [bigint, bigint, bigint];

export class Handle {
  /** High and low halves of the three oid words, as signed 32-bit integers. */
  oid0hi = 0;
  oid0lo = 0;
  oid1hi = 0;
  oid1lo = 0;
  oid2hi = 0;
  oid2lo = 0;
  /** Page number within the object, 0 .. 2^32 - 1. */
  index = 0;
  /** Pool id within the client, 0 .. 65535. */
  pool = 0;

  set(pool: number, oid: Oid, index: number): this {
    this.oid0hi = Number(BigInt.asIntN(32, oid[0] >> 32n));
    this.oid0lo = Number(BigInt.asIntN(32, oid[0]));
    this.oid1hi = Number(BigInt.asIntN(32, oid[1] >> 32n));
    this.oid1lo = Number(BigInt.asIntN(32, oid[1]));
    this.oid2hi = Number(BigInt.asIntN(32, oid[2] >> 32n));
    this.oid2lo = Number(BigInt.asIntN(32, oid[2]));
    this.index = index;
    this.pool = pool;
    return this;
  }

  copy(other: Handle): this {
    return Object.assign(this, other);
  }

  read(view: DataView, offset: number): void {
    this.oid0hi = view.getInt32(offset);
    this.oid0lo = view.getInt32(offset + 4);
    this.oid1hi = view.getInt32(offset + 8);
    this.oid1lo = view.getInt32(offset + 12);
    this.oid2hi = view.getInt32(offset + 16);
    this.oid2lo = view.getInt32(offset + 20);
    this.index = view.getUint32(offset + 24);
    this.pool = view.getUint16(offset + 28);
  }

  write(view: DataView, offset: number): void {
    view.setInt32(offset, this.oid0hi);
    view.setInt32(offset + 4, this.oid0lo);
    view.setInt32(offset + 8, this.oid1hi);
    view.setInt32(offset + 12, this.oid1lo);
    view.setInt32(offset + 16, this.oid2hi);
    view.setInt32(offset + 20, this.oid2lo);
    view.setUint32(offset + 24, this.index);
    view.setUint16(offset + 28, this.pool);
    view.setUint16(offset + 30, 0);
  }

  /** Hash of the oid: all pages of an object share it. A signed 32-bit integer. */
  oidHash(): number {
    let h = 0x5bd1e995;
    h = Math.imul((h ^ this.oid0hi) + (h >>> 15), 0x85ebca6b);
    h = Math.imul((h ^ this.oid0lo) + (h >>> 13), 0xc2b2ae35);
    h = Math.imul((h ^ this.oid1hi) + (h >>> 16), 0x27d4eb2f);
    h = Math.imul((h ^ this.oid1lo) + (h >>> 15), 0x165667b1);
    h = Math.imul((h ^ this.oid2hi) + (h >>> 13), 0x85ebca6b);
    h = Math.imul((h ^ this.oid2lo) + (h >>> 16), 0xc2b2ae35);
    return h ^ (h >>> 15);
  }

  /** For errors and logs: `pool/oid0.oid1.oid2/index`, oid words in hexadecimal. */
  toString(): string {
    const word = (hi: number, lo: number): string =>
      ((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16);
    const oid = [
      word(this.oid0hi, this.oid0lo),
      word(this.oid1hi, this.oid1lo),
      word(this.oid2hi, this.oid2lo),
    ];
    return `${this.pool}/${oid.join(".")}/${this.index}`;
  }
}
