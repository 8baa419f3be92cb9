import { describe, expect, test } from "bun:test";
import { deliver } from "../../harness/wire/deliver.ts";
import { goodFixtures } from "../../harness/wire/fixtures.ts";
import { frameOf, u8 } from "../../harness/wire/frame-writer.ts";
import { parseHex } from "../../harness/wire/hex.ts";
import {
  BATCH_COUNT_MAX,
  BODY_BYTES_MAX,
  CLIENT_GET_COUNT_MAX,
  FETCH_BATCH_COUNT_MAX,
  FLUSH_BATCH_COUNT_MAX,
  HEADER_BYTES,
  RECLAIM_BATCH_COUNT_MAX,
  REMOTIFY_BATCH_BYTES,
  REMOTIFY_BATCH_COUNT_MAX,
  REPLY_BYTES_OUTSTANDING_MAX,
} from "../core/limits.ts";
import { Frame } from "./framer.ts";
import { FLAG_REPLY } from "./header.ts";
import {
  GOODBYE,
  invalidReply,
  invalidRequest,
  isPeerMessage,
  MESSAGE,
  type MessageName,
  messageName,
  replyBytesMax,
} from "./messages.ts";

const NAMES = Object.keys(MESSAGE) as MessageName[];

/** The most entries of each batch; the others have none. */
const COUNTS_MAX: Partial<Record<MessageName, number>> = {
  PUT: REMOTIFY_BATCH_COUNT_MAX,
  GET: FETCH_BATCH_COUNT_MAX,
  FLUSH: FLUSH_BATCH_COUNT_MAX,
  RECLAIM: RECLAIM_BATCH_COUNT_MAX,
  PAGE_PUT: CLIENT_GET_COUNT_MAX,
  PAGE_GET: CLIENT_GET_COUNT_MAX,
  PAGE_FLUSH: BATCH_COUNT_MAX,
  OBJECT_FLUSH: BATCH_COUNT_MAX,
  STATS: BATCH_COUNT_MAX,
};

function frame(fields: Partial<Frame>): Frame {
  return Object.assign(new Frame(), fields);
}

const NOT_REPLIED_TO: readonly string[] = ["GOODBYE", "GRANT", "OFFER"];

/** A frame of zeros after its header, `bodyBytes` long, all of it in memory. */
function zeros(type: number, bodyBytes: number, fields: Partial<Frame> = {}): Frame {
  const bytes = new Uint8Array(bodyBytes);
  return frame({ type, bytes, view: new DataView(bytes.buffer), bodyBytes, ...fields });
}

