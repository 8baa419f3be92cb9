/** Gossip messages to bytes and back, at the limits of each layer. */
import { describe, expect, test } from "bun:test";
import { ConfigError, WireError } from "../core/errors.ts";
import {
  COMPOUND_PARTS_MAX,
  GOSSIP_KEYS_MAX,
  GOSSIP_NESTING_MAX,
  GOSSIP_STREAM_BYTES_MAX,
  GOSSIP_WHOLE_BYTES_MAX,
  META_BYTES_MAX,
  PACKET_BYTES_MAX,
  PACKET_MESSAGES_MAX,
  PUSH_PULL_MEMBERS_MAX,
  USER_STATE_DECLARED_BYTES_MAX,
} from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { encodeMessage, withId } from "./body.ts";
import { ENCRYPTION_BYTES, Keyring } from "./keyring.ts";
import { decodeLzw } from "./lzw.ts";
import { GOSSIP, type PacketMessage, type PushPullMember, type StreamMessage } from "./messages.ts";
import { decodeMsgpack, encodeMsgpack, Fields, msgpackEnd } from "./msgpack.ts";
import {
  COMPOUND_PART_BYTES,
  decodePacket,
  encodePacket,
  type GossipOptions,
  packetOverhead,
} from "./packet.ts";
import { decodeCoordinate, encodeCoordinate } from "./serf-coordinate.ts";
import {
  decodeIntent,
  decodeSerfState,
  encodeIntent,
  encodeSerfState,
  type SerfState,
} from "./serf-messages.ts";
import { decodeTags, encodeTags } from "./serf-tags.ts";
import { encodeStream, StreamDecoder, type StreamSide } from "./stream.ts";

const CLEAR: GossipOptions = { keyring: null, label: "" };
const keyOf = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
const ringOf = (...keys: Uint8Array[]): Keyring => new Keyring(keys, new SeededRandom(7));
const NACK: PacketMessage = { kind: "nack", seq: 9 };
const NACK_BYTES = encodeMessage(NACK);
const SIDES: readonly StreamSide[] = ["dialled", "answered"];

function read(packet: Uint8Array, options = CLEAR): PacketMessage[] {
  const messages: PacketMessage[] = [];
  decodePacket(packet, options, (message) => messages.push(message));
  return messages;
}

describe("msgpack", () => {
  test("msgpackEnd() finds the end of any value, or that it is incomplete", () => {
    for (const value of [
      0,
      -1,
      200,
      -200,
      70_000,
      2 ** 40,
      1.5,
      true,
      null,
      "",
      "x".repeat(40),
      "y".repeat(300),
      "z".repeat(70_000),
      new Uint8Array(5),
      new Uint8Array(300),
      [],
      [1, [2, "3"]],
      {},
      { a: { b: [1, 2, { c: new Uint8Array(2) }] } },
      Array.from({ length: 100 }, (_, i) => i),
      Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, i])),
    ]) {
      const bytes = encodeMsgpack(value);
      expect(msgpackEnd(bytes, 0)).toBe(bytes.length);
      const cut = Math.max(0, bytes.length - 1);
      expect(msgpackEnd(bytes.subarray(0, cut), 0)).toBe(-1);
    }
  });

  test("lengths past the end, too many entries and too many levels are refused", () => {
    for (const bytes of [
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      [0xdf, 0x00, 0x01, 0x00, 0x00],
      [0xc6, 0xff, 0xff, 0xff, 0xff],
      [0xc1],
      new Array<number>(20).fill(0x91),
    ]) {
      expect(() => msgpackEnd(Uint8Array.from(bytes), 0)).toThrow(WireError);
    }
  });

  test("missing fields have Go's zero values, and others must have their type", () => {
    const fields = new Fields(decodeMsgpack(encodeMsgpack({ A: 5, B: "x", C: -1, __proto: 1 })));
    expect([fields.count("None"), fields.text("None", 9), fields.flag("None")]).toEqual([
      0,
      "",
      false,
    ]);
    expect(fields.count("A")).toBe(5);
    expect(() => fields.count("A", 4)).toThrow("A must be a whole number from 0 to 4");
    expect(() => fields.count("B")).toThrow(WireError);
    expect(() => fields.count("C")).toThrow(WireError);
    expect(() => fields.bytes("A", 9)).toThrow("A must be bytes");
    expect(() => fields.text("B", 0)).toThrow("B has over 0 bytes");
    expect(() => new Fields(5)).toThrow("a body is not a map");
    expect(fields.count("toString")).toBe(0);
  });
});

