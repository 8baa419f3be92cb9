/**
 * Transport: streams and datagrams between processes. It is an interface, so the same code runs on
 * real sockets (bun.ts) and in memory under virtual time (harness/sim/network.ts). The test suite
 * harness/contract/transport.ts holds both to the rules below.
 *
 * A stream is a pair of byte sequences. It preserves order and content only: data arrives cut
 * anywhere, a write may be taken in part, and either direction may stop for ever without notice.
 * There is no half-open state: when one side ends, the other side's stream closes too.
 *
 * A datagram arrives whole or not at all, late, twice or out of order.
 *
 * A stream with TLS material is mutually authenticated before onOpen: both sides have presented a
 * certificate of the same authority, or the stream closes with a reason. The HELLO of the protocol
 * above identifies the node. Datagrams carry their own encryption (src/gossip).
 */
import { freeBuffer } from "../core/buffers.ts";
import type { Address, TcpAddress } from "./address.ts";

/**
 * The name in every certificate. A certificate proves membership of the cluster, not a host name.
 * The HELLO of the protocol above TLS identifies the node.
 */
export const TLS_NAME = "ramster";

/**
 * The own certificate and key, and the authority that the other side's certificate must have. All
 * are PEM texts.
 */
export interface TlsMaterial {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export interface StreamOptions {
  /** Encrypts the stream. Never used with a unix socket. */
  readonly tls?: TlsMaterial | undefined;
}

/** Events of a stream. Calls never nest, except that `end` and `terminate` may call onClose. */
export interface StreamEvents {
  /** The stream is connected. Called once and first; a failed connect calls only onClose. */
  onOpen(stream: Stream): void;
  /** Bytes in order, at least one. The receiver owns `chunk` and frees it (core/buffers.ts). */
  onData(stream: Stream, chunk: Uint8Array): void;
  /** There may be room again after a write that was taken in part. May also come at other times. */
  onDrain(stream: Stream): void;
  /** The stream is closed; `reason` is a phrase. Called exactly once, and last. */
  onClose(stream: Stream, reason: string): void;
}

/** The events of a stream that nobody handles. */
export const NO_EVENTS: StreamEvents = {
  onOpen: () => {},
  onData: (_stream, chunk) => freeBuffer(chunk),
  onDrain: () => {},
  onClose: () => {},
};

export interface Stream {
  /** The address of the other side. For logs only. */
  readonly remote: string;
  /**
   * Hands `byteCount` bytes from `offset` to the operating system, which copies them: the array may
   * be used again at once.
   *
   * @returns how many were taken. Fewer means the stream is full: write the rest after onDrain.
   * Nothing is taken before onOpen, after `end`, or by a closed stream.
   */
  write(bytes: Uint8Array, offset: number, byteCount: number): number;
  /**
   * There is no onData until `resume`, except for bytes that are read already. The other side is
   * slowed down. Its close may go unnoticed until `resume` or the next write. After that write
   * `pause` does nothing, and onClose follows.
   */
  pause(): void;
  resume(): void;
  /**
   * No writes follow. Bytes that were taken reach the other side, whose stream then closes. onClose
   * follows here. Data may still arrive meanwhile. Resumes a paused stream. The caller sets a
   * deadline and calls `terminate` if the other side may be silent.
   */
  end(): void;
  /**
   * Continues under TLS, as the accepting side. Nothing is written or received until onOpen comes
   * again, with the other side authenticated, or onClose. Earlier writes are in plain text and must
   * have been taken completely.
   */
  startTls(tls: TlsMaterial): void;
  /** Closes the stream at once and drops unsent bytes. Also gives up a connect in progress. */
  terminate(): void;
}

export interface Listener {
  /** The address in the form of parseAddress, with the real port in place of 0. */
  readonly address: string;
  /** Accepts no more streams; accepted ones stay open. Removes the file of a unix socket. */
  close(): void;
}

/** The part of a Transport that the client library needs. */
export interface Dialler {
  /**
   * Starts to connect. onOpen or onClose follows, never during the call. Until then the stream can
   * only be terminated.
   */
  connect(address: Address, events: StreamEvents, options?: StreamOptions): Stream;
}

export interface Transport extends Dialler {
  /**
   * Listens on `address`. `accept` returns the events of a new stream, or null to close it at once.
   * It must not use the stream yet; onOpen follows. With TLS it is called before authentication.
   *
   * Rejects with RamsterError ADDRESS_IN_USE when the address or path is taken, and CANNOT_LISTEN
   * when the address is not one of this machine, or is not permitted.
   */
  listen(
    address: Address,
    accept: (stream: Stream) => StreamEvents | null,
    options?: StreamOptions,
  ): Promise<Listener>;
  /**
   * Sends and receives datagrams at `address`; rejects as `listen` does. The bytes that
   * `onDatagram` gets belong to its receiver.
   */
  bind(address: TcpAddress, onDatagram: OnDatagram): Promise<DatagramPort>;
  /**
   * Looks up the IPv4 and IPv6 addresses of a host name; an address is returned as it is. Rejects
   * with ConfigError BAD_CONFIG when the name is unknown.
   */
  lookup(host: string): Promise<string[]>;
}

export type OnDatagram = (bytes: Uint8Array, from: TcpAddress) => void;

export interface DatagramPort {
  /** The bound address, with the real port in place of 0. */
  readonly address: TcpAddress;
  /**
   * Sends the first `byteCount` bytes, copied at once. The host must be an IP address. A datagram
   * may be lost, and one that the kernel refuses counts as lost.
   */
  send(bytes: Uint8Array, byteCount: number, to: TcpAddress): void;
  close(): void;
}