test("messages keep their numbers, which are part of the protocol", () => {
  expect(MESSAGE).toEqual({
    HELLO: 1,
    KEEPALIVE: 2,
    GOODBYE: 3,
    PUT: 16,
    GET: 17,
    FLUSH: 18,
    GRANT: 19,
    RECLAIM: 20,
    OFFER: 21,
    AUDIT: 22,
    NEW_POOL: 32,
    DESTROY_POOL: 33,
    FLUSH_POOL: 34,
    PAGE_PUT: 35,
    PAGE_GET: 36,
    PAGE_FLUSH: 37,
    OBJECT_FLUSH: 38,
    STATS: 39,
    KNOB_GET: 40,
    KNOB_SET: 41,
    POOL_TOKEN: 42,
    OPEN_POOL: 43,
    EVENTS: 44,
  });
  expect(Object.values(GOODBYE)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("names and numbers round trip, and an unknown number has a name", () => {
  for (const name of NAMES) expect(messageName(MESSAGE[name])).toBe(name);
  expect(messageName(0)).toBe("message 0");
  expect(messageName(255)).toBe("message 255");
});

test("peers send PUT, GET, FLUSH, GRANT, RECLAIM, OFFER and AUDIT, and nothing else", () => {
  const names = NAMES.filter((name) => isPeerMessage(MESSAGE[name]));
  expect(names).toEqual(["PUT", "GET", "FLUSH", "GRANT", "RECLAIM", "OFFER", "AUDIT"]);
});

describe("every message has a row:", () => {
  for (const name of NAMES) {
    test(name, () => {
      const type = MESSAGE[name];
      const countMax = COUNTS_MAX[name] ?? 0;
      const over = zeros(type, 0, { count: countMax + 1 });
      expect(invalidRequest(over)).toBe(`${name} with ${countMax + 1} entries: over ${countMax}`);
      const long = zeros(type, BODY_BYTES_MAX + 1);
      expect(invalidRequest(long)).toContain(`${name} with a body of ${BODY_BYTES_MAX + 1} bytes`);
      if (NOT_REPLIED_TO.includes(name)) {
        expect(invalidReply(long)).toBe(`reply to ${name}, which has none`);
        expect(replyBytesMax(type, 0)).toBe(0);
      } else {
        expect(invalidReply(over)).toContain(`${name} with ${countMax + 1} entries`);
        expect(invalidReply(long)).toContain(`${name} with a body of`);
      }
    });
  }
});

describe("the bound of a reply", () => {
  for (const name of NAMES.filter((each) => !NOT_REPLIED_TO.includes(each))) {
    const type = MESSAGE[name];
    const countMax = COUNTS_MAX[name] ?? 0;

    test(`to ${name} fits a body, and the window of replies`, () => {
      const bytesMax = replyBytesMax(type, countMax);
      expect(bytesMax).toBeLessThanOrEqual(BODY_BYTES_MAX);
      expect(HEADER_BYTES + bytesMax).toBeLessThanOrEqual(REPLY_BYTES_OUTSTANDING_MAX);
    });

    test(`to ${name} is one that a valid reply keeps to, refused or not`, () => {
      for (const count of new Set([0, Math.min(1, countMax), countMax])) {
        const bytesMax = replyBytesMax(type, count);
        for (const handlerStatus of [0, 14]) {
          const reply = { count: handlerStatus === 0 ? count : 0, handlerStatus };
          expect(invalidReply(zeros(type, bytesMax + 1, reply))).not.toBeNull();
        }
      }
    });
  }

  test("is never over that of the golden replies", () => {
    for (const { json, bytes } of goodFixtures()) {
      if (json.kind !== "reply") continue;
      const bytesMax = replyBytesMax(MESSAGE[json.message as MessageName], json.count);
      expect(bytes.length - HEADER_BYTES).toBeLessThanOrEqual(bytesMax);
    }
  });

  test("to a keepalive is empty: a full window never delays it", () => {
    expect(replyBytesMax(MESSAGE.KEEPALIVE, 0)).toBe(0);
  });

  test("to an unknown message is empty", () => {
    expect(replyBytesMax(200, 5)).toBe(0);
  });
});

test("a full remotify batch fits a PUT", () => {
  expect(invalidRequest(zeros(MESSAGE.PUT, REMOTIFY_BATCH_BYTES, { count: 512 }))).not.toContain(
    "over",
  );
});

test("a request of an unknown type is a valid frame", () => {
  expect(invalidRequest(zeros(99, 1000, { count: 17 }))).toBeNull();
});

test("a reply with a transport status has neither body nor count", () => {
  for (const name of NAMES.filter((each) => !NOT_REPLIED_TO.includes(each))) {
    const failed = { transportStatus: 1 };
    expect(invalidReply(zeros(MESSAGE[name], 0, failed))).toBeNull();
    expect(invalidReply(zeros(MESSAGE[name], 1, failed))).not.toBeNull();
    expect(invalidReply(zeros(MESSAGE[name], 0, { ...failed, count: 1 }))).not.toBeNull();
  }
});

test("a reply with a handler status has a reason, or none where each entry has a status", () => {
  for (const name of NAMES.filter((each) => !NOT_REPLIED_TO.includes(each))) {
    const refused = { handlerStatus: 14 };
    expect(invalidReply(zeros(MESSAGE[name], 0, refused))).toBeNull();
    const isCounted = COUNTS_MAX[name] !== undefined && name !== "STATS";
    const hasReason = !isCounted && name !== "KEEPALIVE";
    const reason = invalidReply(zeros(MESSAGE[name], 100, refused));
    if (hasReason) expect(reason).toBeNull();
    else expect(reason).toBe(`${name} with a body of 100 bytes: over 0`);
  }
});

test("an empty batch is valid, and so is its reply", () => {
  for (const name of Object.keys(COUNTS_MAX) as MessageName[]) {
    const request = parseHex(
      frameOf({ type: MESSAGE[name] }, [])
        .map(([hex]) => hex)
        .join(" "),
    );
    const reply = frameOf({ type: MESSAGE[name], flags: FLAG_REPLY }, []);
    const { frames } = deliver(request, parseHex(reply.map(([hex]) => hex).join(" ")));
    expect(frames.map((each) => each.reason)).toEqual([null, null]);
  }
});

test("a goodbye of any code is accepted, since codes are added", () => {
  const fields = frameOf({ type: MESSAGE.GOODBYE, request: 0 }, [u8(200, "code")]);
  const { frames } = deliver(parseHex(fields.map(([hex]) => hex).join(" ")));
  expect(frames.map((each) => each.reason)).toEqual([null]);
});
