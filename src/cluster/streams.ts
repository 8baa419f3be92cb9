/**
 * Streams: gossip over TCP. A stream carries one message each way: push/pull, the fallback ping,
 * and Serf's messages that must arrive.
 *
 *     ours:    connect > write > read the answer > end       onMessage, or onFailure with a reason
 *     theirs:  accept > read > write the answer > end
 *
 * Every stream has a deadline. Streams of others are bounded in number and in bytes: past
 * GOSSIP_BUFFERED_BYTES_MAX the one that buffers most is closed.
 */

import { freeBuffer } from "../core/buffers.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { WireError } from "../core/errors.ts";
import { GOSSIP_BUFFERED_BYTES_MAX, GOSSIP_PORT_DEFAULT } from "../core/limits.ts";
import type { StreamMessage } from "../gossip/messages.ts";
import type { GossipOptions, Unread } from "../gossip/packet.ts";
import { encodeStream, StreamDecoder, type StreamSide } from "../gossip/stream.ts";
import type { TcpAddress } from "../net/address.ts";
import { Admission } from "../net/admission.ts";
import { DOOR_LIMITS, type DoorLimits } from "../net/door-limits.ts";
import type { Listener, Stream, StreamEvents, Transport } from "../net/transport.ts";
import type { ClusterCounters } from "./counters.ts";

export interface StreamHandler {
  /** A message on a stream that another member dialled. @returns the answer, or null for none. */
  onStreamMessage(message: StreamMessage, host: string): StreamMessage | null;
  /** A stream was refused. `line`: for the log. */
  onStreamRefused(line: string): void;
  /** Members of a push/pull were skipped. */
  onMembersUnread(unread: Unread, host: string): void;
}

export interface StreamResult {
  onMessage(message: StreamMessage): void;
  onFailure(reason: string): void;
}

export class Streams {
  private readonly clock: Clock;
  private readonly transport: Transport;
  private readonly options: GossipOptions;
  private readonly timeoutMs: number;
  private readonly counters: ClusterCounters;
  private readonly handler: StreamHandler;
  private readonly open = new Set<OneMessage>();
  private readonly admission: Admission;
  private listener: Listener | null = null;
  private isStopping = false;

  constructor(
    parts: {
      clock: Clock;
      transport: Transport;
      counters: ClusterCounters;
      handler: StreamHandler;
      /** Whether a member has this IP address. */
      isKnown: (host: string) => boolean;
      limits?: DoorLimits;
    },
    options: GossipOptions,
    settings: { streamTimeoutMs: number },
  ) {
    this.clock = parts.clock;
    this.transport = parts.transport;
    this.counters = parts.counters;
    this.handler = parts.handler;
    this.options = options;
    this.timeoutMs = settings.streamTimeoutMs;
    this.admission = new Admission(parts.clock, {
      door: "gossip port",
      slots: (parts.limits ?? DOOR_LIMITS).gossipStreams,
      isKnown: parts.isKnown,
      onNotice: (line) => this.handler.onStreamRefused(line),
    });
  }

  /** @returns the bound address. Rejects as Transport.listen does. */
  async listen(address: TcpAddress): Promise<string> {
    this.listener = await this.transport.listen(address, (stream) => this.accept(stream));
    return this.listener.address;
  }

  /** Sends one message and waits for the answer. `timeoutMs`: for the whole exchange. */
  request(
    address: TcpAddress,
    message: StreamMessage,
    result: StreamResult,
    timeoutMs = this.timeoutMs,
  ): void {
    this.counters.streams_opened += 1;
    const request = this.track("dialled", timeoutMs, {
      onMessage: (answer) => {
        result.onMessage(answer);
        return null;
      },
      onEnd: (reason) => {
        if (reason === "") return;
        const hint = this.options.keyring === null ? UNANSWERED_IN_CLEAR : UNANSWERED;
        result.onFailure(request.isUnanswered ? `${reason}, without an answer: ${hint}` : reason);
      },
    });
    request.send(message);
    request.stream = this.transport.connect(address, request);
  }

  /** Stops listening, and closes all streams. */
  stop(): void {
    this.isStopping = true;
    this.listener?.close();
    this.listener = null;
    for (const stream of [...this.open]) stream.finish("this node is stopping");
  }

  private accept(stream: Stream): StreamEvents | null {
    if (this.isStopping) return null;
    this.counters.streams_accepted += 1;
    const message = this.track("answered", this.timeoutMs, {
      onMessage: (message, remote) => this.handler.onStreamMessage(message, hostOf(remote)),
      onEnd: (reason, remote) => {
        const hadPlace = this.admission.leave(stream);
        if (reason === "") return;
        this.counters.streams_refused += 1;
        const line = `Cannot read gossip from "${hostOf(remote)}": ${reason}`;
        if (hadPlace) this.handler.onStreamRefused(line); // Else Admission has logged it.
      },
    });
    this.admission.enter(stream, {
      close: () => {
        message.finish("too many streams");
        stream.terminate();
      },
      isSilent: () => !message.hasHeard,
    });
    return message;
  }

  private endLargest(): void {
    let bufferedBytes = 0;
    let largest: OneMessage | null = null;
    for (const stream of this.open) {
      bufferedBytes += stream.bufferedBytes;
      if (largest === null || stream.bufferedBytes > largest.bufferedBytes) largest = stream;
    }
    if (bufferedBytes > GOSSIP_BUFFERED_BYTES_MAX) {
      largest?.finish("all gossip streams together buffer too many bytes");
    }
  }

