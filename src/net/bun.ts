/**
 * Production implementations of Transport, Clock and Random. They use Bun's sockets and timers, and
 * the operating system's random numbers. Only this file, src/memory and src/cli touch these.
 *
 * Behaviour of Bun 1.4.5 that this file relies on, each tried:
 *   - write(bytes, offset, count) copies, takes what the kernel has room for and keeps no rest:
 *     the caller writes the rest after `drain`. On a closed socket it returns -1.
 *   - Every data event carries an array of its own: a Buffer, whose slice() is no copy, unless
 *     binaryType asks for a Uint8Array.
 *   - A connect that fails at once (no such path, no route) calls connectError within the call.
 *   - terminate() resets and calls `close` before it returns; close() on unread input resets as
 *     well, so an orderly end is shutdown(), upon which the other side's socket closes itself.
 *   - pause() stops reading; a reset is still reported, but on a unix socket nothing is until a
 *     write fails.
 *   - Without an `error` handler, an exception of a handler is uncaught. That is wanted, since only
 *     assertions throw there.
 *   - upgradeTLS() takes `isServer`, which its types lack. The plain socket keeps its events,
 *     `data` with the encrypted bytes among them.
 *   - Stopping a unix listener unlinks its path, whatever is there by then.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { freeBuffer } from "../core/buffers.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { quoted, RamsterError } from "../core/errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../core/limits.ts";
import type { Random } from "../core/random.ts";
import type { Address, TcpAddress, UnixAddress } from "./address.ts";
import { formatAddress } from "./address.ts";
import { bindDatagrams, lookupAddresses } from "./bun-datagrams.ts";
import { AcceptTurn, type Duplicate, TcpListener } from "./bun-listener.ts";
import { tlsOptions, tlsOptionsForOthers } from "./bun-tls.ts";
import { codeOf, reasonOf, tlsReason } from "./reasons.ts";
import {
  type DatagramPort,
  type Listener,
  NO_EVENTS,
  type OnDatagram,
  type Stream,
  type StreamEvents,
  type StreamOptions,
  type TlsMaterial,
  type Transport,
} from "./transport.ts";

type Socket = Bun.Socket<BunStream>;

/** Access for the owner only, since everybody who can open the socket can use the node. */
const UNIX_SOCKET_MODE = 0o600;

export class BunTransport implements Transport {
  /** Duplicates the descriptors of listeners. Null: no port rests. */
  readonly duplicate: Duplicate | null;
  readonly turn = new AcceptTurn();

  /** `duplicate`: lets a port rest when very many clients connect at once (bun-listener.ts). */
  constructor(duplicate: Duplicate | null = null) {
    this.duplicate = duplicate;
  }

  async listen(
    address: Address,
    accept: (stream: Stream) => StreamEvents | null,
    options: StreamOptions = {},
  ): Promise<Listener> {
    const socket = acceptHandlers(accept, formatAddress(address), options);
    try {
      if (address.kind === "unix") {
        await clearStaleSocket(address);
        return new UnixListener(address, socket);
      }
      const { host: hostname, port } = address;
      const listenOptions = { socket, ...secureOptions(options) };
      return new TcpListener({ hostname, port }, listenOptions, this);
    } catch (error) {
      throw listenError(address, error);
    }
  }

  connect(address: Address, events: StreamEvents, { tls }: StreamOptions = {}): Stream {
    const remote = formatAddress(address);
    const stream = new BunStream(remote, events);
    const rest = { data: stream, socket: dialHandlers({ tls }), ...secureOptions({ tls }) };
    const opening: Promise<unknown> =
      address.kind === "unix"
        ? Bun.connect<BunStream>({ unix: address.path, ...rest })
        : Bun.connect<BunStream>({ hostname: address.host, port: address.port, ...rest });
    opening.catch((error: unknown) => stream.fail(reasonOf(error)));
    return stream;
  }

