/** The packets of Serf in fixtures/gossip: read, written, cut and damaged. */
import { describe, expect, test } from "bun:test";
import { type GossipFixture, gossipFixtures } from "../../harness/gossip/fixtures.ts";
import { type JsonMessage, messageToJson } from "../../harness/gossip/json-message.ts";
import { WireError } from "../core/errors.ts";
import { encodeMessage } from "./body.ts";
import type { PacketMessage } from "./messages.ts";
import { decodePacket, encodePacket } from "./packet.ts";
import { encodeStream, StreamDecoder } from "./stream.ts";

const fixtures = gossipFixtures();

/** The messages of a fixture, or null for an incomplete stream. Throws what the decoder throws. */
function read({ bytes, options, side }: GossipFixture, step = bytes.length): JsonMessage[] | null {
  if (side === null) {
    const messages: JsonMessage[] = [];
    decodePacket(bytes, options, (message) => messages.push(messageToJson(message)));
    return messages;
  }
  const decoder = new StreamDecoder(options, side);
  for (let at = 0; at < bytes.length; at += step) {
    const message = decoder.push(bytes.subarray(at, at + step));
    if (message !== null) return [messageToJson(message)];
  }
  return null;
}

/** Reads the fixture. The decoder may refuse it with a reason; any other error is thrown. */
function readOrRefuse(fixture: GossipFixture): void {
  try {
    read(fixture);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (!/^Cannot (read|decrypt|decompress) gossip: .+/.test(error.message)) throw error;
  }
}

test("the fixtures have every kind of packet that serf sends", () => {
  const kinds = fixtures.flatMap(({ messages }) => messages.map(({ kind }) => kind));
  for (const kind of ["ping", "indirect-ping", "suspect", "alive", "dead", "user", "push-pull"]) {
    expect(kinds).toContain(kind);
  }
});

describe("golden", () => {
  for (const fixture of fixtures) {
    test(`${fixture.name} is decoded to its messages`, () => {
      expect(read(fixture)).toEqual([...fixture.messages]);
    });
  }

  for (const fixture of fixtures) {
    test(`${fixture.name}, encoded by us, is decoded to the same messages`, () => {
      const { options, side } = fixture;
      let bytes: Uint8Array;
      if (side !== null) {
        const message = new StreamDecoder(options, side).push(fixture.bytes);
        if (message === null) throw new Error("not whole");
        bytes = encodeStream(message, options, side);
      } else {
        const messages: PacketMessage[] = [];
        decodePacket(fixture.bytes, options, (message) => messages.push(message));
        bytes = encodePacket(messages.map(encodeMessage), options);
      }
      expect(read({ ...fixture, bytes: Uint8Array.from(bytes) })).toEqual([...fixture.messages]);
    });
  }
});

describe("hostile bytes", () => {
  for (const fixture of fixtures) {
    const { name, bytes, side } = fixture;
    test(`${name}: cut short, a packet is refused and a stream waits`, () => {
      for (let length = 0; length < bytes.length; length += 1) {
        const cut = { ...fixture, bytes: bytes.slice(0, length) };
        if (side !== null) expect(read(cut)).toBeNull();
        else expect(() => read(cut)).toThrow(WireError);
      }
      if (side !== null) expect(read(fixture, 1)).toEqual([...fixture.messages]);
    });

    test(`${name}: with any bit flipped it is decoded or refused`, () => {
      const flipped = { ...fixture, bytes: bytes.slice() };
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const at = bit >> 3;
        flipped.bytes[at] = (bytes[at] ?? 0) ^ (0x80 >> (bit & 7));
        if (fixture.options.keyring === null) readOrRefuse(flipped);
        else if (side === null) expect(() => read(flipped)).toThrow(WireError);
        flipped.bytes[at] = bytes[at] ?? 0;
      }
    });
  }
});
