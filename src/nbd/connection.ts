/**
 * NbdConnection: one client, from the greeting to its last reply.
 *
 *     GREETING -> OPTION <-> OPTION_DATA -> REQUEST <-> REQUEST_DATA -> ENDING -> CLOSED
 *                   \-> SECURING (TLS) -> OPTION      `- a kernel's device begins here
 *
 * The received bytes are cut into options and requests. The handler answers a valid request at
 * once (`replies`), or keeps it and answers later, in any order (`keep`, `finish`). Replies of one
 * turn leave in one write.
 *
 * Bounded by bytes: no request is served, and the stream is paused, while kept requests and unsent
 * replies exceed NBD_CONNECTION_BYTES_MAX, or while a large request waits for memory. So a client
 * that never reads is no longer read from. Bounded by work: after its share (fair-share.ts) the
 * rest of the received bytes waits for the next turn.
 *
 * A request that was read completely is answered exactly once, as long as the stream is open. The
 * stream is closed by the client, on a protocol violation, when the node stops, and when the client
 * makes no progress with memory that others wait for. It is never closed because a request failed.
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

/** Serves the requests of all connections. */
export interface NbdHandler {
  /** The client has chosen an export. */
  onDevice(connection: NbdConnection): void;
  /** A valid and complete request: to be answered through `replies`, or kept, during the call. */
  onRequest(connection: NbdConnection, request: Request): void;
  /**
   * Reserves memory for a large request, one of more than NBD_LARGE_BYTES. @returns false when
   * there is none: the handler then calls `wake` when there may be.
   */
  reserveLarge(connection: NbdConnection, byteCount: number): boolean;
  /** Releases the memory of a large request that never became complete. */
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
  /** Address of the client, for logs. */
  remote = "";
  /** The client has sent something. */
  hasSentBytes = false;
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
  /** Memory reserved for the request that is being read, if it is a large one. */
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
  /** The client has sent DISC. */
  hasDisconnected = false;
  /** Why this side closed the stream; "" if it did not. */
  private closeReason = "";
  /** All replies are sent and the stream is ended. */
  private isEnded = false;
  /** Time since the limit of this phase was started, and bytes read and sent since then. */
  private limitedMs = 0;
  private movedBytes = 0;
  /** Time since the client last sent something. */
  private silentMs = 0;
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

  /** Why the client got no export; "" if it got one, or asked for none. */
  get refusal(): string {
    return this.device === null ? this.closeReason || this.handshake.refusal : "";
  }

  get isOpen(): boolean {
    return this.phase < CLOSED && this.stream !== null;
  }

