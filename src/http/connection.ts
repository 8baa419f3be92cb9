/**
 * HttpConnection: GET and HEAD requests without a body, each answered before the next is read.
 *
 *     WAITING    for a complete head
 *     ANSWERING  the head is complete, and the handler makes the answer
 *     SENDING    the stream has not taken the whole answer; reading is paused
 *     STREAMING  the answer is a stream, and the client has all of it so far: input is dropped
 *     ENDING     no more answers: input is dropped until the other side closes
 *     CLOSED
 *
 * A malformed request gets a 4xx answer, and the connection is closed. Each state has a deadline,
 * so clients that are silent, slow or gone do not keep their connections.
 *
 * One request is served a turn, so a client that sends many at once delays no other client.
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import {
  HTTP_HEAD_BYTES_MAX,
  HTTP_HEAD_TIMEOUT_MS,
  HTTP_IDLE_TIMEOUT_MS,
  HTTP_INPUT_BYTES,
  HTTP_LINGER_MS,
  HTTP_SEND_TIMEOUT_MS,
} from "../core/monitoring-limits.ts";
import type { Stream, StreamEvents } from "../net/transport.ts";
import {
  type HttpAnswer,
  type HttpStream,
  type HttpStreamClient,
  writeAnswer,
  writeRefusal,
} from "./answer.ts";
import {
  type HttpRefusal,
  type HttpRequest,
  isRefusal,
  mayBegin,
  parseHead,
  refusalOfLine,
} from "./request.ts";

export interface HttpHandler {
  /** Never rejects. */
  answer(request: HttpRequest): Promise<HttpAnswer>;
  /** The request was malformed, or took too long. */
  onRefused(connection: HttpConnection, refusal: HttpRefusal): void;
  onClosed(connection: HttpConnection): void;
}

const NOTHING = new Uint8Array(0);

/** States; only the first four repeat. */
const WAITING = 0;
const ANSWERING = 1;
const SENDING = 2;
const STREAMING = 3;
const ENDING = 4;
const CLOSED = 5;

const CR = 0x0d;
const LF = 0x0a;

export class HttpConnection implements StreamEvents, HttpStreamClient {
  /** When bytes were last received or taken. */
  usedMs = 0;
  private readonly clock: Clock;
  private readonly handler: HttpHandler;
  private readonly stream: Stream;
  private state: number = WAITING;
  /** Allocated with the first bytes, and freed with the stream. */
  private input: Uint8Array = NOTHING;
  private inputBytes = 0;
  /** Input did not fit and was dropped. The connection ends after the next answer. */
  private hasLost = false;
  private output: Uint8Array | null = null;
  private sentBytes = 0;
  private endsAfter = false;
  /** The answer, if it is a stream, and whether it was opened. */
  private source: HttpStream | null = null;
  private isSourceOpen = false;
  private isPaused = false;
  private isServeScheduled = false;
  private timer: TimerId | null = null;
  private isHeadTimed = false;

  /** `stream` is not open yet. */
  constructor(stream: Stream, clock: Clock, handler: HttpHandler) {
    this.stream = stream;
    this.clock = clock;
    this.handler = handler;
    this.usedMs = clock.now();
  }

  get remote(): string {
    return this.stream.remote;
  }

  get isSending(): boolean {
    return this.state === SENDING;
  }

  /** Bytes of the current answer that are not sent yet. */
  get unsentBytes(): number {
    return (this.output?.byteLength ?? 0) - this.sentBytes;
  }

  // What the answer calls if it is a stream.

  get isReady(): boolean {
    return this.state === STREAMING;
  }

  send(text: string): void {
    assert(this.isReady, "the client has not read what was sent before");
    this.begin(new TextEncoder().encode(text), false);
  }

  /** Closes the stream at once. */
  terminate(): void {
    this.stream.terminate();
  }

  /** Closes after the answer that is under way. */
  stop(): void {
    if (this.state === ANSWERING || this.state === SENDING) this.endsAfter = true;
    else this.end();
  }

  // Stream events.

  onOpen(): void {
    this.armForHead();
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.usedMs = this.clock.now();
    if (this.state < STREAMING) this.keep(chunk);
    freeBuffer(chunk);
    if (this.state === WAITING && !this.isServeScheduled) this.serve();
  }

  onDrain(): void {
    if (this.state === SENDING) this.sendRest();
  }

  onClose(): void {
    this.state = CLOSED;
    this.disarm();
    this.dropOutput();
    if (this.source !== null && this.isSourceOpen) this.source.onClosed();
    this.source = null;
    freeBuffer(this.input);
    this.input = NOTHING;
    this.inputBytes = 0;
    this.handler.onClosed(this);
  }

  // Requests.

  private keep(chunk: Uint8Array): void {
    if (this.input === NOTHING) this.input = new Uint8Array(HTTP_INPUT_BYTES);
    const room = this.input.byteLength - this.inputBytes;
    const taken = Math.min(room, chunk.byteLength);
    this.input.set(chunk.subarray(0, taken), this.inputBytes);
    this.inputBytes += taken;
    if (taken < chunk.byteLength) this.hasLost = true;
    if (this.state === WAITING && !this.isHeadTimed) this.armForHead();
  }

