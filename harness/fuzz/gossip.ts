/**
 * Gossip: mutated datagrams and streams of real agents. The decoder reads them, or gives a reason.
 * Whatever it reads, it can write and read again.
 */
import { Serf } from "../../src/cluster/serf.ts";
import { WireError } from "../../src/core/errors.ts";
import { below, type Random } from "../../src/core/random.ts";
import { encodeMessage } from "../../src/gossip/body.ts";
import type { PacketMessage, StreamMessage } from "../../src/gossip/messages.ts";
import { decodePacket, encodePacket } from "../../src/gossip/packet.ts";
import { decodeCoordinate } from "../../src/gossip/serf-coordinate.ts";
import { decodeSerfState } from "../../src/gossip/serf-messages.ts";
import { decodeKeyResponse } from "../../src/gossip/serf-queries.ts";
import { decodeTags } from "../../src/gossip/serf-tags.ts";
import { encodeStream, StreamDecoder } from "../../src/gossip/stream.ts";
import { type GossipFixture, gossipFixtures } from "../gossip/fixtures.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";
import { mutate, randomBytes } from "./mutate.ts";

export const gossipPacket: Fuzzer = {
  name: "gossip-packet",
  about: "datagrams of gossip, in clear and encrypted, spoiled or random",
  smokeRuns: 20_000,
  open: async () => new PacketTarget(),
};

export const gossipStream: Fuzzer = {
  name: "gossip-stream",
  about: "streams of gossip in pieces, spoiled or random",
  smokeRuns: 5000,
  open: async () => new StreamTarget(),
};

class PacketTarget implements FuzzTarget {
  private readonly fixtures = gossipFixtures().filter((it) => it.side === null);

  run(random: Random): void {
    const { bytes, options } = pick(random, this.fixtures);
    const messages: PacketMessage[] = [];
    const isRead = refusedOr(() =>
      decodePacket(spoil(random, bytes), options, (it) => messages.push(it)),
    );
    if (!isRead || messages.length === 0 || messages.length > 255) return;
    for (const message of messages) lookInside(message);
    const again: PacketMessage[] = [];
    const packet = encodePacket(messages.map(encodeMessage), options);
    decodePacket(packet, options, (it) => again.push(it));
    check(Bun.deepEquals(again, messages), "written and read again it is something else");
  }
}

class StreamTarget implements FuzzTarget {
  private readonly fixtures = gossipFixtures().filter((it) => it.side !== null);

  run(random: Random): void {
    const { bytes, options, side } = pick(random, this.fixtures);
    check(side !== null, "no stream");
    const stream = spoil(random, bytes);
    const decoder = new StreamDecoder(options, side);
    let message: StreamMessage | null = null;
    const isRead = refusedOr(() => {
      for (let at = 0; at < stream.length && message === null; ) {
        const end = at + 1 + below(random, stream.length);
        message = decoder.push(stream.subarray(at, end));
        at = end;
      }
    });
    if (!isRead || message === null) return;
    lookInside(message);
    const bytesAgain = encodeStream(message, options, side);
    const again = new StreamDecoder(options, side).push(bytesAgain);
    check(Bun.deepEquals(again, message), "written and read again it is something else");
  }
}

function pick(random: Random, fixtures: readonly GossipFixture[]): GossipFixture {
  const fixture = fixtures[below(random, fixtures.length)];
  check(fixture !== undefined, "no fixtures");
  return fixture;
}

function spoil(random: Random, bytes: Uint8Array): Uint8Array {
  return below(random, 10) === 0 ? randomBytes(random, below(random, 300)) : mutate(random, bytes);
}

/** Layers above, on what came through. */
function lookInside(message: PacketMessage | StreamMessage): void {
  if (message.kind === "alive") decodeTags(message.meta);
  if (message.kind === "ack") decodeCoordinate(message.payload);
  if (message.kind === "user") {
    const serf = new Serf("self", { onLeave: () => {} });
    refusedOr(() => {
      const news = serf.onMessage(message.bytes);
      if (news?.kind === "response") decodeKeyResponse(news.response.payload ?? message.bytes);
    });
    refusedOr(() => void decodeKeyResponse(message.bytes));
  }
  if (message.kind === "push-pull") refusedOr(() => void decodeSerfState(message.userState));
}

/** @returns false when it was refused in the way that it should be. */
function refusedOr(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof WireError && error.code === "BAD_FRAME") return false;
    throw error;
  }
}
