import { describe, expect, test } from "bun:test";
import { Handle } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import {
  invalidHandlesBody,
  invalidKnobSetBody,
  invalidPageGetBody,
  invalidPageGetReplyBody,
  invalidPagePutBody,
  PAGE_GET_ENTRY_BYTES,
  PAGE_PUT_ENTRY_BYTES,
  readGetAndFree,
  writeGetAndFree,
} from "./client-entries.ts";
import { Frame } from "./framer.ts";

/** A frame whose body ends with its buffer. */
function frameOf(body: Uint8Array<ArrayBuffer>, count: number): Frame {
  const bodyBytes = body.length;
  const view = new DataView(body.buffer);
  return Object.assign(new Frame(), { bytes: body, view, bodyBytes, count });
}

test("entries of clients have the lengths that PROTOCOL.md gives", () => {
  expect(PAGE_PUT_ENTRY_BYTES).toBe(32 + 4096);
  expect(PAGE_GET_ENTRY_BYTES).toBe(40);
});

test("get_and_free is the signed byte after the handle, and seven zeros follow", () => {
  for (const getAndFree of [-1, 0, 1]) {
    const body = new Uint8Array(PAGE_GET_ENTRY_BYTES).fill(0xff);
    const view = new DataView(body.buffer);
    new Handle().set(1, [1n, 2n, 3n], 4).write(view, 0);
    writeGetAndFree(view, 0, getAndFree);
    expect(view.getInt8(32)).toBe(getAndFree);
    expect([...body.subarray(33)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(readGetAndFree(view, 0)).toBe(getAndFree);
    expect(invalidPageGetBody(frameOf(body, 1))).toBeNull();
  }
});

test("get_and_free has no other value, and each reserved byte is checked", () => {
  for (let value = 2; value <= 254; value += 1) {
    const body = new Uint8Array(PAGE_GET_ENTRY_BYTES);
    body[32] = value;
    expect(invalidPageGetBody(frameOf(body, 1))).toContain("get_and_free");
  }
  for (const at of [30, 31, 33, 34, 35, 36, 37, 38, 39]) {
    const body = new Uint8Array(2 * PAGE_GET_ENTRY_BYTES);
    body[PAGE_GET_ENTRY_BYTES + at] = 1;
    expect(invalidPageGetBody(frameOf(body, 2))).toStartWith("entry 1: reserved bytes");
  }
});

describe("a body must be as long as its count says:", () => {
  const cases = [
    { name: "PAGE_PUT", invalid: invalidPagePutBody, entryBytes: PAGE_PUT_ENTRY_BYTES },
    { name: "PAGE_GET", invalid: invalidPageGetBody, entryBytes: PAGE_GET_ENTRY_BYTES },
    { name: "PAGE_FLUSH and OBJECT_FLUSH", invalid: invalidHandlesBody, entryBytes: 32 },
  ];
  for (const { name, invalid, entryBytes } of cases) {
    test(name, () => {
      const bodyOf = (bodyBytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(bodyBytes);
      expect(invalid(frameOf(bodyOf(2 * entryBytes), 2))).toBeNull();
      expect(invalid(frameOf(bodyOf(2 * entryBytes - 1), 2))).not.toBeNull();
      expect(invalid(frameOf(bodyOf(2 * entryBytes + 1), 2))).not.toBeNull();
      expect(invalid(frameOf(bodyOf(2 * entryBytes), 3))).not.toBeNull();
      expect(invalid(frameOf(bodyOf(0), 4096))).not.toBeNull();
    });
  }
});

test("a reply to PAGE_GET has a page for each OK and none for the others", () => {
  for (const [statuses, pages] of [
    [[], 0],
    [[1, 11], 0],
    [[0, 0, 1], 2],
  ] as const) {
    const body = new Uint8Array(statuses.length + pages * PAGE_BYTES).fill(0xaa);
    body.set(statuses);
    expect(invalidPageGetReplyBody(frameOf(body, statuses.length))).toBeNull();
    const longer = new Uint8Array(body.length + PAGE_BYTES);
    longer.set(body);
    expect(invalidPageGetReplyBody(frameOf(longer, statuses.length))).not.toBeNull();
  }
});

test("KNOB_SET may have an empty name or value, and no name longer than its body", () => {
  for (const [body, isValid] of [
    [[], false],
    [[0], false],
    [[0, 0], true],
    [[0, 1], false],
    [[0, 1, 65], true],
    [[0, 0, 65], true],
    [[255, 255, 65], false],
  ] as const) {
    expect(invalidKnobSetBody(frameOf(new Uint8Array(body), 0)) === null).toBe(isValid);
  }
});
