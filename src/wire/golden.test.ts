/** src/wire against the frames of a second writer (fixtures/wire), intact and damaged. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { atEndOfBuffer, cutAt, type Delivery, deliver } from "../../harness/wire/deliver.ts";
import { badFixtures, fixtureUrl, goodFixtures } from "../../harness/wire/fixtures.ts";
import { encodeFrame } from "../../harness/wire/json-frame.ts";
import { goldenFiles } from "../../harness/wire/make.ts";
import { MESSAGE } from "./messages.ts";

const NOT_REPLIED_TO: readonly string[] = ["GOODBYE", "GRANT", "OFFER"];
const good = goodFixtures();
const bad = badFixtures();

test("fixtures/wire has exactly the files that harness/wire/make.ts writes", () => {
  const files = goldenFiles();
  const paths = ["good", "bad"].flatMap((folder) => {
    return readdirSync(fixtureUrl(folder)).map((file) => `${folder}/${file}`);
  });
  expect(paths.sort()).toEqual([...files.keys()].sort());
  for (const [path, text] of files) expect(readFileSync(fixtureUrl(path), "utf8")).toBe(text);
});

test("every message has a golden request, and every message with a reply a golden reply", () => {
  const seen = new Set(good.map(({ json }) => `${json.message} ${json.kind}`));
  for (const name of Object.keys(MESSAGE)) {
    expect(seen).toContain(`${name} request`);
    if (!NOT_REPLIED_TO.includes(name)) expect(seen).toContain(`${name} reply`);
  }
});

describe("a golden frame is encoded and decoded exactly", () => {
  for (const { name, bytes, json } of good) {
    test(name, () => {
      expect(Buffer.from(encodeFrame(json)).toString("hex")).toBe(
        Buffer.from(bytes).toString("hex"),
      );
      const { frames, error } = deliver(atEndOfBuffer(bytes));
      expect(error).toBeNull();
      expect(frames.map((frame) => frame.reason)).toEqual([null]);
      expect(frames[0]?.json).toEqual(json);
    });
  }
});

describe("a bad frame is refused with its reason", () => {
  for (const { name, bytes, reason } of bad) {
    test(`${name}: "${reason}"`, () => {
      const { frames, error } = deliver(atEndOfBuffer(bytes));
      if (error === null) expect(frames.map((frame) => frame.reason)).toEqual([reason]);
      else expect(error).toBe(`Cannot read message: ${reason}`);
    });
  }
});

/**
 * Any bytes must give a reason, or a frame whose content encodes to the same bytes. `deliver`
 * throws every other error.
 */
function expectReadOrRefused({ frames, error }: Delivery): void {
  if (error?.startsWith("Cannot read message: ") === false) throw new Error(error);
  for (const { bytes, reason, json } of frames) {
    if (reason === "") throw new Error("the reason is empty");
    if (json !== null && !Buffer.from(encodeFrame(json)).equals(bytes)) {
      throw new Error(`${JSON.stringify(json)} does not encode to the bytes that were read`);
    }
  }
}

describe("from hostile bytes", () => {
  for (const { name, bytes, json } of good) {
    test(`${name} is not read until it is whole, and in two chunks it is the same frame`, () => {
      for (let at = 0; at < bytes.length; at += 1) {
        const start = atEndOfBuffer(bytes.subarray(0, at));
        expect(deliver(start)).toEqual({ frames: [], error: null });
      }
      const step = bytes.length > 1000 ? 37 : 1;
      for (let at = 0; at <= bytes.length; at += step) {
        expect(deliver(...cutAt(bytes, at)).frames.map((frame) => frame.json)).toEqual([json]);
      }
    });

    test(`${name} with a shorter body and a matching header is read or refused`, () => {
      // Every length up to the second entry, and some of those within pages.
      for (let length = 20; length < bytes.length; length += length < 300 ? 1 : 7) {
        const cut = atEndOfBuffer(bytes.subarray(0, length));
        new DataView(cut.buffer, cut.byteOffset).setUint32(4, length - 20);
        expectReadOrRefused(deliver(cut));
      }
    });

    test(`${name} with any one bit flipped is read or refused`, () => {
      // Every bit up to the second entry, and some of those within pages.
      const flipped = atEndOfBuffer(bytes);
      for (let bit = 0; bit < bytes.length * 8; bit += bit < 300 * 8 ? 1 : 37) {
        const mask = 0x80 >> (bit & 7);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ mask;
        expectReadOrRefused(deliver(flipped));
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ mask;
      }
    });
  }
});