describe("keyring", () => {
  test("the first key encrypts, every key decrypts, and no other key does", () => {
    const plain = Uint8Array.from({ length: 100 }, (_, i) => i);
    const extra = Uint8Array.of(1, 2);
    const sealed = ringOf(keyOf(1), keyOf(2)).encrypt(plain, extra);
    expect(sealed.length).toBe(plain.length + ENCRYPTION_BYTES);
    expect([...ringOf(keyOf(9), keyOf(1)).decrypt(sealed, extra)]).toEqual([...plain]);
    expect(() => ringOf(keyOf(2)).decrypt(sealed, extra)).toThrow(
      "no gossip key of this node fits",
    );
    expect(() => ringOf(keyOf(1)).decrypt(sealed, Uint8Array.of(1))).toThrow(WireError);
    expect(() => ringOf(keyOf(1)).decrypt(plain.subarray(5), extra)).toThrow("it is not encrypted");
  });

  test("keys can be added, used and removed, except the one in use", () => {
    const ring = ringOf(keyOf(1));
    ring.add(keyOf(2, 16));
    ring.add(keyOf(2, 16));
    expect(ring.keys().length).toBe(2);
    expect(() => ring.remove(keyOf(1))).toThrow("use another key first");
    ring.use(keyOf(2, 16));
    ring.remove(keyOf(1));
    expect(ring.keys().map((key) => key.length)).toEqual([16]);
    expect(() => ring.use(keyOf(3))).toThrow("add it first");
    expect(() => ring.add(keyOf(1, 20))).toThrow(ConfigError);
    for (let i = 10; ring.keys().length < GOSSIP_KEYS_MAX; i += 1) ring.add(keyOf(i));
    expect(() => ring.add(keyOf(9))).toThrow(ConfigError);
    expect(() => new Keyring([], new SeededRandom(1))).toThrow("without a key");
  });
});

