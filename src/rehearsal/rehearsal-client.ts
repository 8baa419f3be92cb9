/**
 * RehearsalClient: what a kernel does with an export. It sends bursts of requests and waits for
 * their replies. Its form of NBD is the one of EXPORT_NAME: simple replies (src/nbd/protocol.ts).
 */
import { RamsterError } from "../core/errors.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { below, type Random } from "../core/random.ts";
import { Input } from "../nbd/input.ts";
import {
  CLIENT_FLAGS_BYTES,
  COMMAND,
  ERRNO,
  GREETING_BYTES,
  HANDSHAKE_FLAG,
  OPTION,
  OPTION_BYTES,
  OPTION_MAGIC,
  REQUEST_BYTES,
  REQUEST_MAGIC,
  SIMPLE_REPLY_BYTES,
} from "../nbd/protocol.ts";
import type { Stream, StreamEvents } from "../net/transport.ts";

/**
 * A kernel swaps with requests of one page, of the eight that it reads ahead, or of up to 32. It
 * may have 128 of them under way. With more than 16 the rehearsal would only take more memory.
 */
const REQUESTS_MAX = 16;
const PAGES_MAX = 32;
/** Size and flags of the export. */
const EXPORT_REPLY_BYTES = 10;

export class RehearsalClient implements StreamEvents {
  /** Requests that were answered. */
  requestCount = 0;
  private readonly random: Random;
  private readonly input: Input;
  private readonly pageCount: number;
  /** A header, and the data of the longest write. */
  private readonly message = new Uint8Array(REQUEST_BYTES + PAGES_MAX * PAGE_BYTES);
  private readonly view = new DataView(this.message.buffer);
  private stream: Stream | null = null;
  /** Of each request of the burst, by its cookie: the bytes of data in its reply. */
  private readonly dataBytes = new Int32Array(REQUESTS_MAX);
  private repliesMissing = 0;
  /** Bytes of the handshake that come next. 0: it is over. */
  private handshakeBytes = GREETING_BYTES;
  /** Bytes of data of the reply that is being read. */
  private skipBytes = 0;
  private error: RamsterError | null = null;
  private wake: () => void = () => {};

  constructor(env: { random: Random; memory: Memory }, byteCount: number) {
    const { random } = env;
    this.random = random;
    this.input = new Input(env.memory);
    this.pageCount = byteCount / PAGE_BYTES;
    const { message } = this;
    // Half of it compresses.
    for (let at = REQUEST_BYTES; at < message.length; at += 1) {
      message[at] = (at & 2) === 0 ? below(random, 256) : 0;
    }
  }

  /** Rejects with RamsterError CLOSED, as `burst` does. */
  async negotiate(name: string): Promise<void> {
    await this.until(() => this.handshakeBytes === EXPORT_REPLY_BYTES);
    const { view, message } = this;
    view.setUint32(0, HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES);
    view.setUint32(CLIENT_FLAGS_BYTES, OPTION_MAGIC.hi);
    view.setUint32(CLIENT_FLAGS_BYTES + 4, OPTION_MAGIC.lo);
    view.setUint32(CLIENT_FLAGS_BYTES + 8, OPTION.EXPORT_NAME);
    view.setUint32(CLIENT_FLAGS_BYTES + 12, name.length);
    const end = CLIENT_FLAGS_BYTES + OPTION_BYTES;
    const { written } = new TextEncoder().encodeInto(name, message.subarray(end));
    await this.send(end + written);
    await this.until(() => this.handshakeBytes === 0);
  }

  /** Some requests, and their replies. */
  async burst(): Promise<void> {
    const { random } = this;
    const count = 1 + below(random, REQUESTS_MAX);
    this.repliesMissing = count;
    for (let cookie = 0; cookie < count; cookie += 1) {
      const pages = 1 + below(random, below(random, 8) === 0 ? PAGES_MAX : 8);
      await this.request(cookie, below(random, this.pageCount - pages), pages);
    }
    await this.until(() => this.repliesMissing === 0);
    this.requestCount += count;
  }

  onOpen(stream: Stream): void {
    this.stream = stream;
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.input.push(chunk);
    while (this.read());
    this.wake();
  }

  onDrain(): void {
    this.wake();
  }

  onClose(_stream: Stream, reason: string): void {
    this.input.drop();
    this.fail(reason);
  }

  /** @returns false when more bytes are needed. */
  private read(): boolean {
    const { input } = this;
    if (this.handshakeBytes > 0) {
      if (!input.skip(this.handshakeBytes)) return false;
      this.handshakeBytes = this.handshakeBytes === GREETING_BYTES ? EXPORT_REPLY_BYTES : 0;
      return true;
    }
    if (this.skipBytes > 0) {
      if (!input.skip(this.skipBytes)) return false;
      this.skipBytes = 0;
      this.repliesMissing -= 1;
      return true;
    }
    if (!input.take(SIMPLE_REPLY_BYTES)) return false;
    const { view, at } = input;
    const error = view.getUint32(at + 4);
    if (error !== ERRNO.OK) this.fail(`a request failed with NBD error ${error}`);
    this.skipBytes = error === ERRNO.OK ? (this.dataBytes[view.getUint32(at + 12)] ?? 0) : 0;
    if (this.skipBytes === 0) this.repliesMissing -= 1;
    return true;
  }

  private request(cookie: number, page: number, pages: number): Promise<void> {
    const { view, random } = this;
    const byteCount = pages * PAGE_BYTES;
    const kind = below(random, 16);
    const type = kind === 0 ? COMMAND.TRIM : kind < 9 ? COMMAND.WRITE : COMMAND.READ;
    view.setUint32(0, REQUEST_MAGIC);
    view.setUint16(4, 0);
    view.setUint16(6, type);
    view.setBigUint64(8, BigInt(cookie));
    view.setBigUint64(16, BigInt(page * PAGE_BYTES));
    view.setUint32(24, byteCount);
    // Each page differs from the one before.
    for (let at = REQUEST_BYTES; at < REQUEST_BYTES + byteCount; at += PAGE_BYTES) {
      view.setUint32(at, random.u32());
    }
    this.dataBytes[cookie] = type === COMMAND.READ ? byteCount : 0;
    return this.send(REQUEST_BYTES + (type === COMMAND.WRITE ? byteCount : 0));
  }

  private async send(byteCount: number): Promise<void> {
    let sent = 0;
    await this.until(() => {
      sent += this.stream?.write(this.message, sent, byteCount - sent) ?? 0;
      return sent === byteCount;
    });
  }

  private async until(isTrue: () => boolean): Promise<void> {
    for (;;) {
      if (this.error !== null) throw this.error;
      if (isTrue()) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private fail(reason: string): void {
    this.error ??= new RamsterError("CLOSED", reason);
    this.wake();
  }
}
