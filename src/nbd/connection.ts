/**
 * NbdConnection: one client, from the greeting to the last reply.
 *
 *     GREETING -> OPTION <-> OPTION_DATA -> REQUEST <-> REQUEST_DATA -> ENDING -> CLOSED
 *                   \-> SECURING (TLS) -> OPTION
 *
 * Bytes in are cut into options and requests; what is valid goes to the handler, which answers at
 * once, or keeps the request (`keep`) and answers later, in any order. Replies of one turn leave in
 * one write.
 *
 * Bounded by bytes: while what is kept and what waits to be sent are more than
 * NBD_CONNECTION_BYTES_MAX, or the handler has no memory for a long request, nothing is served and
 * the stream is paused. So a client that never reads is no longer read from. Bounded by work: after
 * its share (turns.ts) the rest of what was read waits for the next turn.
 *
 * A request that has been read whole is answered once, whatever happens, as long as there is a
 * stream. The stream is closed by the client, by a breach of the protocol, when the node stops, and
 * when the client stands still with memory that others wait for; never because a request failed.
 *
 * Not here: what requests do (exports/nbd-door.ts), sockets.
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import type { Clock } from "../core/clock.ts";
import {
  GATHER_BYTES,
  NBD_CONNECTION_BYTES_MAX,
  NBD_HANDSHAKE_TIMEOUT_MS,
  NBD_IDLE_GRACE_MS,
  NBD_OPTION_BYTES_MAX,
  NBD_OPTIONS_MAX,
  NBD_STALL_BYTES,
  NBD_STALL_TIMEOUT_MS,
} from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import type { Stream, StreamEvents, TlsMaterial } from "../net/transport.ts";
import type { Device } from "./device.ts";
import type { FairShare } from "./fair-share.ts";
import { Handshake, type HandshakeSettings } from "./handshake.ts";
import { Input } from "./input.ts";
import type { KeptRequest } from "./kept-request.ts";
import { Output } from "./output.ts";
import {
  CLIENT_FLAGS_BYTES,
  COMMAND,
  ERRNO,
  type Errno,
  OPTION,
  OPTION_BYTES,
  OPTION_MAGIC,
} from "./protocol.ts";
import { Replies } from "./replies.ts";
import { invalidRequest, Request, requestBytes } from "./request.ts";

/** Who serves the requests of all connections. */
export interface NbdHandler {
  /** The client has chosen an export. */
  onDevice(connection: NbdConnection): void;
  /**
   * A valid request, all of it here; good during the call. Answered within it through `replies`,
   * or kept.
   */
  onRequest(connection: NbdConnection, request: Request): void;
  /**
   * Whether there is memory for a request of so many bytes, more than NBD_LARGE_BYTES. If so it is
   * taken; else `wake` is to be called once there may be.
   */
  reserveLarge(connection: NbdConnection, byteCount: number): boolean;
  /** What was taken for a request that never came. */
  releaseLarge(byteCount: number): void;
  onClosed(connection: NbdConnection, reason: string): void;
}

const GREETING = 0;
const OPTION_HEADER = 1;
const OPTION_REST = 2;
const OPTION_SKIPPED = 3;
const SECURING = 4;
const REQUEST = 5;
const REQUEST_DATA = 6;
const REQUEST_SKIPPED = 7;
const ENDING = 8;
const CLOSED = 9;

export class NbdConnection implements StreamEvents {
  /** For requests that are answered at once. */
  readonly replies: Replies;
  /** The other side as the stream names it, for logs. */
  remote = "";
  /** Something has come from the client. */
  hasSpoken = false;
  private readonly clock: Clock;
  private readonly memory: Memory;
  private readonly input: Input;
  private readonly output: Output;
  private readonly fairShare: FairShare;
  private readonly handler: NbdHandler;
  private readonly settings: HandshakeSettings;
  private readonly tls: TlsMaterial | null;
  private readonly handshake: Handshake;
  private readonly request = new Request();
  private stream: Stream | null = null;
  private phase = GREETING;
  private optionType = 0;
  private optionBytes = 0;
  private optionCount = 0;
  /** Why the request that is being read is refused. */
  private error: Errno = ERRNO.OK;
  /** Bytes taken for the request that is being read, if it is a long one. */
  private largeBytes = 0;
  /** Requests that the handler keeps, and what they cost. */
  private keptCount = 0;
  private keptBytes = 0;
  private isServing = false;
  /** What this turn may still do, in the units of NBD_SLICE. */
  private unitsLeft = 0;
  private isPaused = false;
  private isBlocked = false;
  private isSoon = false;
  private hasSaidGoodbye = false;
  /** Why it was closed here; "" when it was not. */
  private breached = "";
  /** Nothing is written any more. */
  private isEnded = false;
  /** How long the time limit of this phase runs, and the bytes that have come and gone since. */
  private limitedMs = 0;
  private movedBytes = 0;
  /** How long nothing has come. */
  private quietMs = 0;
  // Made once: a closure a call would be an allocation a call.
  private readonly onSoon = (): void => {
    this.isSoon = false;
    this.fairShare.waiting -= 1;
    this.serve();
  };