describe("packets", () => {
  const alive: PacketMessage = {
    kind: "alive",
    incarnation: 4_000_000_000,
    node: "näme",
    addr: Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
    port: 65_535,
    meta: new Uint8Array(META_BYTES_MAX).fill(7),
    vsn: [2, 5, 5, 2, 5, 4],
  };
  const all: PacketMessage[] = [
    alive,
    NACK,
    { kind: "ack", seq: 2 ** 32 - 1, payload: Uint8Array.of(1) },
    { kind: "user", bytes: Uint8Array.of(0, 1, 2) },
    { kind: "dead", incarnation: 0, node: "a", from: "b" },
  ];

  test.each([
    ["in clear", CLEAR],
    ["encrypted", { keyring: ringOf(keyOf(1)), label: "" }],
    ["with a label", { keyring: null, label: "blue" }],
    ["encrypted with a label", { keyring: ringOf(keyOf(1)), label: "blue" }],
  ] as const)("are decoded as they were encoded %s", (_, options) => {
    const packet = encodePacket(all.map(encodeMessage), options);
    expect(read(packet, options)).toEqual(all);
    const bodies = all.reduce((sum, it) => sum + encodeMessage(it).length + COMPOUND_PART_BYTES, 0);
    expect(packet.length).toBe(bodies + packetOverhead(options));
    expect(read(encodePacket([encodeMessage(NACK)], options), options)).toEqual([NACK]);
  });

  test("without a checksum are read too", () => {
    expect(read(encodeMessage(NACK))).toEqual([NACK]);
  });

  test("of another cluster are refused, by label, by encryption and by key", () => {
    const blue = { keyring: ringOf(keyOf(1)), label: "blue" };
    const packet = encodePacket([encodeMessage(NACK)], blue);
    for (const other of [
      { keyring: ringOf(keyOf(1)), label: "green" },
      { keyring: ringOf(keyOf(1)), label: "" },
      { keyring: ringOf(keyOf(2)), label: "blue" },
    ]) {
      expect(() => read(packet, other)).toThrow(WireError);
    }
    const clear = encodePacket([encodeMessage(NACK)], CLEAR);
    expect(() => read(clear, blue)).toThrow(WireError);
    expect(() => read(clear, { ...blue, label: "" })).toThrow("it is not encrypted");
  });

  test("a part that cannot be read is skipped and counted, and the others are read", () => {
    const spoilt = [
      withId(GOSSIP.PING, Uint8Array.of(0xc1)),
      encodeMessage(NACK),
      withId(99, keyOf(1, 3)),
      encodeMessage({ ...alive, node: "x".repeat(256) }),
      encodeMessage(alive),
      encodeMessage({ ...alive, node: "two\nlines" }),
      withId(GOSSIP.COMPRESS, encodeMsgpack({ Algo: 0, Buf: keyOf(1, 5) })),
      Uint8Array.of(GOSSIP.COMPOUND, 2, 0, 1),
    ];
    const seen: PacketMessage[] = [];
    const unread = decodePacket(encodePacket(spoilt, CLEAR), CLEAR, (it) => void seen.push(it));
    expect(seen).toEqual([NACK, alive]);
    expect(unread.count).toBe(6);
    expect(unread.reason).toStartWith("Cannot read gossip: ");
    const [first = NACK_BYTES] = spoilt;
    for (const packet of [encodePacket([first], CLEAR), encodePacket([first, first], CLEAR)]) {
      expect(() => decodePacket(packet, CLEAR, (it) => void seen.push(it))).toThrow(WireError);
    }
    expect(seen.length).toBe(2);
  });

  test("names have at most 255 bytes, but a sender with a longer name is answered", () => {
    const long = { ...alive, node: "n".repeat(255) };
    const ping: PacketMessage = {
      kind: "ping",
      seq: 1,
      node: "us",
      sourceAddr: Uint8Array.of(10, 0, 0, 1),
      sourcePort: 7946,
      sourceNode: "m".repeat(400),
    };
    const suspect: PacketMessage = {
      kind: "suspect",
      incarnation: 1,
      node: "a",
      from: "m".repeat(400),
    };
    const packet = encodePacket([long, ping, suspect].map(encodeMessage), CLEAR);
    expect(read(packet)).toEqual([long, ping, suspect]);
  });

  test("the cost of a packet is bounded, whatever its parts are", () => {
    const zeros = packCodes([256, 0, ...Array.from({ length: 1000 }, (_, i) => 258 + i), 257]);
    const bomb = withId(GOSSIP.COMPRESS, encodeMsgpack({ Algo: 0, Buf: zeros }));
    const inside = decodeLzw(zeros, PACKET_BYTES_MAX).length;
    const parts = Array.from({ length: 40 }, () => bomb);
    const packet = encodePacket([...parts, encodeMessage(NACK)], CLEAR);
    expect(decodePacket(packet, CLEAR, () => {}).count).toBe(40);
    const opened = Math.floor(PACKET_BYTES_MAX / inside);
    expect(opened).toBeLessThan(40);
    const many = new Array<Uint8Array>(250).fill(encodeMessage(NACK));
    const compound = encodePacket(many, CLEAR).subarray(5);
    const nested = encodePacket(new Array<Uint8Array>(5).fill(compound), CLEAR);
    expect(read(nested).length).toBeLessThan(PACKET_MESSAGES_MAX);
    expect(decodePacket(nested, CLEAR, () => {}).count).toBe(5 * 250 + 6 - PACKET_MESSAGES_MAX);
  });

  test("a wrong checksum, too many levels and too many parts are refused", () => {
    const packet = encodePacket([encodeMessage(NACK)], CLEAR);
    packet[packet.length - 1] = 0;
    expect(() => read(packet)).toThrow("its checksum is wrong");
    let nested = encodeMessage(NACK);
    for (let i = 0; i <= GOSSIP_NESTING_MAX; i += 1) {
      nested = Uint8Array.of(GOSSIP.COMPOUND, 1, 0, nested.length, ...nested);
    }
    expect(() => read(nested)).toThrow("levels");
    const many = new Array<Uint8Array>(COMPOUND_PARTS_MAX + 1).fill(encodeMessage(NACK));
    expect(() => encodePacket(many, CLEAR)).toThrow(WireError);
  });

  test("a small packet that decompresses to a large one is refused", () => {
    // Literal 0, then codes that are not complete yet: each is one zero longer than the last.
    const codes = [256, 0, ...Array.from({ length: 3800 }, (_, i) => 258 + i)];
    const bomb = packCodes(codes);
    expect(bomb.length).toBeLessThan(6000);
    const packet = withId(GOSSIP.COMPRESS, encodeMsgpack({ Algo: 0, Buf: bomb }));
    expect(() => read(packet)).toThrow(`over ${PACKET_BYTES_MAX} bytes`);
    const other = withId(GOSSIP.COMPRESS, encodeMsgpack({ Algo: 1, Buf: bomb }));
    expect(() => read(other)).toThrow("algorithm 1 is unknown");
  });
});

