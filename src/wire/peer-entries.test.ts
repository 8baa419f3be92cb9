import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import { VERSION_END } from "../core/limits.ts";
import { emptyZpage, type Zpage } from "../core/zpage.ts";
import {
  FLUSH_ENTRY_BYTES,
  FLUSH_SCOPE,
  GET_ENTRY_BYTES,
  GET_REPLY_ENTRY_BYTES,
  PUT_ENTRY_BYTES,
  readFlushScope,
  readFlushVersion,
  readGetReplyEntry,
  readGetVersion,
  readPutEntry,
  readPutKind,
  writeFlushEntry,
  writeGetEntry,
  writeGetReplyEntry,
  writePutEntry,
} from "./peer-entries.ts";

/** An entry in the middle of bytes that are all 0xff, so that missing writes are seen. */
const AT = 5;
const HANDLE = new Handle().set(0x0102, [0x1112131415161718n, 2n, 2n ** 64n - 1n], 0xf1f2f3f4);
const VERSION = 0x2345_6789_abcd;

function viewOf(entryBytes: number): DataView {
  const view = new DataView(new ArrayBuffer(AT + entryBytes + AT));
  new Uint8Array(view.buffer).fill(0xff);
  return view;
}

/** Checks that the bytes before and after the entry are unchanged. */
function expectNothingElse(view: DataView, entryBytes: number): void {
  for (let i = 0; i < AT; i += 1) {
    expect(view.getUint8(i)).toBe(0xff);
    expect(view.getUint8(AT + entryBytes + i)).toBe(0xff);
  }
}

function expectHandle(view: DataView): void {
  expect(view.getBigUint64(AT)).toBe(0x1112131415161718n);
  expect(view.getBigUint64(AT + 8)).toBe(2n);
  expect(view.getBigUint64(AT + 16)).toBe(2n ** 64n - 1n);
  expect(view.getUint32(AT + 24)).toBe(0xf1f2f3f4);
  expect(view.getUint16(AT + 28)).toBe(0x0102);
  expect(view.getUint16(AT + 30)).toBe(0);
}

describe("each field of an entry is at its offset:", () => {
  test("PUT", () => {
    const view = viewOf(PUT_ENTRY_BYTES);
    writePutEntry(view, AT, HANDLE, VERSION, 0xcafe_babe, 0x0fa0, 1, 1);
    expect(PUT_ENTRY_BYTES).toBe(48);
    expectHandle(view);
    expect(view.getBigUint64(AT + 32)).toBe(BigInt(VERSION));
    expect(view.getUint32(AT + 40)).toBe(0xcafe_babe);
    expect(view.getUint16(AT + 44)).toBe(0x0fa0);
    expect(view.getUint8(AT + 46)).toBe(1);
    expect(view.getUint8(AT + 47)).toBe(1);
    expectNothingElse(view, 48);
  });

  test("GET", () => {
    const view = viewOf(GET_ENTRY_BYTES);
    writeGetEntry(view, AT, HANDLE, VERSION);
    expect(GET_ENTRY_BYTES).toBe(40);
    expectHandle(view);
    expect(view.getBigUint64(AT + 32)).toBe(BigInt(VERSION));
    expectNothingElse(view, 40);
  });

  test("reply to GET", () => {
    const view = viewOf(GET_REPLY_ENTRY_BYTES);
    writeGetReplyEntry(view, AT, VERSION, 0xcafe_babe, 0x1000, 1, 12);
    expect(GET_REPLY_ENTRY_BYTES).toBe(16);
    expect(view.getBigUint64(AT)).toBe(BigInt(VERSION));
    expect(view.getUint32(AT + 8)).toBe(0xcafe_babe);
    expect(view.getUint16(AT + 12)).toBe(0x1000);
    expect(view.getUint8(AT + 14)).toBe(1);
    expect(view.getUint8(AT + 15)).toBe(12);
    expectNothingElse(view, 16);
  });

  test("FLUSH", () => {
    const view = viewOf(FLUSH_ENTRY_BYTES);
    writeFlushEntry(view, AT, HANDLE, VERSION, FLUSH_SCOPE.POOL);
    expect(FLUSH_ENTRY_BYTES).toBe(48);
    expectHandle(view);
    expect(view.getBigUint64(AT + 32)).toBe(BigInt(VERSION));
    expect(view.getUint8(AT + 40)).toBe(2);
    for (let i = 41; i < 48; i += 1) expect(view.getUint8(AT + i)).toBe(0);
    expectNothingElse(view, 48);
  });
});

describe("an entry reads as it was written:", () => {
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const handles = fc
    .tuple(fc.nat(0xffff), fc.tuple(u64, u64, u64), fc.nat(0xffff_ffff))
    .map(([pool, oid, index]) => new Handle().set(pool, oid, index));
  const versions = fc.maxSafeNat().map((number) => number % VERSION_END);
  const u32 = fc.nat(0xffff_ffff);
  const u8 = fc.nat(255);

  test("PUT", () => {
    const fields = fc.tuple(handles, versions, u32, fc.nat(0xffff), u8, u8);
    const entry = emptyZpage();
    fc.assert(
      fc.property(fields, ([handle, version, checksum, zpageBytes, codec, kind]) => {
        const view = viewOf(PUT_ENTRY_BYTES);
        writePutEntry(view, AT, handle, version, checksum, zpageBytes, codec, kind);
        const read = new Handle();
        readPutEntry(view, AT, read, entry);
        expect(read).toEqual(handle);
        expect(entry).toMatchObject({ version, checksum, zpageBytes, codec });
        expect(readPutKind(view, AT)).toBe(kind);
      }),
    );
  });

  test("GET and its reply", () => {
    const entry = emptyZpage();
    const fields = fc.tuple(handles, versions, u32, fc.nat(0xffff), u8, u8);
    fc.assert(
      fc.property(fields, ([handle, version, checksum, zpageBytes, codec, status]) => {
        const view = viewOf(GET_ENTRY_BYTES);
        writeGetEntry(view, AT, handle, version);
        const read = new Handle();
        read.read(view, AT);
        expect(read).toEqual(handle);
        expect(readGetVersion(view, AT)).toBe(version);
        writeGetReplyEntry(view, AT, version, checksum, zpageBytes, codec, status);
        expect(readGetReplyEntry(view, AT, entry)).toBe(status);
        expect(entry).toMatchObject({ version, checksum, zpageBytes, codec });
      }),
    );
  });

  test("FLUSH", () => {
    const scopes = fc.constantFrom(FLUSH_SCOPE.PAGE, FLUSH_SCOPE.OBJECT, FLUSH_SCOPE.POOL);
    fc.assert(
      fc.property(handles, versions, scopes, (handle, version, scope) => {
        const view = viewOf(FLUSH_ENTRY_BYTES);
        writeFlushEntry(view, AT, handle, version, scope);
        expect(readFlushVersion(view, AT)).toBe(version);
        expect(readFlushScope(view, AT)).toBe(scope);
      }),
    );
  });
});

test("reading an entry does not set where the zpage is", () => {
  const view = viewOf(PUT_ENTRY_BYTES);
  writePutEntry(view, AT, HANDLE, 1, 2, 3, 1, 0);
  const bytes = new Uint8Array(1);
  const entry: Zpage = emptyZpage(bytes, 77);
  readPutEntry(view, AT, new Handle(), entry);
  expect(entry.bytes).toBe(bytes);
  expect(entry.at).toBe(77);
  expect(HANDLE_BYTES).toBe(32);
});