  private track(side: StreamSide, timeoutMs: number, uses: StreamUses): OneMessage {
    const { clock, options, counters } = this;
    const stream = new OneMessage({ clock, options, counters, side }, timeoutMs, {
      onMessage: uses.onMessage,
      onBuffered: () => this.endLargest(),
      onUnread: (unread, remote) => this.handler.onMembersUnread(unread, hostOf(remote)),
      onEnd: (reason, remote) => {
        this.open.delete(stream);
        uses.onEnd(reason, remote);
      },
    });
    this.open.add(stream);
    return stream;
  }
}

/** A member that cannot read a message does not answer, as in memberlist. */
const UNANSWERED = "check its log, since its gossip key or label may be another";
const UNANSWERED_IN_CLEAR =
  "this node has no --key and its cluster may have one, or its label is another: check its log";

/** What a page port answers begins with an alert of TLS (RFC 8446, 5.1), or with MAGIC of src/wire. */
function isOfPagePort(chunk: Uint8Array): boolean {
  return chunk[0] === TLS_ALERT || (chunk[0] === 0x52 && chunk[1] === 0x4d);
}

const TLS_ALERT = 21;
const GOSSIP_PORT = `the gossip port, ${GOSSIP_PORT_DEFAULT} by default`;
const NO_GOSSIP = `no gossip is there: --join takes ${GOSSIP_PORT}`;

/** The address without its port, which is a new one for each stream. */
function hostOf(remote: string): string {
  return remote.replace(/:\d+$/, "");
}

interface MessageUses extends StreamUses {
  /** The stream buffers more bytes than before. */
  onBuffered(): void;
  onUnread(unread: Unread, remote: string): void;
}

interface StreamUses {
  onMessage(message: StreamMessage, remote: string): StreamMessage | null;
  /** Called once. `reason` is "" when a message was read. */
  onEnd(reason: string, remote: string): void;
}

class OneMessage implements StreamEvents {
  stream: Stream | null = null;
  private readonly clock: Clock;
  private readonly options: GossipOptions;
  /** The side of this node. */
  private readonly side: StreamSide;
  private readonly counters: ClusterCounters;
  private readonly uses: MessageUses;
  private readonly decoder: StreamDecoder;
  private readonly timer: TimerId;
  private output: Uint8Array = new Uint8Array(0);
  private written = 0;
  private isOpen = false;
  private isRead = false;
  private isOver = false;
  /** Whether the other side has sent anything. */
  hasHeard = false;
  private isClosedThere = false;
  /** Within onData: the bytes are still in use. */
  private isReading = false;

  constructor(
    env: { clock: Clock; options: GossipOptions; counters: ClusterCounters; side: StreamSide },
    timeoutMs: number,
    uses: MessageUses,
  ) {
    this.clock = env.clock;
    this.options = env.options;
    this.side = env.side;
    this.counters = env.counters;
    this.uses = uses;
    const other = env.side === "dialled" ? "answered" : "dialled";
    this.decoder = new StreamDecoder(env.options, other);
    this.timer = this.clock.after(timeoutMs, () => this.finish(`no answer in ${timeoutMs} ms`));
  }

  send(message: StreamMessage): void {
    if (this.isOver) return;
    const bytes = encodeStream(message, this.options, this.side);
    this.output = bytes;
    this.written = 0;
    this.counters.stream_bytes_sent += bytes.byteLength;
    this.pump();
  }

  /** Whether all was sent, and the other side has closed the stream without an answer. */
  get isUnanswered(): boolean {
    const isSent = this.isOpen && this.written === this.output.byteLength;
    return isSent && this.isClosedThere && !this.hasHeard;
  }

  /** Bytes buffered until the message is whole. */
  get bufferedBytes(): number {
    return this.isRead ? 0 : this.decoder.bufferedBytes;
  }

  /** Ends the stream in any state. */
  finish(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.clock.cancel(this.timer);
    this.uses.onEnd(this.isRead ? "" : reason, this.stream?.remote ?? "");
    this.stream?.terminate();
    freeBuffer(this.output);
    if (!this.isReading) this.decoder.free();
  }

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.isOpen = true;
    if (this.isOver) stream.terminate();
    else this.pump();
  }

  onData(stream: Stream, chunk: Uint8Array): void {
    this.counters.stream_bytes_received += chunk.byteLength;
    // Bytes after the one message are ignored.
    if (!this.isRead && !this.isOver) this.read(stream, chunk);
    freeBuffer(chunk);
    if (this.isRead || this.isOver) this.decoder.free();
  }

  private read(stream: Stream, chunk: Uint8Array): void {
    const isFirst = !this.hasHeard;
    this.hasHeard = true;
    if (isFirst && this.side === "dialled" && isOfPagePort(chunk)) {
      this.finish(NO_GOSSIP);
      return;
    }
    this.isReading = true;
    try {
      const bufferedBytes = this.bufferedBytes;
      const message = this.decoder.push(chunk);
      if (message === null) {
        if (this.bufferedBytes > bufferedBytes) this.uses.onBuffered();
        return;
      }
      this.isRead = true;
      const { unread } = this.decoder;
      if (unread.count > 0) this.uses.onUnread(unread, stream.remote);
      const answer = this.uses.onMessage(message, stream.remote);
      if (answer === null) stream.end();
      else this.send(answer);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.isRead = false;
      this.finish(error.message.replace(/^Cannot \w+ gossip: /, ""));
    } finally {
      this.isReading = false;
    }
  }

  onDrain(): void {
    this.pump();
  }

  onClose(_stream: Stream, reason: string): void {
    this.isClosedThere = true;
    this.finish(reason);
  }

  private pump(): void {
    if (!this.isOpen || this.stream === null) return;
    const left = this.output.byteLength - this.written;
    if (left > 0) this.written += this.stream.write(this.output, this.written, left);
    // The answering side is done once its answer is written; the asking side waits for one.
    if (this.isRead && this.written === this.output.byteLength) this.stream.end();
  }
}
