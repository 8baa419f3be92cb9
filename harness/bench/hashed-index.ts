/**
 * A reference for the index: each page is a record of 32 bytes in a hash over object and index, and
 * on the list of its object. So the index was before it had leaves (src/tmem/page-index.ts).
 */
import type { Memory } from "../../src/core/memory.ts";
import { Table } from "../../src/core/table.ts";
import { HashIndex } from "../../src/tmem/hash-index.ts";

const OBJECT = 1;
const INDEX = 2;
const PREV = 3;
const NEXT = 4;
const VERSION_LO = 5;
const WORDS = 8;

export class HashedIndex {
  private readonly pages: Table;
  private readonly firsts = new Int32Array(1024);
  private readonly hash: HashIndex;

  constructor(memory: Memory, pageCountMax: number) {
    this.pages = new Table(memory, { rowCountMax: pageCountMax, wordsPerRow: WORDS });
    this.hash = new HashIndex(memory, this.pages, (page) => {
      return hashOf(this.pages.get(page, OBJECT), this.pages.get(page, INDEX));
    });
  }

  find(object: number, index: number): number {
    let page = this.hash.headOf(hashOf(object, index));
    while (page !== 0) {
      if (this.pages.get(page, INDEX) === index && this.pages.get(page, OBJECT) === object) {
        return page;
      }
      page = this.pages.get(page, 0);
    }
    return 0;
  }

  add(object: number, index: number): number {
    const page = this.pages.take();
    const first = this.firsts[object] ?? 0;
    this.pages.set(page, OBJECT, object);
    this.pages.set(page, INDEX, index);
    this.pages.set(page, PREV, 0);
    this.pages.set(page, NEXT, first);
    if (first !== 0) this.pages.set(first, PREV, page);
    this.firsts[object] = page;
    this.hash.insert(page, hashOf(object, index));
    return page;
  }

  set(page: number, word: number, value: number): void {
    this.pages.set(page, VERSION_LO + word, value);
  }

  close(): void {
    this.pages.close();
    this.hash.close();
  }
}

/** Sixteen neighbouring pages share a cache line of bucket heads. */
function hashOf(object: number, index: number): number {
  const own = Math.imul(object, 0x85ebca6b);
  let h = Math.imul(index >> 4, 0x9e3779b1) ^ own;
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return ((h ^ (h >>> 13)) << 4) | ((index ^ (own >>> 28)) & 15);
}