  /** A stream on a connected descriptor, which it closes. onOpen follows, as after `connect`. */
  adopt(fd: number, remote: string, events: StreamEvents): Stream {
    const stream = new BunStream(remote, events);
    // The types lack connect with a descriptor (FdSocketOptions of the runtime).
    const options = { fd, data: stream, socket: dialHandlers({}) } as unknown;
    const opening = Bun.connect<BunStream>(options as Bun.UnixSocketOptions<BunStream>);
    opening.catch((error: unknown) => stream.fail(reasonOf(error)));
    return stream;
  }

  bind(address: TcpAddress, onDatagram: OnDatagram): Promise<DatagramPort> {
    return bindDatagrams(address, onDatagram);
  }

  lookup(host: string): Promise<string[]> {
    return lookupAddresses(host);
  }
}

class BunStream implements Stream {
  readonly remote: string;
  events: StreamEvents;
  private socket: Socket | null = null;
  private closed = false;
  private ended = false;
  private closedHere = false;
  /** A write has failed. The close follows. */
  private broken = false;
  /** The socket during its TLS handshake. */
  private handshaking: Socket | null = null;
  private deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(remote: string, events: StreamEvents) {
    this.remote = remote;
    this.events = events;
  }

  write(bytes: Uint8Array, offset: number, byteCount: number): number {
    if (this.socket === null || this.ended) return 0;
    const taken = this.socket.write(bytes, offset, byteCount);
    if (taken >= 0) return taken;
    this.broken = true;
    this.socket.resume(); // A paused socket would never notice the close.
    return 0;
  }