  constructor(
    env: { clock: Clock; memory: Memory; fairShare: FairShare },
    handler: NbdHandler,
    settings: HandshakeSettings,
    tls: TlsMaterial | null,
  ) {
    this.clock = env.clock;
    this.memory = env.memory;
    this.fairShare = env.fairShare;
    this.handler = handler;
    this.settings = settings;
    this.tls = tls;
    this.output = new Output(env.memory);
    this.input = new Input(env.memory);
    this.replies = new Replies(this.output, env.memory);
    this.handshake = new Handshake(settings, this.output);
  }

  /** The export that the client has chosen, once it has. */
  get device(): Device | null {
    return this.handshake.device;
  }

  /** Why the client has got no export; "" when it has, or wanted none. */
  get refusal(): string {
    return this.device === null ? this.breached || this.handshake.refusal : "";
  }

  get isOpen(): boolean {
    return this.phase < CLOSED && this.stream !== null;
  }

  /** Whether it is not at requests yet, or not any more, and has said nothing for a while. */
  get isIdling(): boolean {
    const isInUse = this.phase >= REQUEST && !this.isEnded;
    return !isInUse && this.quietMs > NBD_IDLE_GRACE_MS;
  }

  /** Bytes of replies that the stream has not taken yet. */
  get unsentBytes(): number {
    return this.output.pendingBytes;
  }

  // For the handler.

  /**
   * The request is answered later, with `finish`: `kept` is set to it, with the data of a write. It
   * costs its connection `cost` bytes until then.
   */
  keep(kept: KeptRequest, request: Request, cost: number): void {
    kept.set(request);
    kept.cost = cost;
    if (request.type === COMMAND.WRITE) kept.keepData(request, this.input, this.memory);
    this.keptCount += 1;
    this.keptBytes += cost;
  }

  /**
   * Answers a kept request. @returns whether the reply is sent from its buffer: `onSent` follows,
   * and until then the buffer is in use.
   */
  finish(kept: KeptRequest, error: Errno): boolean {
    const hasData = kept.type === COMMAND.READ && error === ERRNO.OK;
    if (!hasData) this.replies.empty(kept, error);
    const isInUse = hasData && this.replies.keptRead(kept);
    this.keptCount -= 1;
    this.keptBytes -= kept.cost;
    assert(this.keptCount >= 0 && this.keptBytes >= 0);
    this.wake();
    return isInUse;
  }

  /** What a request has cost of this turn, in the units of NBD_SLICE. */
  spend(units: number): void {
    this.unitsLeft -= units;
  }

  /** Serves and sends what there is at the end of this turn. */
  wake(): void {
    if (this.isSoon || this.phase === CLOSED) return;
    this.isSoon = true;
    this.fairShare.waiting += 1;
    this.clock.soon(this.onSoon);
  }

  /**
   * Takes no more requests: those that have been read are answered with ESHUTDOWN, and once the
   * handler has answered those that it keeps, the stream ends.
   */
  stop(): void {
    if (this.phase >= REQUEST) this.serveAll();
    this.end();
    this.wake();
  }

  /**
   * Called now and then: time limits, and memory that is not used. `elapsedMs`: since the last
   * time, as far as the client could have been heard. `othersWait`: others wait for memory for
   * long requests.
   */
  tick(elapsedMs: number, othersWait: boolean): void {
    this.quietMs += elapsedMs;
    this.limitedMs += elapsedMs;
    if (this.isOnTime(othersWait)) this.startLimit();
    else if (this.limitedMs > this.limitMs) {
      this.breach(this.phase < REQUEST ? "it has chosen no export in time" : "it stands still");
      return;
    }
    this.output.trim();
    this.input.trim();
  }

  /** Drops the stream at once. */
  cut(): void {
    this.stream?.terminate();
  }

