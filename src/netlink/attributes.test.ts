import { expect, test } from "bun:test";
import {
  attribute,
  joined,
  nestedAttribute,
  readAttributes,
  textAttribute,
  u32Attribute,
  u64Attribute,
} from "./attributes.ts";

test("an attribute is length, type and value, padded to four bytes", () => {
  expect([...attribute(5, new Uint8Array([1, 2]))]).toEqual([6, 0, 5, 0, 1, 2, 0, 0]);
  expect([...u32Attribute(1, 0x01020304)]).toEqual([8, 0, 1, 0, 4, 3, 2, 1]);
  expect([...u64Attribute(2, 2 ** 32)]).toEqual([12, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
  expect([...textAttribute(10, "abc")]).toEqual([8, 0, 10, 0, 97, 98, 99, 0]);
  expect([...nestedAttribute(7, u32Attribute(1, 9)).subarray(0, 8)]).toEqual([
    12, 0, 7, 0x80, 8, 0, 1, 0,
  ]);
});

test("attributes are read again, and nested ones within them", () => {
  const bytes = joined([textAttribute(10, "ab"), nestedAttribute(7, u32Attribute(1, 9))]);
  const found = readAttributes(bytes);
  expect([...(found.get(10) ?? [])]).toEqual([97, 98, 0]);
  expect([...(readAttributes(found.get(7) ?? new Uint8Array(0)).get(1) ?? [])]).toEqual([
    9, 0, 0, 0,
  ]);
});

test.each([
  ["a length of less than its header", [3, 0, 1, 0]],
  ["a length beyond the end", [9, 0, 1, 0, 0, 0, 0, 0]],
  ["no whole header", [4, 0, 1]],
])("%s ends the list", (_, bytes) => {
  expect(readAttributes(new Uint8Array(bytes)).size).toBe(0);
  const first = joined([u32Attribute(3, 1), new Uint8Array(bytes)]);
  expect([...readAttributes(first).keys()]).toEqual([3]);
});
