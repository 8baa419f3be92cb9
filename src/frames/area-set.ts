/** AreaSet: a set of areas of a frame pool, a bit each, which finds the lowest one first. */
const WORD_BITS = 32;

export class AreaSet {
  private readonly words: Int32Array;
  /** No bit is set in a word below this one. */
  private low = 0;

  constructor(areaCount: number) {
    this.words = new Int32Array(Math.ceil(areaCount / WORD_BITS));
  }

  add(area: number): void {
    const word = area >>> 5;
    this.words[word] = (this.words[word] ?? 0) | (1 << (area & 31));
    if (word < this.low) this.low = word;
  }

  remove(area: number): void {
    const word = area >>> 5;
    this.words[word] = (this.words[word] ?? 0) & ~(1 << (area & 31));
  }

  /** The lowest area, or -1. */
  first(): number {
    const { words } = this;
    for (; this.low < words.length; this.low += 1) {
      const bits = words[this.low] ?? 0;
      if (bits !== 0) return this.low * WORD_BITS + 31 - Math.clz32(bits & -bits);
    }
    return -1;
  }

  clear(): void {
    this.words.fill(0);
    this.low = 0;
  }
}
