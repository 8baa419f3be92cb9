import { expect, test } from "bun:test";
import { PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { fillPage, NOT_SAME_FILLED, sameFilledWord } from "./same-filled.ts";

const WORDS = [0, 1, -1, 255, 0x0100_0000, 0x0101_0101, -0x8000_0000, 0x7fff_ffff, 0x1234_5678];

test("sameFilledWord() finds the word of fillPage() at any offset", () => {
  const random = new SeededRandom(1);
  const words = [...WORDS, ...Array.from({ length: 50 }, () => random.u32() | 0)];
  for (const word of words) {
    for (const offset of [0, 1, 2, 3, 52, 4149]) {
      const bytes = new Uint8Array(3 * PAGE_BYTES).fill(0x5a);
      fillPage(word, bytes, offset);
      expect(sameFilledWord(bytes, offset)).toBe(word);
      expect(bytes.subarray(0, offset).every((byte) => byte === 0x5a)).toBe(true);
      expect(bytes.subarray(offset + PAGE_BYTES).every((byte) => byte === 0x5a)).toBe(true);
    }
  }
});

test("fillPage() writes the least significant byte first", () => {
  const page = new Uint8Array(PAGE_BYTES);
  fillPage(0x0403_0201, page, 0);
  expect([...page.subarray(0, 6)]).toEqual([1, 2, 3, 4, 1, 2]);
  expect(new Uint32Array(page.buffer).every((word) => word === 0x0403_0201)).toBe(true);
});

test("sameFilledWord() finds any single byte that differs", () => {
  for (const word of [0, -1, 0x1234_5678]) {
    const page = new Uint8Array(PAGE_BYTES);
    fillPage(word, page, 0);
    for (let at = 0; at < PAGE_BYTES; at += 1) {
      page[at] = (page[at] ?? 0) ^ 0x10;
      expect(sameFilledWord(page, 0)).toBe(NOT_SAME_FILLED);
      page[at] = (page[at] ?? 0) ^ 0x10;
    }
    expect(sameFilledWord(page, 0)).toBe(word);
  }
});

test("sameFilledWord() refuses a period longer than a word", () => {
  for (const period of [3, 5, 8, 16, 64, 2048]) {
    const page = Uint8Array.from({ length: PAGE_BYTES }, (_, at) => at % period);
    expect(sameFilledWord(page, 0)).toBe(NOT_SAME_FILLED);
  }
});

test("NOT_SAME_FILLED is not a 32-bit word", () => {
  expect(NOT_SAME_FILLED | 0).not.toBe(NOT_SAME_FILLED);
});
