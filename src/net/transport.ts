/**
 * Transport: streams and datagrams between processes, given from outside so that the same code runs
 * on real sockets (bun.ts) and in memory under virtual time (harness/sim/network.ts). One suite
 * holds both to what is written here: harness/contract/transport.ts.
 *
 * A stream is a pair of byte sequences. It keeps order and content, and nothing else: data arrives
 * cut anywhere, a write may be taken in part, and either direction may stop for ever without a
 * word. There is no half-open state to use: when one side ends, the other side's stream closes too.
 *
 * A datagram arrives whole or not at all, late, twice or out of order.
 *
 * A stream made with TLS material is mutually authenticated before onOpen: both sides have shown a
 * certificate of the same authority, or the stream closes with a reason. Which node it is, is said
 * by the handshake above. Datagrams are secured by what is in them (src/gossip).
 */
import type { Address, TcpAddress } from "./address.ts";

/** What a stream proves itself with, and whom it believes. PEM texts. */
export interface TlsMaterial {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export interface StreamOptions {
  /** In clear without it. Never with a unix socket. */
  readonly tls?: TlsMaterial | undefined;
}

/**
 * What a stream tells its user. Calls never nest, except that `end` and `terminate` may call
 * onClose.
 */
export interface StreamEvents {
  /** Connected. Called once, and first; a connect that fails goes straight to onClose. */
  onOpen(stream: Stream): void;
  /** Bytes in order, at least one. `chunk` is the receiver's, who frees it (chunks.ts). */
  onData(stream: Stream, chunk: Uint8Array): void;
  /** There may be room again after a write that was not taken whole. May also come unasked. */
  onDrain(stream: Stream): void;
  /** The stream is gone, for the reason given as a phrase. Called exactly once, and last. */
  onClose(stream: Stream, reason: string): void;
}

export interface Stream {
  /** The other side, for logs. Nothing may be concluded from it. */
  readonly remote: string;
  /**
   * Hands `byteCount` bytes from `offset` to the operating system, which copies them: the array may
   * be used again at once.
   *
   * @returns how many were taken. Fewer than asked means full: the rest is for after onDrain.
   * Nothing is taken before onOpen, after `end`, or from a closed stream.
   */
  write(bytes: Uint8Array, offset: number, byteCount: number): number;
  /**
   * No onData until `resume`, but for what has been read already. The other side is slowed down.
   * That it has closed may go unseen until `resume` or the next write; from that write on `pause`
   * does nothing, and onClose follows.
   */
  pause(): void;
  resume(): void;
  /**
   * No more writes. What was taken reaches the other side, whose stream then closes; onClose here
   * follows once it has. Data may still arrive meanwhile. Resumes a paused stream. Where the other
   * side may be silent, a deadline and `terminate` are the caller's business.
   */
  end(): void;
  /**
   * Goes on under TLS, as the side that accepted: from here on nothing is written or heard before
   * onOpen comes again, with the other side proven, or onClose. What was written before is in clear
   * and must have been taken whole.
   */
  startTls(tls: TlsMaterial): void;
  /** Drops the stream at once, with whatever is on its way. Also gives up a connect in progress. */
  terminate(): void;
}

export interface Listener {
  /** Where it listens, as parseAddress reads it, with the real port in place of 0. */
  readonly address: string;
  /** Takes no more streams. Those that were accepted live on. A unix socket's file is removed. */
  close(): void;
}

export interface Transport {
  /**
   * Listens on `address`. `accept` gives the events of each new stream and is followed by onOpen;
   * it must not use the stream yet. With TLS it comes before anything is proved. Null: the stream
   * is dropped at once.
   *
   * Rejects with RamsterError ADDRESS_IN_USE when the address or path is taken,
   * CANNOT_LISTEN when it is no address of this machine or not allowed.
   */
  listen(
    address: Address,
    accept: (stream: Stream) => StreamEvents | null,
    options?: StreamOptions,
  ): Promise<Listener>;
  /**
   * Starts to connect; onOpen or onClose tells how it went, never during the call. The stream is
   * there to be terminated.
   */
  connect(address: Address, events: StreamEvents, options?: StreamOptions): Stream;
  /**
   * Sends and receives datagrams at `address`; rejects as `listen` does. `onDatagram` is called
   * with bytes that belong to the receiver of the call.
   */
  bind(address: TcpAddress, onDatagram: OnDatagram): Promise<DatagramPort>;
  /**
   * The addresses behind a host name, IPv4 and IPv6; an address is its own. Rejects with
   * ConfigError BAD_CONFIG when the name is unknown.
   */
  lookup(host: string): Promise<string[]>;
}

export type OnDatagram = (bytes: Uint8Array, from: TcpAddress) => void;

export interface DatagramPort {
  /** Where it is bound, with the real port in place of 0. */
  readonly address: TcpAddress;
  /**
   * Sends the first `byteCount` bytes to an address whose host is an IP address. Copied at once.
   * Whether it arrives is nobody's promise; one that the kernel refuses counts as lost.
   */
  send(bytes: Uint8Array, byteCount: number, to: TcpAddress): void;
  close(): void;
}
