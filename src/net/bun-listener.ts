/**
 * TcpListener: a port on Bun's sockets that accepts a limited number of connections a turn.
 *
 *     open --all ports took ACCEPTS_PER_TURN_MAX in one turn--> resting --a while--> open
 *
 * Bun accepts connections until none is waiting. A client that connects faster than Bun accepts
 * would keep the thread in that loop, and closing the listener is the only way out. A second
 * descriptor keeps the port while it rests, so no connection is lost. New connections wait in the
 * kernel, and the next listener is made from that descriptor.
 *
 * Behaviour of Bun 1.4.5 that this file relies on, each tried: listen() takes a listening
 * descriptor as `fd`, and a listener has its own as `fd`; the types lack both. When a listener is
 * closed within `open`, nothing more is accepted, and its connections stay open.
 */
import { closeSync } from "node:fs";
import {
  ACCEPT_REST_FACTOR,
  ACCEPT_REST_MS,
  ACCEPT_REST_MS_MAX,
  ACCEPTS_PER_TURN_MAX,
} from "../core/admission-limits.ts";
import { formatAddress } from "./address.ts";
import type { Listener } from "./transport.ts";

/** Duplicates a descriptor. @returns the new one, or a negative number when none is left. */
export type Duplicate = (fd: number) => number;

/** Options of a port in addition to its address. */
export interface ListenOptions<Data> {
  readonly socket: Bun.SocketHandler<Data>;
  readonly tls?: Bun.TLSOptions;
}

interface Rest {
  /** The descriptor that keeps the port. */
  readonly fd: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Counts the connections that all ports of a process accept in one turn. */
export class AcceptTurn {
  private count = 0;
  private startMs = 0;

  /** Counts a connection. @returns whether the bound of this turn is reached. */
  take(): boolean {
    if (this.count === 0) {
      this.startMs = performance.now();
      setImmediate(() => {
        this.count = 0;
      });
    }
    this.count += 1;
    return this.count >= ACCEPTS_PER_TURN_MAX;
  }

  /** How long to rest, so that accepting takes a bounded share of the time on any machine. */
  get restMs(): number {
    const tookMs = performance.now() - this.startMs;
    return Math.min(Math.max(ACCEPT_REST_MS, ACCEPT_REST_FACTOR * tookMs), ACCEPT_REST_MS_MAX);
  }
}

export class TcpListener<Data> implements Listener {
  readonly address: string;
  private readonly options: ListenOptions<Data>;
  private readonly duplicate: Duplicate | null;
  private server: Bun.TCPSocketListener<Data> | null;
  private readonly turn: AcceptTurn;
  private rest: Rest | null = null;

  /** Throws what Bun.listen() throws. If `duplicate` is null, the port never rests. */
  constructor(
    { hostname, port }: { hostname: string; port: number },
    options: ListenOptions<Data>,
    { turn, duplicate }: { turn: AcceptTurn; duplicate: Duplicate | null },
  ) {
    const { open } = options.socket;
    const socket: Bun.SocketHandler<Data> = {
      ...options.socket,
      open: (it) => {
        if (this.turn.take()) this.startRest();
        return open?.(it);
      },
    };
    this.options = { ...options, socket };
    this.turn = turn;
    this.duplicate = duplicate;
    this.server = Bun.listen<Data>({ hostname, port, ...this.options });
    this.address = formatAddress({ kind: "tcp", host: hostname, port: this.server.port });
  }

  close(): void {
    this.server?.stop(false);
    this.server = null;
    if (this.rest === null) return;
    clearTimeout(this.rest.timer);
    closeSync(this.rest.fd);
    this.rest = null;
  }

  private startRest(): void {
    if (this.server === null || this.duplicate === null) return;
    const { fd } = this.server as unknown as { readonly fd: number };
    const kept = this.duplicate(fd);
    if (kept < 0) return;
    this.server.stop(false);
    this.server = null;
    this.rest = { fd: kept, timer: undefined };
    this.startTimer(this.rest, this.turn.restMs);
  }

  private endRest(rest: Rest): void {
    const options = { fd: rest.fd, ...this.options };
    try {
      this.server = Bun.listen<Data>(options as unknown as Bun.TCPSocketListenOptions<Data>);
      this.rest = null;
    } catch {
      // The system is short of a resource. The port is kept; try again later.
      this.startTimer(rest, ACCEPT_REST_MS);
    }
  }

  private startTimer(rest: Rest, delayMs: number): void {
    rest.timer = setTimeout(() => this.endRest(rest), delayMs);
  }
}