describe("lzw", () => {
  test("reads codes of every width, with the table full and cleared", () => {
    const zeros = [256, 0, ...Array.from({ length: 500 }, (_, i) => 258 + i), 257];
    expect(decodeLzw(packCodes(zeros), PACKET_BYTES_MAX).length).toBe((501 * 502) / 2);
    const literals = [256, ...Array.from({ length: 6000 }, (_, i) => i % 251), 256, 65, 66, 257];
    const text = decodeLzw(packCodes(literals), PACKET_BYTES_MAX);
    expect([...text.subarray(0, 6000)]).toEqual(literals.slice(1, 6001));
    expect([...text.subarray(6000)]).toEqual([65, 66]);
  });

  test("input that is cut short, unknown codes and long output are refused", () => {
    expect(() => decodeLzw(new Uint8Array(0), 10)).toThrow("cut short");
    expect(() => decodeLzw(packCodes([256, 0, 300, 257]), 10)).toThrow("not in the table");
    expect(() => decodeLzw(packCodes([256, 1, 2, 3, 257]), 2)).toThrow("over 2 bytes");
  });
});

describe("streams", () => {
  const messages: StreamMessage[] = [
    { kind: "user", bytes: new Uint8Array(3000).fill(5) },
    { kind: "error", error: "go away" },
    { kind: "ack", seq: 3, payload: new Uint8Array(0) },
    {
      kind: "push-pull",
      members: Array.from({ length: 50 }, (_, i) => memberOf(`n${i}`)),
      userState: new Uint8Array(500).fill(3),
      join: true,
    },
  ];

  test.each([
    ["in clear", CLEAR],
    ["encrypted with a label", { keyring: ringOf(keyOf(1)), label: "blue" }],
  ] as const)("are decoded as they were encoded %s, in chunks of any size", (_, options) => {
    for (const [message, side] of messages.flatMap((it) =>
      SIDES.map((side) => [it, side] as const),
    )) {
      const bytes = encodeStream(message, options, side);
      for (const step of [1, 7, bytes.length]) {
        const decoder = new StreamDecoder(options, side);
        let got: StreamMessage | null = null;
        for (let at = 0; at < bytes.length && got === null; at += step) {
          got = decoder.push(bytes.subarray(at, at + step));
        }
        expect(got).toEqual(message);
      }
    }
  });

  test("only the side that dials writes the label; both sides authenticate it", () => {
    const ping = { kind: "ack", seq: 3, payload: new Uint8Array(0) } as const;
    const header = [GOSSIP.HAS_LABEL, 4, ...new TextEncoder().encode("blue")];
    const clear = { keyring: null, label: "blue" };
    const dialled = encodeStream(ping, clear, "dialled");
    const answered = encodeStream(ping, clear, "answered");
    expect([...dialled]).toEqual([...header, ...answered]);
    expect(answered[0]).toBe(GOSSIP.ACK);
    expect(() => new StreamDecoder(clear, "dialled").push(answered)).toThrow("another cluster");
    expect(() => new StreamDecoder(clear, "answered").push(dialled)).toThrow("message id 244");

    const blue = { keyring: ringOf(keyOf(1)), label: "blue" };
    const sealed = encodeStream(ping, blue, "answered");
    expect(sealed[0]).toBe(GOSSIP.ENCRYPT);
    expect(new StreamDecoder(blue, "answered").push(sealed)).toEqual(ping);
    for (const label of ["", "green"]) {
      const other = { ...blue, label };
      expect(() => new StreamDecoder(other, "answered").push(sealed)).toThrow("no gossip key");
    }
  });

  test("two labels and an empty label are refused", () => {
    const header = [GOSSIP.HAS_LABEL, 4, ...new TextEncoder().encode("blue")];
    const ack = encodeMessage({ kind: "ack", seq: 3, payload: new Uint8Array(0) });
    const twice = Uint8Array.from([...header, ...header, ...ack]);
    const empty = Uint8Array.from([GOSSIP.HAS_LABEL, 0, ...ack]);
    const clear = { keyring: null, label: "blue" };
    for (const [bytes, options, reason] of [
      [twice, clear, "two labels"],
      [empty, clear, "another cluster"],
      [empty, CLEAR, "another cluster"],
    ] as const) {
      expect(() => new StreamDecoder(options, "dialled").push(bytes)).toThrow(reason);
      expect(() => read(bytes, options)).toThrow(reason);
    }
  });

  test("a member that cannot be read is skipped and counted, and the others are read", () => {
    const whole = { kind: "push-pull", userState: Uint8Array.of(1, 2), join: true } as const;
    const members = [
      memberOf("a"),
      memberOf("x".repeat(256)),
      memberOf("two\nlines"),
      { ...memberOf("q"), addr: new Uint8Array(3) },
      memberOf("b"),
      { ...memberOf("q"), meta: new Uint8Array(META_BYTES_MAX + 1) },
      memberOf("c"),
    ];
    for (const options of [CLEAR, { keyring: ringOf(keyOf(1)), label: "blue" }]) {
      const bytes = encodeStream({ ...whole, members }, options, "dialled");
      const decoder = new StreamDecoder(options, "dialled");
      const read = ["a", "b", "c"].map(memberOf);
      expect(readStream(decoder, bytes, 100)).toEqual({ ...whole, members: read });
      expect(decoder.unread.count).toBe(4);
      expect(decoder.unread.reason).toBe("Cannot read gossip: Name has over 255 bytes");
    }
  });

  test("the first of 6,000 members are kept, counted apart when alive and when gone", () => {
    const state = [0, 3, 2] as const;
    const members = Array.from({ length: 6000 }, (_, i) => {
      return { ...memberOf(`n${i}`), state: state[i % 3] ?? 0 };
    });
    const message = {
      kind: "push-pull",
      members,
      userState: new Uint8Array(0),
      join: false,
    } as const;
    const decoder = new StreamDecoder(CLEAR, "dialled");
    const bytes = encodeStream(message, CLEAR, "dialled");
    const read = readStream(decoder, bytes, 10_000);
    if (read?.kind !== "push-pull") throw new Error("no push/pull");
    expect(read.members.filter((it) => it.state === 0).length).toBe(2000);
    expect(read.members.length).toBe(2000 + PUSH_PULL_MEMBERS_MAX);
    expect(decoder.unread.count).toBe(4000 - PUSH_PULL_MEMBERS_MAX);
    // Decoded bytes are dropped.
    expect(decoder.bufferedBytes).toBeLessThan(bytes.length / 2);
  });

  test("a user state of 20 MiB is skipped, and a longer one is refused", () => {
    const userState = new Uint8Array(USER_STATE_DECLARED_BYTES_MAX - 10_000);
    const message = { kind: "push-pull", members: [memberOf("a")], userState, join: true } as const;
    const empty = { ...message, userState: new Uint8Array(0) };
    const clear = new StreamDecoder(CLEAR, "dialled");
    expect(readStream(clear, encodeStream(message, CLEAR, "dialled"), 65_536)).toEqual(empty);
    expect(clear.bufferedBytes).toBeLessThan(200_000);
    const blue = { keyring: ringOf(keyOf(1)), label: "blue" };
    const sealed = encodeStream(message, blue, "dialled");
    const decoder = new StreamDecoder(blue, "dialled");
    expect(readStream(decoder, sealed, 2 ** 20)).toEqual(empty);
    expect(decoder.bufferedBytes).toBeLessThanOrEqual(GOSSIP_STREAM_BYTES_MAX);
    const longer = { Nodes: 0, UserStateLen: USER_STATE_DECLARED_BYTES_MAX + 1 };
    const bytes = withId(GOSSIP.PUSH_PULL, encodeMsgpack(longer));
    expect(() => new StreamDecoder(CLEAR, "dialled").push(bytes)).toThrow("UserStateLen");
    const head = Uint8Array.of(GOSSIP.ENCRYPT, 0, 0, 0, 0);
    new DataView(head.buffer).setUint32(1, GOSSIP_WHOLE_BYTES_MAX + 1);
    expect(() => new StreamDecoder(blue, "answered").push(head)).toThrow("a stream declares");
  });

  test("a push/pull that declares a million members or gigabytes is refused at once", () => {
    for (const header of [
      { Nodes: 1_000_000, UserStateLen: 0 },
      { Nodes: 0, UserStateLen: 2 ** 31 },
      { Nodes: -1, UserStateLen: 0 },
    ]) {
      const bytes = withId(GOSSIP.PUSH_PULL, encodeMsgpack(header));
      expect(() => new StreamDecoder(CLEAR, "dialled").push(bytes)).toThrow(WireError);
    }
    const sealed = Uint8Array.of(GOSSIP.ENCRYPT, 0xff, 0xff, 0xff, 0xff);
    const secured = { keyring: ringOf(keyOf(1)), label: "" };
    expect(() => new StreamDecoder(secured, "dialled").push(sealed)).toThrow(WireError);
    expect(() => new StreamDecoder(CLEAR, "dialled").push(sealed)).toThrow(
      "this node has no --key",
    );
  });
});