  pause(): void {
    if (!this.broken) this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  startTls(tls: TlsMaterial): void {
    const raw = this.socket;
    if (raw === null || this.closed || this.ended) return;
    this.socket = null;
    const socket = securedHandlers();
    const options = {
      data: this as BunStream,
      tls: tlsOptionsForOthers(tls),
      socket,
      isServer: true,
    };
    const [below, secured] = raw.upgradeTLS<BunStream>(options);
    // The plain socket keeps getting events with encrypted bytes. They are ignored.
    const ignored = new BunStream(this.remote, NO_EVENTS);
    raw.data = ignored;
    below.data = ignored;
    this.secure(secured);
  }

  end(): void {
    if (this.closed || this.ended) return;
    if (this.socket === null) return this.terminate();
    this.ended = true;
    this.socket.resume(); // A paused socket would never notice that the other side closes.
    this.socket.shutdown();
  }

  terminate(): void {
    if (this.closed) return;
    this.closedHere = true;
    const socket = this.socket ?? this.handshaking;
    if (socket === null) return this.closeOnce("closed here"); // attach() drops it when it opens.
    socket.terminate();
    this.closeOnce("closed here");
  }

  /** The socket is connected but not authenticated: the stream opens with `handshake`. */
  secure(socket: Socket): void {
    this.handshaking = socket;
    this.deadline = setTimeout(() => {
      this.fail(`no secured connection within ${HANDSHAKE_TIMEOUT_MS} ms`);
      socket.terminate();
    }, HANDSHAKE_TIMEOUT_MS);
  }

  handshake(socket: Socket, ok: boolean, error: unknown): void {
    clearTimeout(this.deadline);
    this.handshaking = null;
    // The accepting side gets ok even for a certificate that it does not trust.
    if (ok && error === null && socket.authorized) {
      this.attach(socket);
      return;
    }
    this.fail(tlsReason(codeOf(error)));
    socket.terminate();
  }

  /** The socket is connected. */
  attach(socket: Socket): void {
    if (this.closed) {
      socket.terminate();
      return;
    }
    this.socket = socket;
    socket.setNoDelay(true); // The channel gathers writes; the kernel has nothing to wait for.
    this.events.onOpen(this);
  }

  data(chunk: Uint8Array): void {
    if (this.closed) freeBuffer(chunk);
    else this.events.onData(this, chunk);
  }

  drain(): void {
    if (!this.closed && !this.ended) this.events.onDrain(this);
  }

  fail(reason: string): void {
    this.closeOnce(reason);
  }

  close(error: unknown): void {
    if (this.handshaking !== null && !this.closedHere) {
      this.closeOnce(tlsReason(codeOf(error) || "ECONNRESET"));
      return;
    }
    const quiet = this.ended || this.closedHere ? "closed here" : "closed by the other side";
    this.closeOnce(error === undefined || error === null ? quiet : reasonOf(error));
  }

  private closeOnce(reason: string): void {
    if (this.closed) return;
    clearTimeout(this.deadline);
    this.closed = true;
    this.socket = null;
    this.handshaking = null;
    this.events.onClose(this, reason);
  }
}

type Handlers = Bun.SocketHandler<BunStream>;

function dialHandlers({ tls }: StreamOptions): Handlers {
  return {
    binaryType: "uint8array",
    open: (socket) => openStream(socket, tls),
    ...(tls === undefined ? {} : HANDSHAKE_HANDLERS),
    data: (socket, chunk) => socket.data.data(chunk),
    drain: (socket) => socket.data.drain(),
    close: (socket, error) => socket.data.close(error),
    // The promise of connect rejects as well, and never before connect has returned.
    connectError: () => {},
  };
}

function openStream(socket: Socket, tls: TlsMaterial | undefined): void {
  if (tls === undefined) socket.data.attach(socket);
  else socket.data.secure(socket);
}

/** Handlers of a stream that began without TLS. */
function securedHandlers(): Handlers {
  return { ...dialHandlers({}), ...HANDSHAKE_HANDLERS, open: () => {} };
}

const HANDSHAKE_HANDLERS: Pick<Handlers, "handshake" | "error"> = {
  handshake: (socket, ok, error) => socket.data.handshake(socket, ok, error),
  // The other side sent a TLS alert. The close that follows ends the stream.
  error: (socket, error) => {
    if (codeOf(error).startsWith("ERR_SSL") || error.message.includes("SSL routines")) {
      socket.data.fail(tlsReason("ECONNRESET"));
    } else {
      throw error;
    }
  },
};

function secureOptions({ tls }: StreamOptions) {
  return tls === undefined ? {} : { tls: tlsOptions(tls) };
}

function acceptHandlers(
  accept: (stream: Stream) => StreamEvents | null,
  local: string,
  { tls }: StreamOptions,
): Handlers {
  return {
    ...dialHandlers({ tls }),
    open: (socket) => {
      const remote = remoteOf(socket, local);
      const stream = new BunStream(remote ?? "", NO_EVENTS); // `accept` needs the stream first.
      socket.data = stream;
      const events = remote === null ? null : accept(stream);
      if (events === null) {
        socket.terminate();
        return;
      }
      stream.events = events;
      openStream(socket, tls);
    },
  };
}

/**
 * @returns null when the socket was closed before it was accepted. A unix client has no address and
 * is named after the listening socket.
 */
function remoteOf({ remoteAddress, remotePort }: Socket, local: string): string | null {
  if (local.startsWith("unix:")) return local;
  if (remoteAddress === undefined) return null;
  return formatAddress({ kind: "tcp", host: remoteAddress, port: remotePort });
}

class UnixListener implements Listener {
  readonly address: string;
  private readonly path: string;
  private readonly inode: number;
  private readonly server: Bun.SocketListener<BunStream>;
  private closed = false;