  // Stream events.

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.remote = stream.remote;
    if (this.phase === SECURING) {
      this.handshake.secured();
      this.phase = OPTION_HEADER;
      return;
    }
    this.handshake.greet();
    this.flush();
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    if (this.phase >= ENDING) return freeBuffer(chunk);
    if (this.phase === SECURING) {
      freeBuffer(chunk);
      this.breach("bytes in clear after TLS was agreed upon"); // They would be taken for secured.
      return;
    }
    this.movedBytes += chunk.byteLength;
    this.quietMs = 0;
    this.hasSpoken = true;
    this.input.push(chunk);
    this.serve();
  }

  onDrain(): void {
    this.isBlocked = false;
    this.serve();
  }

  onClose(_stream: Stream, reason: string): void {
    if (this.phase === SECURING) this.breached ||= reason;
    this.phase = CLOSED;
    this.stream = null;
    this.input.drop();
    if (this.largeBytes > 0) this.handler.releaseLarge(this.largeBytes);
    this.largeBytes = 0;
    this.handler.onClosed(
      this,
      this.hasSaidGoodbye ? "it has said goodbye" : this.breached || reason,
    );
    this.output.drop();
  }

  // What has been read.

  /** As much as a turn has: others have theirs. */
  private serve(): void {
    if (this.isServing || this.isSoon) return; // It is done there, or will be.
    if (this.isPaused && this.phase < ENDING && !this.reachesClient()) return;
    this.isServing = true;
    this.unitsLeft = this.fairShare.units;
    while (this.mayServe && this.step()) {
      if (this.output.gatheredBytes >= GATHER_BYTES) this.flush();
    }
    this.isServing = false;
    const isHeldBack = !this.mayServe;
    if (this.input.isEmpty) this.input.release();
    this.flush();
    this.pauseOrResume();
    // What held it back may be gone with what was sent, and then no event follows.
    if (isHeldBack && this.hasRoom) this.wake();
  }

  /**
   * That a paused client has gone shows when something is written. What it had sent is then not
   * done any more: it may have sent it again on another connection, and something newer behind.
   */
  private reachesClient(): boolean {
    this.flush();
    return !this.isBlocked;
  }

  private get mayServe(): boolean {
    return this.unitsLeft > 0 && this.hasRoom;
  }

  /** Regardless of room: no more is read. */
  private serveAll(): void {
    assert(!this.isServing);
    this.isServing = true;
    while (this.phase < ENDING && this.step());
    this.isServing = false;
  }

  private get hasRoom(): boolean {
    const usedBytes = this.keptBytes + this.unsentBytes;
    return this.phase < ENDING && usedBytes < NBD_CONNECTION_BYTES_MAX;
  }

  /** @returns false when there is nothing more to do with what there is. */
  private step(): boolean {
    switch (this.phase) {
      case GREETING:
        return this.readClientFlags();
      case OPTION_HEADER:
        return this.readOptionHeader();
      case OPTION_REST:
        return this.readOption();
      case OPTION_SKIPPED:
        return this.skipOption();
      case REQUEST:
        return this.readRequest();
      case REQUEST_DATA:
        return this.readRequestData();
      case REQUEST_SKIPPED:
        return this.skipRequestData();
      default:
        return false; // While TLS is set up nothing is to come in clear.
    }
  }

  private readClientFlags(): boolean {
    const { input, handshake } = this;
    if (!input.take(CLIENT_FLAGS_BYTES)) return false;
    if (!handshake.onClientFlags(input.view.getUint32(input.at))) {
      return this.breach("it is no client of this protocol");
    }
    this.phase = OPTION_HEADER;
    return true;
  }

  private readOptionHeader(): boolean {
    const { input } = this;
    if (!input.take(OPTION_BYTES)) return false;
    const { view, at } = input;
    const isMagic =
      view.getUint32(at) === OPTION_MAGIC.hi && view.getUint32(at + 4) === OPTION_MAGIC.lo;
    this.optionCount += 1;
    if (!isMagic) return this.breach("bytes that are no option");
    if (this.optionCount > NBD_OPTIONS_MAX) return this.breach("too many options");
    this.optionType = view.getUint32(at + 8);
    this.optionBytes = view.getUint32(at + 12);
    const isLong = this.optionBytes > NBD_OPTION_BYTES_MAX;
    this.phase = isLong ? OPTION_SKIPPED : OPTION_REST;
    return true;
  }

  private readOption(): boolean {
    const { input, handshake } = this;
    if (!input.take(this.optionBytes)) return false;
    const outcome = handshake.onOption(this.optionType, input.bytes, input.at, this.optionBytes);
    switch (outcome) {
      case "option":
        this.phase = OPTION_HEADER;
        return true;
      case "transmit":
        this.phase = REQUEST;
        this.startLimit();
        this.replies.form = handshake.form;
        this.handler.onDevice(this);
        return true;
      case "start tls":
        return this.startTls();
      case "close":
        this.end();
        return false;
    }
  }

  /** Up to 4 GiB of it, none of which is kept. */
  private skipOption(): boolean {
    if (this.optionType === OPTION.EXPORT_NAME) return this.breach("the name is too long");
    if (!this.input.skip(this.optionBytes)) return false;
    this.handshake.onLongOption(this.optionType);
    this.phase = OPTION_HEADER;
    return true;
  }

  /** What came in clear behind the option would be taken for secured: nothing may have. */
  private startTls(): boolean {
    const { stream, tls } = this;
    if (stream === null || tls === null || !this.input.isEmpty) {
      return this.breach("bytes in clear after TLS was agreed upon");
    }
    if (!this.output.flush(stream)) return this.breach("it does not read");
    this.phase = SECURING;
    stream.startTls(tls);
    return false;
  }

  private readRequest(): boolean {
    const { input, request, device } = this;
    const { form } = this.replies;
    assert(device !== null);
    if (!input.take(requestBytes(form))) return false;
    if (!request.read(input.view, input.at, form)) return this.breach("bytes that are no request");
    if (request.type === COMMAND.DISC) {
      this.hasSaidGoodbye = true;
      this.end();
      return false;
    }
    this.error = this.settings.isStopping
      ? ERRNO.ESHUTDOWN
      : invalidRequest(request, device, this.handshake);
    this.phase = this.error === ERRNO.OK ? REQUEST_DATA : REQUEST_SKIPPED;
    return true;
  }

  private readRequestData(): boolean {
    const { input, request } = this;
    const { largeBytes } = request;
    if (largeBytes > 0 && this.largeBytes === 0) {
      if (this.settings.isStopping) return this.refuse();
      if (!this.handler.reserveLarge(this, largeBytes)) return false;
      this.largeBytes = largeBytes;
    }
    if (!input.take(request.dataBytes)) return false;
    if (this.settings.isStopping) return this.refuseRead();
    request.bytes = input.bytes;
    request.at = input.at;
    this.phase = REQUEST;
    this.largeBytes = 0; // The handler's, from here on.
    this.handler.onRequest(this, request);
    return true;
  }

  private skipRequestData(): boolean {
    if (!this.input.skip(this.request.dataBytes)) return false;
    this.replies.empty(this.request, this.error);
    this.phase = REQUEST;
    return true;
  }

  /** Not begun, and the node stops. */
  private refuse(): boolean {
    this.error = ERRNO.ESHUTDOWN;
    this.phase = REQUEST_SKIPPED;
    return true;
  }

  /** All of it was read, and the node stops. */
  private refuseRead(): boolean {
    if (this.largeBytes > 0) this.handler.releaseLarge(this.largeBytes);
    this.largeBytes = 0;
    this.replies.empty(this.request, ERRNO.ESHUTDOWN);
    this.phase = REQUEST;
    return true;
  }

  /** The other side does not keep to the protocol. */
  private breach(reason: string): boolean {
    this.breached ||= reason;
    this.cut();
    return false;
  }

  private end(): void {
    if (this.phase >= ENDING) return;
    this.phase = ENDING;
    this.startLimit();
    if (this.largeBytes > 0) this.handler.releaseLarge(this.largeBytes);
    this.largeBytes = 0;
    this.input.drop();
  }

  private flush(): void {
    const { stream } = this;
    if (stream === null || this.isEnded || this.isBlocked || this.phase === SECURING) return;
    const { pendingBytes } = this.output;
    this.isBlocked = !this.output.flush(stream);
    this.movedBytes += pendingBytes - this.output.pendingBytes;
    if (this.isBlocked || this.phase !== ENDING || this.keptCount > 0) return;
    this.isEnded = true;
    stream.end();
  }

  private startLimit(): void {
    this.limitedMs = 0;
    this.movedBytes = 0;
  }

  /** How long this phase may take, or the client may stand still in it. */
  private get limitMs(): number {
    return this.phase < REQUEST ? NBD_HANDSHAKE_TIMEOUT_MS : NBD_STALL_TIMEOUT_MS;
  }

  /** Whether the client does its part, or it is not its turn. */
  private isOnTime(othersWait: boolean): boolean {
    if (this.phase < REQUEST) return false;
    if (this.phase === ENDING) return this.keptCount > 0 || this.movedBytes > 0;
    return !othersWait || !this.hasLargeMemory || this.movedBytes >= NBD_STALL_BYTES;
  }

  /** Whether memory for a long request is free only once the client has sent, or read. */
  private get hasLargeMemory(): boolean {
    return (this.largeBytes > 0 && this.hasRoom) || this.output.hasLarge;
  }

  private pauseOrResume(): void {
    const { stream } = this;
    if (stream === null) return;
    const wantsPause = this.phase !== ENDING && !this.input.isEmpty;
    if (wantsPause === this.isPaused) return;
    this.isPaused = wantsPause;
    if (wantsPause) stream.pause();
    else stream.resume();
  }
}