describe("serf", () => {
  test("tags are decoded as they were encoded, and must fit", () => {
    const tags = { role: "server", empty: "", long: "x".repeat(300) };
    expect(decodeTags(encodeTags(tags))).toEqual(new Map(Object.entries(tags)));
    expect(() => encodeTags({ long: "x".repeat(600) })).toThrow(ConfigError);
    expect(decodeTags(new TextEncoder().encode("web"))).toEqual(new Map([["role", "web"]]));
    for (const rubbish of [[255], [255, 0xc1], [255, 0x91, 1], [0xff, 0x81, 0xa1, 0x61, 5]]) {
      expect(decodeTags(Uint8Array.from(rubbish)).size).toBe(0);
    }
  });

  test("coordinates are decoded as they were encoded, and implausible ones are ignored", () => {
    const vec = [0, 1.5, -2, 3, 0, 0, 1e-9, 1000];
    const coordinate = { vec, error: 0.5, adjustment: -0.001, height: 1e-5 };
    expect(decodeCoordinate(encodeCoordinate(coordinate))).toEqual(coordinate);
    for (const wrong of [
      { vec: vec.slice(1) },
      { vec: [...vec, 0] },
      { vec: [...vec.slice(1), 1e300] },
      { vec: [...vec.slice(1), Number.NaN] },
      { error: -1 },
      { height: -1e-9 },
      { adjustment: Number.POSITIVE_INFINITY },
      { error: Number.NaN },
    ]) {
      expect(decodeCoordinate(encodeCoordinate({ ...coordinate, ...wrong }))).toBeNull();
    }
    const text = { Vec: ["a"], Error: "b" };
    for (const rubbish of [
      [],
      [1],
      [1, 0xc1],
      [2, 0x80],
      [1, 0x91, 1],
      [1, ...encodeMsgpack(text)],
    ]) {
      expect(decodeCoordinate(Uint8Array.from(rubbish))).toBeNull();
    }
  });

  test("intents and states are decoded as they were encoded", () => {
    for (const kind of ["join", "leave"] as const) {
      const intent = { kind, ltime: 2n ** 64n - 1n, node: "a", prune: kind === "leave" };
      expect(decodeIntent(kind, encodeIntent(intent).subarray(1))).toEqual(intent);
    }
    const events = [{ name: "deploy", payload: Uint8Array.of(1) }];
    const state: SerfState = {
      ltime: 9n,
      statusLTimes: new Map([["a", 2n ** 53n]]),
      leftMembers: ["b"],
      eventLTime: 2n ** 64n - 1n,
      events: [[2n ** 40n, events]],
      queryLTime: 7n,
    };
    expect(decodeSerfState(encodeSerfState(state))).toEqual(state);
    expect(decodeSerfState(new Uint8Array(0))).toBeNull();
    expect(() => decodeIntent("leave", Uint8Array.of(0xc1))).toThrow(WireError);
  });
});