  /** Answers the first request if it is complete. */
  private serve(): void {
    this.dropEmptyLines();
    if (this.inputBytes === 0) return this.resume();
    const headBytes = this.findHead();
    if (headBytes > HTTP_HEAD_BYTES_MAX) return this.refuseLongHead();
    if (headBytes > 0) {
      const head = this.textOf(headBytes);
      this.drop(headBytes);
      const request = parseHead(head);
      if (isRefusal(request)) return this.refuse(request);
      void this.answer(request);
      return;
    }
    const refused = this.refusalSoFar();
    if (refused !== null) return this.refuse(refused);
    if (this.inputBytes > HTTP_HEAD_BYTES_MAX) return this.refuseLongHead();
    this.resume();
  }

  /** Empty lines before a request are ignored (RFC 9112, 2.2). */
  private dropEmptyLines(): void {
    let at = 0;
    while (at < this.inputBytes && (this.input[at] === CR || this.input[at] === LF)) at += 1;
    if (at > 0) this.drop(at);
  }

  private drop(byteCount: number): void {
    this.input.copyWithin(0, byteCount, this.inputBytes);
    this.inputBytes -= byteCount;
  }

  /** Bytes of the head including its empty line; 0 while it is incomplete. */
  private findHead(): number {
    const { input } = this;
    for (let at = this.lineEnd(0); at >= 0; at = this.lineEnd(at + 1)) {
      const next = input[at + 1] === CR ? at + 2 : at + 1;
      if (next < this.inputBytes && input[next] === LF) return next + 1;
    }
    return 0;
  }

  private lineEnd(from: number): number {
    const at = this.input.indexOf(LF, from);
    return at < this.inputBytes ? at : -1;
  }

  /** Why an incomplete head can never become a request, or null. */
  private refusalSoFar(): HttpRefusal | null {
    if (!mayBegin(this.input[0] ?? 0)) return { status: 400, reason: "this port speaks HTTP" };
    const end = this.lineEnd(0);
    const line = this.textOf(end < 0 ? this.inputBytes : end).replace(/\r$/, "");
    const refused = refusalOfLine(line);
    // An incomplete line may still become valid, but not shorter.
    return end < 0 && refused?.status === 400 ? null : refused;
  }

  private textOf(byteCount: number): string {
    return new TextDecoder("latin1").decode(this.input.subarray(0, byteCount));
  }

  private refuseLongHead(): void {
    const reason = `the head of the request is longer than ${HTTP_HEAD_BYTES_MAX} bytes`;
    this.refuse({ status: 431, reason });
  }

  private refuse(refusal: HttpRefusal): void {
    this.handler.onRefused(this, refusal);
    this.begin(writeRefusal(refusal), true);
  }

  // Answers.

  private async answer(request: HttpRequest): Promise<void> {
    this.disarm();
    this.state = ANSWERING;
    const answer = await this.handler.answer(request);
    if (this.state !== ANSWERING) return; // The connection was closed meanwhile.
    if (answer.stream !== undefined && request.method === "GET") this.source = answer.stream;
    const isLast = this.endsAfter || !request.keepsOpen || this.hasLost;
    const isClosing = isLast || answer.stream !== undefined;
    this.begin(writeAnswer(request, answer, isClosing), isClosing && this.source === null);
  }

  private startStreaming(source: HttpStream): void {
    this.state = STREAMING;
    this.inputBytes = 0;
    this.disarm();
    this.resume();
    if (this.isSourceOpen) return;
    this.isSourceOpen = true;
    source.onOpen(this);
  }

  private begin(output: Uint8Array, isLast: boolean): void {
    this.output = output;
    this.sentBytes = 0;
    this.endsAfter = isLast;
    this.state = SENDING;
    this.arm(HTTP_SEND_TIMEOUT_MS);
    this.sendRest();
  }

  private sendRest(): void {
    const { output } = this;
    if (output === null) return;
    const taken = this.stream.write(output, this.sentBytes, this.unsentBytes);
    this.sentBytes += taken;
    if (taken > 0) this.usedMs = this.clock.now();
    if (this.unsentBytes > 0) return this.pause();
    this.dropOutput();
    if (this.endsAfter) return this.end();
    if (this.source !== null) return this.startStreaming(this.source);
    this.state = WAITING;
    if (this.inputBytes > 0) return this.serveSoon();
    this.arm(HTTP_IDLE_TIMEOUT_MS);
    this.resume();
  }

  private serveSoon(): void {
    this.armForHead();
    this.pause();
    this.isServeScheduled = true;
    this.clock.soon(() => {
      this.isServeScheduled = false;
      if (this.state === WAITING) this.serve();
    });
  }

  private dropOutput(): void {
    if (this.output !== null) freeBuffer(this.output);
    this.output = null;
    this.sentBytes = 0;
  }

  private end(): void {
    if (this.state >= ENDING) return;
    this.state = ENDING;
    this.inputBytes = 0;
    this.arm(HTTP_LINGER_MS);
    this.stream.end();
  }

  private pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.stream.pause();
  }

  private resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.stream.resume();
  }

  // Deadlines.

  /** Starts the deadline once for each request, so that a client cannot extend it byte by byte. */
  private armForHead(): void {
    this.arm(HTTP_HEAD_TIMEOUT_MS);
    this.isHeadTimed = true;
  }

  private arm(delayMs: number): void {
    this.disarm();
    this.isHeadTimed = false;
    this.timer = this.clock.after(delayMs, () => this.onDeadline());
  }

  private disarm(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  private onDeadline(): void {
    this.timer = null;
    if (this.state !== WAITING) return this.terminate();
    if (this.inputBytes === 0) return this.end();
    this.refuse({ status: 408, reason: `no complete request within ${HTTP_HEAD_TIMEOUT_MS} ms` });
  }
}
