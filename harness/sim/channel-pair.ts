/**
 * Two channels joined by a simulated network, and a peer that sends raw bytes: for tests of
 * src/net.
 */

import { assert } from "../../src/core/assert.ts";
import { BufferPool } from "../../src/core/buffer-pool.ts";
import { HEADER_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import type { Address } from "../../src/net/address.ts";
import { Channel, type ChannelHandler, LANE, type ReplySink } from "../../src/net/channel.ts";
import { LinkCounters } from "../../src/net/counters.ts";
import type { Stream, StreamEvents } from "../../src/net/transport.ts";
import type { Frame } from "../../src/wire/framer.ts";
import { writeHeader } from "../../src/wire/header.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { SimClock } from "./clock.ts";
import { SimNetwork } from "./network.ts";

const ADDRESS: Address = { kind: "tcp", host: "b", port: 7777 };

/** One end of a channel, which records all events. `answer` handles a request. */
export class ChannelEnd implements ChannelHandler {
  readonly channel: Channel;
  readonly counters = new LinkCounters();
  /** Types of the requests received, in order. */
  readonly requests: number[] = [];
  closed: string[] = [];
  opened = 0;
  gone = 0;
  rooms = 0;
  answer: (channel: Channel, frame: Frame) => void = answerWithPages;

  constructor(clock: SimClock) {
    this.channel = new Channel(
      { clock, memory: new HeapMemory(), pool: new BufferPool() },
      this,
      this.counters,
    );
  }

  onOpen(): void {
    this.opened += 1;
  }

  onRequest(channel: Channel, frame: Frame): void {
    this.requests.push(frame.type);
    if (frame.request !== 0) this.answer(channel, frame);
    // In a node, the link does this.
    if (frame.type === MESSAGE.GOODBYE) {
      const text = frame.bytes.subarray(frame.bodyAt + 1, frame.bodyAt + frame.bodyBytes);
      channel.close(`goodbye: ${new TextDecoder().decode(text)}`);
    }
  }

  onRoom(): void {
    this.rooms += 1;
  }

  onClosed(_channel: Channel, reason: string): void {
    assert(this.channel.outstandingCount === 0 && this.gone === 0);
    this.closed.push(reason);
  }

  onGone(): void {
    assert(this.closed.length === 1);
    this.gone += 1;
  }
}

/** The outcome of each request, by context. */
export class Outcomes implements ReplySink {
  readonly replies: Array<{ context: number; type: number; bodyBytes: number; first: number }> = [];
  readonly failures: Array<{ context: number; status: number }> = [];
  onEach: () => void = () => {};

  onReply(context: number, reply: Frame): void {
    const first = reply.bodyBytes === 0 ? -1 : reply.view.getUint8(reply.bodyAt);
    this.replies.push({ context, type: reply.type, bodyBytes: reply.bodyBytes, first });
    this.onEach();
  }

  onFailure(context: number, status: number): void {
    this.failures.push({ context, status });
    this.onEach();
  }

  get count(): number {
    return this.replies.length + this.failures.length;
  }

  /** Contexts of all outcomes, sorted: each appears once when each request had one outcome. */
  contexts(): number[] {
    const all = [...this.replies, ...this.failures].map((outcome) => outcome.context);
    return all.sort((a, b) => a - b);
  }
}

/**
 * One page and its 16-byte header for each entry of a GET, and a byte for each entry of any other
 * request.
 */
export function answerWithPages(channel: Channel, frame: Frame): void {
  const { type, request, count } = frame;
  const bodyBytes = type === MESSAGE.GET ? count * (16 + 4096) : count;
  if (!channel.begin(LANE.URGENT, bodyBytes)) throw new Error("no room for a reply");
  const { bytes, view, at } = channel;
  bytes.fill(0, at, at + bodyBytes);
  if (type === MESSAGE.GET) {
    for (let i = 0; i < count; i += 1) {
      const entryAt = at + i * (16 + 4096);
      view.setUint16(entryAt + 12, 4096);
      bytes.fill(frame.view.getUint8(frame.bodyAt), entryAt + 16, entryAt + 16 + 4096);
    }
  }
  channel.commitReply(type, request, 0, count, bodyBytes);
}

export interface ChannelPair {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly near: ChannelEnd;
  readonly far: ChannelEnd;
}

export async function channelPair(seed: number): Promise<ChannelPair> {
  const clock = new SimClock();
  const network = new SimNetwork(clock, new SeededRandom(seed), { pipeBytesMin: 16 * 1024 });
  const near = new ChannelEnd(clock);
  const far = new ChannelEnd(clock);
  await network.transport("b").listen(ADDRESS, () => far.channel);
  near.channel.attach(network.transport("a").connect(ADDRESS, near.channel));
  assert(clock.runUntil(() => near.opened === 1 && far.opened === 1, 1000));
  return { clock, network, near, far };
}

/** A peer that sends any bytes the test wants. */
export class BarePeer implements StreamEvents {
  stream: Stream | null = null;
  closedFor: string | null = null;
  private chunks: Uint8Array[] = [];
  private waiting = new Uint8Array(0);
  private sent = 0;

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.onDrain();
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.chunks.push(chunk);
  }

  onDrain(): void {
    const left = this.waiting.byteLength - this.sent;
    if (left > 0) this.sent += this.stream?.write(this.waiting, this.sent, left) ?? 0;
  }

  onClose(_stream: Stream, reason: string): void {
    this.closedFor = reason;
  }

  send(...parts: Uint8Array[]): void {
    this.waiting = concat([this.waiting.subarray(this.sent), ...parts]);
    this.sent = 0;
    this.onDrain();
  }

  /** All bytes received since the last `forget`. */
  get received(): Uint8Array {
    return concat(this.chunks);
  }

  forget(): void {
    this.chunks = [];
  }

  /** The same as text, in which reasons are readable. */
  get text(): string {
    return new TextDecoder().decode(this.received);
  }
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** A raw peer that is connected to a channel. */
export async function bareAndChannel(
  seed: number,
): Promise<{ clock: SimClock; network: SimNetwork; bare: BarePeer; far: ChannelEnd }> {
  const clock = new SimClock();
  const network = new SimNetwork(clock, new SeededRandom(seed));
  const far = new ChannelEnd(clock);
  const bare = new BarePeer();
  await network.transport("b").listen(ADDRESS, () => far.channel);
  network.transport("a").connect(ADDRESS, bare);
  assert(clock.runUntil(() => bare.stream !== null && far.opened === 1, 1000));
  return { clock, network, bare, far };
}

/** The bytes of a frame. `declared` overrides the length of the body. */
export function frameBytes(options: {
  type: number;
  request?: number;
  flags?: number;
  count?: number;
  body?: Uint8Array;
  declared?: number;
}): Uint8Array {
  const body = options.body ?? new Uint8Array(0);
  const bytes = new Uint8Array(HEADER_BYTES + body.byteLength);
  const { type, request = 0, flags = 0, count = 0, declared = body.byteLength } = options;
  const view = new DataView(bytes.buffer);
  writeHeader(view, 0, type, declared, request, flags, 0, 0, count);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}