function memberOf(name: string): PushPullMember {
  const meta = new Uint8Array(40).fill(7);
  const facts = { name, addr: Uint8Array.of(10, 0, 0, 1), port: 7946, meta };
  return { ...facts, incarnation: 3, state: 0, vsn: [1, 2, 3, 4, 5, 6] };
}

/** Decodes a stream in chunks of `step` bytes. */
function readStream(decoder: StreamDecoder, bytes: Uint8Array, step: number): StreamMessage | null {
  for (let at = 0; at < bytes.length; at += step) {
    const message = decoder.push(bytes.subarray(at, at + step));
    if (message !== null) return message;
  }
  return null;
}

/** Packs codes as an encoder does: the width grows when the next string would not fit. */
function packCodes(codes: readonly number[]): Uint8Array {
  const bits: number[] = [];
  let width = 9;
  let next = 257;
  let fresh = true;
  for (const code of codes) {
    for (let i = 0; i < width; i += 1) bits.push((code >> i) & 1);
    if (code === 256) {
      width = 9;
      next = 257;
      fresh = true;
      continue;
    }
    if (next < 4095 || fresh) next += 1;
    fresh = false;
    if (next >= 1 << width && width < 12) width += 1;
  }
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [i, bit] of bits.entries()) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (bit << (i & 7));
  return bytes;
}
