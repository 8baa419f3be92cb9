/**
 * Dialler, Clock and Random on node:net and node:tls, which Node, Deno and Bun have: for the client
 * library as a package. Nodes use bun.ts.
 *
 *     write > copied, WRITE_BYTES at a time > socket, until it has to keep some
 *             then nothing more is taken until it drains
 *
 * Behaviour of these modules that this file relies on, each tried on every runtime:
 *   - write() keeps the array that it gets, and takes all of it. Its result says whether it had to
 *     keep some; `drain` follows then.
 *   - `close` comes once and last, after `error` if there was one. It follows destroy() as well.
 *   - `data` carries a Buffer, which is a part of memory that the runtime may use again.
 *   - `ca` replaces all other authorities. NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing, since
 *     rejectUnauthorized is given.
 */
import * as net from "node:net";
import * as timers from "node:timers";
import * as tls from "node:tls";
import type { Clock, TimerId } from "../core/clock.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../core/limits.ts";
import type { Random } from "../core/random.ts";
import { type Address, formatAddress } from "./address.ts";
import { codeOf, reasonOf, tlsReason } from "./reasons.ts";
import {
  type Dialler,
  type Stream,
  type StreamEvents,
  type StreamOptions,
  TLS_NAME,
  type TlsMaterial,
} from "./transport.ts";

/** It bounds what a socket keeps while the other side does not read. */
const WRITE_BYTES = 256 * 1024;

export class NodeDialler implements Dialler {
  connect(address: Address, events: StreamEvents, { tls: material }: StreamOptions = {}): Stream {
    const stream = new NodeStream(formatAddress(address), events, material !== undefined);
    const where =
      address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
    try {
      const isPlain = material === undefined;
      stream.use(isPlain ? net.connect(where) : tls.connect({ ...where, ...tlsOptions(material) }));
    } catch (error) {
      NODE_CLOCK.soon(() => stream.fail(error));
    }
    return stream;
  }
}

/** TLS 1.3, as nodes use it among each other: one authority, and one name for all. */
function tlsOptions({ authority, certificate, key }: TlsMaterial): tls.ConnectionOptions {
  return {
    ca: authority,
    cert: certificate,
    key,
    servername: TLS_NAME,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  };
}

class NodeStream implements Stream {
  readonly remote: string;
  private readonly events: StreamEvents;
  private readonly isSecured: boolean;
  private socket: net.Socket | null = null;
  private isOpen = false;
  private isEnded = false;
  private isClosed = false;
  /** The socket keeps bytes of an earlier write. */
  private isFull = false;
  private failure = "";
  private deadline: TimerId | null = null;

  constructor(remote: string, events: StreamEvents, isSecured: boolean) {
    this.remote = remote;
    this.events = events;
    this.isSecured = isSecured;
  }

  /** Called once, with the socket that is connecting. */
  use(socket: net.Socket): void {
    this.socket = socket;
    socket.setNoDelay(true); // The channel gathers writes; the kernel has nothing to wait for.
    socket.once(this.isSecured ? "secureConnect" : "connect", () => this.open(socket));
    socket.on("data", (chunk: Uint8Array) => this.data(chunk));
    socket.on("drain", () => this.drain());
    socket.on("error", (error) => {
      this.failure ||= this.describe(error);
    });
    socket.once("close", () => this.closeOnce(this.failure || this.quietReason()));
    if (!this.isSecured) return;
    this.deadline = NODE_CLOCK.after(HANDSHAKE_TIMEOUT_MS, () => {
      this.failure = `no secured connection within ${HANDSHAKE_TIMEOUT_MS} ms`;
      socket.destroy();
    });
  }

  /** There is no socket. */
  fail(error: unknown): void {
    this.closeOnce(reasonOf(error));
  }

  write(bytes: Uint8Array, offset: number, byteCount: number): number {
    const { socket } = this;
    if (socket === null || !this.isOpen || this.isEnded || this.isFull) return 0;
    let taken = 0;
    while (taken < byteCount && !this.isFull) {
      const count = Math.min(byteCount - taken, WRITE_BYTES);
      const at = offset + taken;
      this.isFull = !socket.write(bytes.slice(at, at + count));
      taken += count;
    }
    return taken;
  }

  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  startTls(): void {
    this.terminate(); // Only the accepting side starts TLS, and this one dials.
  }

  end(): void {
    if (this.isClosed || this.isEnded) return;
    if (!this.isOpen) return this.terminate();
    this.isEnded = true;
    this.socket?.resume(); // A paused socket would never notice that the other side closes.
    this.socket?.end();
  }

  terminate(): void {
    const { socket } = this;
    this.closeOnce("closed here");
    socket?.destroy();
  }

  private open(socket: net.Socket): void {
    if (this.isClosed) return;
    if (this.deadline !== null) NODE_CLOCK.cancel(this.deadline);
    // A runtime that only reports a certificate of another authority must not get further.
    if (socket instanceof tls.TLSSocket && !socket.authorized) {
      this.failure = tlsReason(codeOf(socket.authorizationError));
      socket.destroy();
      return;
    }
    this.isOpen = true;
    this.events.onOpen(this);
  }

  private data(chunk: Uint8Array): void {
    if (this.isClosed || !this.isOpen) return;
    const { buffer, byteOffset, byteLength } = chunk;
    this.events.onData(this, new Uint8Array(buffer, byteOffset, byteLength));
  }

  private drain(): void {
    this.isFull = false;
    if (this.isOpen && !this.isClosed && !this.isEnded) this.events.onDrain(this);
  }

  private quietReason(): string {
    if (this.isSecured && !this.isOpen) return tlsReason("ECONNRESET");
    return this.isEnded ? "closed here" : "closed by the other side";
  }

  private describe(error: Error): string {
    const code = codeOf(error);
    const isOfSystem = /^E(?!RR)/.test(code);
    // Before the stream is open, these answer the handshake.
    const isRefusal = !this.isOpen && (code === "ECONNRESET" || code === "EPROTO");
    if (!this.isSecured || (isOfSystem && !isRefusal)) return reasonOf(error);
    return tlsReason(tlsCode(code));
  }

  private closeOnce(reason: string): void {
    if (this.isClosed) return;
    if (this.deadline !== null) NODE_CLOCK.cancel(this.deadline);
    this.isClosed = true;
    this.socket = null;
    this.events.onClose(this, reason);
  }
}

/** What OpenSSL reports of an answer that is no TLS, or of an alert of the other side. */
function tlsCode(code: string): string {
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") return "EPROTO";
  return code.startsWith("ERR_SSL") ? "ECONNRESET" : code;
}

export class NodeClock implements Clock {
  now(): number {
    return performance.now();
  }

  after(delayMs: number, callback: () => void): TimerId {
    // Timers count whole milliseconds and would otherwise fire early. Number() of a Timeout is its
    // id.
    return Number(timers.setTimeout(callback, Math.ceil(delayMs)));
  }

  cancel(timer: TimerId): void {
    timers.clearTimeout(timer);
  }

  soon(callback: () => void): void {
    timers.setImmediate(callback);
  }
}

const NODE_CLOCK = new NodeClock();

/** Numbers from the operating system's generator. */
export class NodeRandom implements Random {
  u32(): number {
    const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
    return number;
  }
}