  /** Whether the client uses no export, and has sent nothing for NBD_IDLE_GRACE_MS. */
  get isIdle(): boolean {
    const isInUse = this.phase >= REQUEST && !this.isEnded;
    return !isInUse && this.silentMs > NBD_IDLE_GRACE_MS;
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

  /** Serves requests and sends replies at the end of this turn. */
  wake(): void {
    if (this.isSoon || this.phase === CLOSED) return;
    this.isSoon = true;
    this.fairShare.waiting += 1;
    this.clock.soon(this.onSoon);
  }

  /**
   * Accepts no more requests. Those that were received are answered with ESHUTDOWN, and the stream
   * ends when the handler has answered those that it keeps.
   */
  stop(): void {
    if (this.phase >= REQUEST) this.serveAll();
    this.end();
    this.wake();
  }

  /**
   * Called every NBD_TICK_MS: checks time limits and frees unused buffers. `elapsedMs`: time since
   * the last call in which this process ran. `othersWait`: other connections wait for memory for
   * large requests.
   */
  tick(elapsedMs: number, othersWait: boolean): void {
    this.silentMs += elapsedMs;
    this.limitedMs += elapsedMs;
    if (this.isOnTime(othersWait)) this.startLimit();
    else if (this.limitedMs > this.limitMs) {
      this.fail(
        this.phase < REQUEST ? "no export chosen in time" : "no progress with a large request",
      );
      return;
    }
    this.output.trim();
    this.input.trim();
  }

  /** Closes the stream at once. */
  terminate(): void {
    this.stream?.terminate();
  }

  /** There is no handshake: a kernel knows the device already. Before the stream is open. */
  serveAtOnce(device: Device): void {
    this.handshake.device = device;
    this.phase = REQUEST;
  }

  // Stream events.

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.remote = stream.remote;
    if (this.phase === REQUEST) {
      this.startLimit();
      this.handler.onDevice(this);
      return;
    }
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
      this.fail("plain bytes after STARTTLS"); // They would be taken for encrypted ones.
      return;
    }
    this.movedBytes += chunk.byteLength;
    this.silentMs = 0;
    this.hasSentBytes = true;
    this.input.push(chunk);
    this.serve();
  }

  onDrain(): void {
    this.isBlocked = false;
    this.serve();
  }

  onClose(_stream: Stream, reason: string): void {
    if (this.phase === SECURING) this.closeReason ||= reason;
    this.phase = CLOSED;
    this.stream = null;
    this.input.drop();
    if (this.largeBytes > 0) this.handler.releaseLarge(this.largeBytes);
    this.largeBytes = 0;
    this.handler.onClosed(this, this.hasDisconnected ? "NBD_CMD_DISC" : this.closeReason || reason);
    this.output.drop();
  }

  // What has been read.

  /** Serves as much as the share of one turn allows. */
  private serve(): void {
    if (this.isServing || this.isSoon) return; // It is done further up, or at the end of the turn.
    if (this.isPaused && this.phase < ENDING && !this.reachesClient()) return;
    this.isServing = true;
    this.unitsLeft = this.fairShare.units;
    while (this.mayServe && this.step()) {
      if (this.output.gatheredBytes >= GATHER_BYTES) this.flush();
    }
    this.isServing = false;
    const wasBlocked = !this.mayServe;
    if (this.input.isEmpty) this.input.release();
    this.flush();
    this.pauseOrResume();
    // Sending may have made room, and then no event would follow.
    if (wasBlocked && this.hasRoom) this.wake();
  }

  /**
   * A write shows whether a paused client is still there. If it is gone, its requests must not be
   * served: it may have sent them again on another connection, followed by newer ones.
   */
  private reachesClient(): boolean {
    this.flush();
    return !this.isBlocked;
  }

  private get mayServe(): boolean {
    return this.unitsLeft > 0 && this.hasRoom;
  }

  /** Serves what was received, regardless of bounds: no more is read. */
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

  /** @returns false when more bytes are needed, or no more can be served. */
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
        return false; // Nothing is read while TLS is set up.
    }
  }

  private readClientFlags(): boolean {
    const { input, handshake } = this;
    if (!input.take(CLIENT_FLAGS_BYTES)) return false;
    if (!handshake.onClientFlags(input.view.getUint32(input.at))) {
      return this.fail("not an NBD client: unknown client flags");
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
    if (!isMagic) return this.fail("not an NBD option: wrong magic number");
    if (this.optionCount > NBD_OPTIONS_MAX)
      return this.fail(`more than ${NBD_OPTIONS_MAX} options`);
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

  /** Skips the data of an option, up to 4 GiB, without storing it. */
  private skipOption(): boolean {
    if (this.optionType === OPTION.EXPORT_NAME) return this.fail("the export name is too long");
    if (!this.input.skip(this.optionBytes)) return false;
    this.handshake.onLongOption(this.optionType);
    this.phase = OPTION_HEADER;
    return true;
  }

  /** Plain bytes behind the option would be taken for encrypted ones, so there must be none. */
  private startTls(): boolean {
    const { stream, tls } = this;
    if (stream === null || tls === null || !this.input.isEmpty) {
      return this.fail("plain bytes after STARTTLS");
    }
    if (!this.output.flush(stream)) return this.fail("the client does not read its replies");
    this.phase = SECURING;
    stream.startTls(tls);
    return false;
  }

  private readRequest(): boolean {
    const { input, request, device } = this;
    const { form } = this.replies;
    assert(device !== null);
    if (!input.take(requestBytes(form))) return false;
    if (!request.read(input.view, input.at, form))
      return this.fail("not an NBD request: wrong magic number, or too long");
    if (request.type === COMMAND.DISC) {
      this.hasDisconnected = true;
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
    this.largeBytes = 0; // The handler releases them from here on.
    this.handler.onRequest(this, request);
    return true;
  }

  private skipRequestData(): boolean {
    if (!this.input.skip(this.request.dataBytes)) return false;
    this.replies.empty(this.request, this.error);
    this.phase = REQUEST;
    return true;
  }

  /** The node stops: the data of the request is skipped. */
  private refuse(): boolean {
    this.error = ERRNO.ESHUTDOWN;
    this.phase = REQUEST_SKIPPED;
    return true;
  }

  /** The node stops: the request is complete, but is not served. */
  private refuseRead(): boolean {
    if (this.largeBytes > 0) this.handler.releaseLarge(this.largeBytes);
    this.largeBytes = 0;
    this.replies.empty(this.request, ERRNO.ESHUTDOWN);
    this.phase = REQUEST;
    return true;
  }

  /** Closes the stream: the client violates the protocol, or misses a time limit. */
  private fail(reason: string): boolean {
    this.closeReason ||= reason;
    this.terminate();
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

  /** How long the handshake may take, and the client may make no progress after it. */
  private get limitMs(): number {
    return this.phase < REQUEST ? NBD_HANDSHAKE_TIMEOUT_MS : NBD_STALL_TIMEOUT_MS;
  }

  /** Whether the client makes progress, or waits for this side. */
  private isOnTime(othersWait: boolean): boolean {
    if (this.phase < REQUEST) return false;
    if (this.phase === ENDING) return this.keptCount > 0 || this.movedBytes > 0;
    return !othersWait || !this.hasLargeMemory || this.movedBytes >= NBD_STALL_BYTES;
  }

  /** Whether the client must send or read before memory for a large request is free again. */
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
