import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { atEndOfBuffer } from "../../harness/wire/deliver.ts";
import { AssertionError } from "../core/assert.ts";
import { WireError } from "../core/errors.ts";
import { NAME_BYTES_MAX, PAGE_BYTES } from "../core/limits.ts";
import {
  checkHello,
  clientHello,
  decodeHello,
  encodeHello,
  HELLO_BYTES_MAX,
  type Hello,
  negotiate,
  ROLE,
} from "./handshake.ts";

const peer: Hello = {
  role: ROLE.PEER,
  node: 3,
  pageBytes: PAGE_BYTES,
  bootId: 0xfedc_ba98_7654_3210n,
  features: 0,
  codecs: 3,
  keepaliveMs: 2000,
  idleMs: 30_000,
  clusterName: "demo",
  nodeName: "three",
};

function bytesOf(hello: Hello): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HELLO_BYTES_MAX);
  return bytes.slice(0, encodeHello(hello, new DataView(bytes.buffer), 0));
}

function decode(bytes: Uint8Array): Hello {
  const { buffer, byteOffset, byteLength } = atEndOfBuffer(bytes);
  return decodeHello(new DataView(buffer, byteOffset), 0, byteLength);
}

test("the bounds of HELLO are 32 bytes of fields and two names of 64", () => {
  expect(HELLO_BYTES_MAX).toBe(32 + 2 * 65);
});

test("encodeHello() puts each field at its offset", () => {
  const view = new DataView(bytesOf({ ...peer, role: 2, node: 0x0102, features: 0x0304 }).buffer);
  expect(view.getUint8(0)).toBe(2);
  expect(view.getUint8(1)).toBe(0);
  expect(view.getUint16(2)).toBe(0x0102);
  expect(view.getUint32(4)).toBe(4096);
  expect(view.getBigUint64(8)).toBe(0xfedc_ba98_7654_3210n);
  expect(view.getUint32(16)).toBe(0x0304);
  expect(view.getUint32(20)).toBe(3);
  expect(view.getUint32(24)).toBe(2000);
  expect(view.getUint32(28)).toBe(30_000);
  expect(view.getUint8(32)).toBe(4);
  expect(view.getUint8(33)).toBe("d".charCodeAt(0));
  expect(view.getUint8(37)).toBe(5);
  expect(view.getUint8(38)).toBe("t".charCodeAt(0));
  expect(view.byteLength).toBe(43);
});

test("encodeHello() refuses a name over its bound: settings are checked before", () => {
  const bytes = new DataView(new ArrayBuffer(HELLO_BYTES_MAX));
  const name = "é".repeat(NAME_BYTES_MAX / 2);
  expect(encodeHello({ ...peer, nodeName: name, clusterName: name }, bytes, 0)).toBe(
    HELLO_BYTES_MAX,
  );
  expect(() => encodeHello({ ...peer, nodeName: `${name}x` }, bytes, 0)).toThrow(AssertionError);
});

test("decodeHello() gives back what encodeHello() was given", () => {
  const u32 = fc.nat(0xffff_ffff);
  const name = fc
    .string({ unit: "grapheme", maxLength: 20 })
    .filter((text) => new TextEncoder().encode(text).length <= NAME_BYTES_MAX);
  const hello = fc.record({
    role: fc.nat(255),
    node: fc.nat(0xffff),
    pageBytes: u32,
    bootId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    features: u32,
    codecs: u32,
    keepaliveMs: u32,
    idleMs: u32,
    clusterName: name,
    nodeName: name,
  });
  fc.assert(fc.property(hello, (value) => expect(decode(bytesOf(value))).toEqual(value)));
  expect(decode(bytesOf(clientHello()))).toEqual(clientHello());
});

test("decodeHello() keeps a byte order mark: names that differ in bytes differ as text", () => {
  const marked = { ...peer, clusterName: "\ufeffdemo" };
  expect(decode(bytesOf(marked)).clusterName).toBe("\ufeffdemo");
});

test("decodeHello() throws BAD_HANDSHAKE and nothing else for any bytes", () => {
  const bodies = fc.uint8Array({ maxLength: HELLO_BYTES_MAX + 4 });
  fc.assert(
    fc.property(bodies, fc.boolean(), (body, withGoodLengths) => {
      if (withGoodLengths && body.length > 40) {
        body[1] = 0;
        body[32] = 3;
        body[36] = body.length - 37;
      }
      try {
        expect(bytesOf(decode(body))).toEqual(new Uint8Array(body));
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        expect(error.code).toBe("BAD_HANDSHAKE");
        expect(error.message).toStartWith("Cannot read HELLO: ");
      }
    }),
    { numRuns: 2000 },
  );
});

describe("checkHello()", () => {
  const cases: ReadonlyArray<readonly [string, Partial<Hello>, string | null]> = [
    ["the same cluster, another node", { node: 9, nodeName: "nine", bootId: 1n }, null],
    ["another page size", { pageBytes: 16_384 }, "page size is 16384 there and 4096 here"],
    ["another cluster", { clusterName: "Demo" }, 'cluster is "Demo" there and "demo" here'],
    ["a codec that it does not take", { codecs: 1 }, "it does not take codec 1"],
    ["more codecs", { codecs: 7 }, null],
    ["the top codec bit", { codecs: 0x8000_0003 }, null],
    ["a client of no cluster", { ...clientHello() }, null],
    [
      "a client with another page size",
      { ...clientHello(), pageBytes: 8192 },
      "page size is 8192 there and 4096 here",
    ],
  ];
  for (const [name, changes, reason] of cases) {
    test(`${name}: ${reason ?? "fits"}`, () => {
      expect(checkHello(peer, { ...peer, ...changes })).toBe(reason);
    });
  }
});

test("negotiate() takes the smaller of both, keepalive below idle, alike on both sides", () => {
  const times = (keepaliveMs: number, idleMs: number): Hello => ({ ...peer, keepaliveMs, idleMs });
  expect(negotiate(times(2000, 30_000), times(2000, 30_000))).toEqual({
    keepaliveMs: 2000,
    idleMs: 30_000,
  });
  expect(negotiate(times(500, 30_000), times(2000, 9000))).toEqual({
    keepaliveMs: 500,
    idleMs: 9000,
  });
  expect(negotiate(times(2000, 30_000), times(2000, 3000))).toEqual({
    keepaliveMs: 1500,
    idleMs: 3000,
  });
  const ms = fc.integer({ min: 1, max: 86_400_000 });
  fc.assert(
    fc.property(ms, ms, ms, ms, (a, b, c, d) => {
      const agreed = negotiate(times(a, b), times(c, d));
      expect(negotiate(times(c, d), times(a, b))).toEqual(agreed);
      expect(agreed.idleMs).toBe(Math.min(b, d));
      if (agreed.idleMs > 1) expect(agreed.keepaliveMs).toBeLessThan(agreed.idleMs);
    }),
  );
});