  constructor(address: UnixAddress, socket: Handlers) {
    this.address = formatAddress(address);
    this.path = address.path;
    // The file is created with its final mode: before a later chmod anyone could connect.
    const maskBefore = process.umask(0o777 & ~UNIX_SOCKET_MODE);
    try {
      this.server = Bun.listen<BunStream>({ unix: address.path, socket });
    } finally {
      process.umask(maskBefore);
    }
    this.inode = fs.lstatSync(address.path).ino;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    // Bun unlinks by path. If another node has created a socket there since, that is moved aside.
    const aside = `${this.path}~`;
    const isMoved = isForeign(this.path, this.inode) && rename(this.path, aside);
    this.server.stop(false);
    if (isMoved) rename(aside, this.path);
  }
}

/** Whether another file is at the path by now. False if the path cannot be read. */
function isForeign(path: string, inode: number): boolean {
  try {
    const file = fs.lstatSync(path, { throwIfNoEntry: false });
    return file !== undefined && file.ino !== inode;
  } catch {
    return false; // A directory of the path is gone, or not readable.
  }
}

/** @returns false when this user, or the file system, cannot rename. */
function rename(from: string, to: string): boolean {
  try {
    fs.renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

/** Removes the file of a socket that nobody listens on any more. Throws when the path is taken. */
async function clearStaleSocket(address: UnixAddress): Promise<void> {
  const file = fs.lstatSync(address.path, { throwIfNoEntry: false });
  if (file === undefined) return;
  const where = `Cannot listen on "${formatAddress(address)}"`;
  if (!file.isSocket()) {
    throw new RamsterError("ADDRESS_IN_USE", `${where}: the path exists and is not a socket`);
  }
  const failure = await failureAt(address.path);
  if (failure === "EACCES") {
    const what = `a socket of user ${file.uid} is there, which this user may not connect to`;
    const how = "remove it if no process listens there, or name another path";
    throw new RamsterError("ADDRESS_IN_USE", `${where}: ${what}: ${how}`);
  }
  if (!isStale(failure)) {
    throw new RamsterError("ADDRESS_IN_USE", `${where}: another process listens there`);
  }
  // Removes only the file that was tried, since another process may have replaced it.
  const now = fs.lstatSync(address.path, { throwIfNoEntry: false });
  if (now !== undefined && now.ino === file.ino) fs.unlinkSync(address.path);
}

/** Whether a process listens on the socket at `path`. Any doubt counts as yes. */
export async function isAnswered(path: string): Promise<boolean> {
  return !isStale(await failureAt(path));
}

/** Connects to the socket at `path`. @returns the code of the failure, or null. */
async function failureAt(path: string): Promise<string | null> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => {} } });
    socket.terminate();
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

function isStale(failure: string | null): boolean {
  return failure === "ECONNREFUSED" || failure === "ENOENT";
}

function listenError(address: Address, error: unknown): RamsterError {
  if (error instanceof RamsterError) return error;
  const where = `Cannot listen on "${formatAddress(address)}"`;
  const options = { cause: error };
  if (codeOf(error) === "EADDRINUSE") {
    return new RamsterError("ADDRESS_IN_USE", `${where}: the address is in use`, options);
  }
  const isMissing = address.kind === "unix" && codeOf(error) === "ENOENT";
  const reason = isMissing ? noDirectory(address.path) : reasonOf(error);
  return new RamsterError("CANNOT_LISTEN", `${where}: ${reason}`, options);
}

function noDirectory(path: string): string {
  return `there is no directory ${quoted(dirname(path))}: create it, or name another`;
}

export class BunClock implements Clock {
  now(): number {
    return performance.now();
  }

  after(delayMs: number, callback: () => void): TimerId {
    // Timers count whole milliseconds and would otherwise fire early. Number() of a Timeout is its
    // id.
    return Number(setTimeout(callback, Math.ceil(delayMs)));
  }

  cancel(timer: TimerId): void {
    clearTimeout(timer);
  }

  soon(callback: () => void): void {
    // Not a microtask: those run before other events of the same turn.
    setImmediate(callback);
  }
}

/** Numbers from the operating system's generator, fetched in batches. */
export class BunRandom implements Random {
  private readonly batch = new Uint32Array(64);
  private left = 0;

  u32(): number {
    if (this.left === 0) {
      crypto.getRandomValues(this.batch);
      this.left = this.batch.length;
    }
    this.left -= 1;
    return this.batch[this.left] ?? 0;
  }
}
