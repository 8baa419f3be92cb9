import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Oid } from "../core/handle.ts";
import { type Key, resolveKey, resolveObject } from "./keys.ts";

const OID: Oid = [1n, 0n, 2n ** 64n - 1n];

test("a text stands for the first 192 bits of its SHA-256", () => {
  for (const text of ["", "user:42", "ключ", "k".repeat(10_000)]) {
    const hex = createHash("sha256").update(text, "utf8").digest("hex");
    const words = [0, 16, 32].map((at) => BigInt(`0x${hex.slice(at, at + 16)}`));
    expect(resolveKey(text)).toEqual({ oid: words as unknown as Oid, index: 0 });
    expect(resolveObject(text)).toEqual(words as unknown as Oid);
    expect(resolveKey({ oid: text, index: 7 })).toEqual({
      oid: words as unknown as Oid,
      index: 7,
    });
  }
});

test("numbers are the pages of a few objects, each another one", () => {
  expect(resolveKey(0)).toEqual({ oid: [0n, 0n, 0n], index: 0 });
  expect(resolveKey(2 ** 32 - 1)).toEqual({ oid: [0n, 0n, 0n], index: 2 ** 32 - 1 });
  expect(resolveKey(2 ** 32)).toEqual({ oid: [0n, 0n, 1n], index: 0 });
  expect(resolveKey(Number.MAX_SAFE_INTEGER)).toEqual({
    oid: [0n, 0n, 2n ** 21n - 1n],
    index: 2 ** 32 - 1,
  });
});

test("an object id and an index are as they are", () => {
  expect(resolveKey({ oid: OID, index: 2 ** 32 - 1 })).toEqual({ oid: OID, index: 2 ** 32 - 1 });
  expect(resolveObject(OID)).toEqual(OID);
  expect(resolveObject(OID)).not.toBe(OID); // The caller may change its array.
});

test.each([
  "\ud800",
  "a\udc00b",
  -1,
  1.5,
  Number.NaN,
  2 ** 53,
  { oid: OID, index: -1 },
  { oid: OID, index: 2 ** 32 },
  { oid: OID, index: 0.5 },
  { oid: OID },
  { oid: [1n, 2n], index: 0 },
  { oid: [1n, 2n, 2n ** 64n], index: 0 },
  { oid: [1n, 2n, -1n], index: 0 },
  { oid: [1, 2, 3], index: 0 },
  { oid: 7, index: 0 },
  { oid: Object.create(null), index: 0 },
  { oid: Symbol("x"), index: 0 },
  { oid: OID, index: Object.create(null) },
  { oid: OID, index: Symbol("x") },
  Symbol("x"),
  {},
  null,
  7n,
])("%p is refused before it is sent", (key) => {
  let code: unknown = null;
  try {
    resolveKey(key as unknown as Key);
  } catch (error) {
    code = (error as { code: unknown }).code;
  }
  expect(code).toBe("BAD_CONFIG");
});
