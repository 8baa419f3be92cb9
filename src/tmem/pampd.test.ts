import { expect, test } from "bun:test";
import { PAGE_BYTES } from "../core/limits.ts";
import { codecOfWord, describe, sizeOfWord, TAG, TAG_MASK, VERSION_HI_SHIFT } from "./pampd.ts";

test("word A keeps tag, size, codec and version apart, at their bounds too", () => {
  for (const version of [0, 1, 2 ** 13 - 1]) {
    for (const codec of [0, 1, 3, 6]) {
      for (const zpageBytes of [1, 2, 63, 2048, PAGE_BYTES - 1, PAGE_BYTES]) {
        for (const tag of Object.values(TAG)) {
          const a = describe((version << VERSION_HI_SHIFT) | 0x7_ffff, tag, zpageBytes, codec);
          expect([a & TAG_MASK, sizeOfWord(a), codecOfWord(a)]).toEqual([tag, zpageBytes, codec]);
          expect(a >>> VERSION_HI_SHIFT).toBe(version);
        }
      }
    }
  }
});

test("a page without a zpage leaves the other fields alone", () => {
  const a = describe(-1, TAG.SAME_FILLED, 0, 0);
  expect([a & TAG_MASK, codecOfWord(a), a >>> VERSION_HI_SHIFT]).toEqual([2, 0, 2 ** 13 - 1]);
});
