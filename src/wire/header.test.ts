import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BATCH_COUNT_MAX, BODY_BYTES_MAX, HEADER_BYTES } from "../core/limits.ts";
import { FLAG_REPLY, HEADER, invalidHeader, writeHeader } from "./header.ts";

/** At an offset, in a buffer that ends with the header. */
const AT = 3;

function headerView(): DataView {
  return new DataView(new ArrayBuffer(AT + HEADER_BYTES));
}

function reply(): DataView {
  const view = headerView();
  writeHeader(view, AT, 0x25, 0x0010_0203, 0x8405_0607, FLAG_REPLY, 2, 0xfe, 0x0000_0809);
  return view;
}

describe("writeHeader() puts each field at its offset, big-endian:", () => {
  const view = reply();
  const cases: ReadonlyArray<readonly [string, number, number, number, number]> = [
    ["magic", HEADER.MAGIC, 0, 2, 0x524d],
    ["protocol version", HEADER.VERSION, 2, 1, 1],
    ["message type", HEADER.TYPE, 3, 1, 0x25],
    ["body bytes", HEADER.BODY_BYTES, 4, 4, 0x0010_0203],
    ["request number", HEADER.REQUEST, 8, 4, 0x8405_0607],
    ["flags", HEADER.FLAGS, 12, 1, 1],
    ["transport status", HEADER.TRANSPORT_STATUS, 13, 1, 2],
    ["handler status", HEADER.HANDLER_STATUS, 14, 1, 0xfe],
    ["reserved", HEADER.RESERVED, 15, 1, 0],
    ["count", HEADER.COUNT, 16, 4, 0x0000_0809],
  ];
  for (const [name, offset, expected, byteCount, value] of cases) {
    test(name, () => {
      expect(offset).toBe(expected);
      let read = 0;
      for (let i = 0; i < byteCount; i += 1) read = read * 256 + view.getUint8(AT + expected + i);
      expect(read).toBe(value);
    });
  }

  test("and nothing before it", () => {
    for (let at = 0; at < AT; at += 1) expect(view.getUint8(at)).toBe(0);
  });
});

test("writeHeader() clears the reserved byte of what was there before", () => {
  const view = headerView();
  new Uint8Array(view.buffer).fill(0xff);
  writeHeader(view, AT, 2, 0, 1, 0, 0, 0, 0);
  expect(invalidHeader(view, AT)).toBeNull();
});

describe("invalidHeader() says what is wrong:", () => {
  const cases: ReadonlyArray<readonly [string, (view: DataView) => void, string | null]> = [
    ["nothing", () => {}, null],
    ["magic", (view) => view.setUint16(AT, 0x4d52), "magic is 0x4d52, not 0x524d"],
    ["version 0", (view) => view.setUint8(AT + 2, 0), "protocol version is 0, not 1"],
    ["the longest body", (view) => view.setUint32(AT + 4, BODY_BYTES_MAX), null],
    [
      "a body one over",
      (view) => view.setUint32(AT + 4, BODY_BYTES_MAX + 1),
      `body of ${BODY_BYTES_MAX + 1} bytes is over ${BODY_BYTES_MAX}`,
    ],
    ["request 0", (view) => view.setUint32(AT + 8, 0), "a reply to no request"],
    ["unknown flag", (view) => view.setUint8(AT + 12, 3), "flags are 0x3"],
    ["status DIED", (view) => view.setUint8(AT + 13, 3), "transport status 3 does not travel"],
    ["reserved", (view) => view.setUint8(AT + 15, 1), "reserved byte is not 0"],
    ["the largest count", (view) => view.setUint32(AT + 16, BATCH_COUNT_MAX), null],
    [
      "a count one over",
      (view) => view.setUint32(AT + 16, BATCH_COUNT_MAX + 1),
      `count of ${BATCH_COUNT_MAX + 1} is over ${BATCH_COUNT_MAX}`,
    ],
    [
      "a request with a transport status",
      (view) => view.setUint8(AT + 12, 0),
      "a request carries a status",
    ],
    [
      "a request with a handler status",
      (view) => view.setUint16(AT + 12, 0),
      "a request carries a status",
    ],
  ];
  for (const [name, spoil, reason] of cases) {
    test(name, () => {
      const view = reply();
      spoil(view);
      expect(invalidHeader(view, AT)).toBe(reason);
    });
  }
});

test("invalidHeader() reads no further than the header, whatever the bytes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: HEADER_BYTES, maxLength: HEADER_BYTES }),
      fc.boolean(),
      (bytes, withMagic) => {
        const view = headerView();
        new Uint8Array(view.buffer).set(bytes, AT);
        if (withMagic) view.setUint32(AT, 0x524d_0100 | (bytes[3] ?? 0));
        const reason = invalidHeader(view, AT);
        expect(reason === null || reason.length > 0).toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
});

test("any header that is written within its bounds is valid", () => {
  const fields = fc.record({
    type: fc.nat(255),
    bodyBytes: fc.nat(BODY_BYTES_MAX),
    request: fc.integer({ min: 1, max: 0xffff_ffff }),
    isReply: fc.boolean(),
    transportStatus: fc.nat(2),
    handlerStatus: fc.nat(255),
    count: fc.nat(BATCH_COUNT_MAX),
  });
  fc.assert(
    fc.property(fields, (header) => {
      const view = headerView();
      const { type, bodyBytes, request, isReply, count } = header;
      const transportStatus = isReply ? header.transportStatus : 0;
      const handlerStatus = isReply ? header.handlerStatus : 0;
      const flags = isReply ? FLAG_REPLY : 0;
      writeHeader(view, AT, type, bodyBytes, request, flags, transportStatus, handlerStatus, count);
      expect(invalidHeader(view, AT)).toBeNull();
    }),
  );
});
