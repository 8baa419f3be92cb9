/**
 * HttpServer: a read-only server of HTTP/1.1 and 1.0 on streams. It takes GET and HEAD without
 * request bodies. It answers no web page that was read from another host.
 *
 * Connections, received bytes and unsent bytes are bounded. At the bound, the source with the most
 * connections loses the one that was idle for longest. So a client that opens many connections
 * takes no room from other clients.
 *
 * Not here: the answers (doors/http-door.ts).
 */
import type { Clock } from "../core/clock.ts";
import { countersOf } from "../core/figure.ts";
import { HTTP_COUNTED } from "../core/figures.ts";
import { GOODBYE_TIMEOUT_MS } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { HTTP_CONNECTIONS_MAX, HTTP_UNSENT_BYTES_MAX } from "../core/monitoring-limits.ts";
import { isLoopback, type TcpAddress } from "../net/address.ts";
import { sourceOf } from "../net/admission.ts";
import type { Listener, Stream, Transport } from "../net/transport.ts";
import { type HttpAnswer, textAnswer } from "./answer.ts";
import { isSameSite, isUnnamed } from "./authority.ts";
import { HttpConnection } from "./connection.ts";
import type { HttpRefusal, HttpRequest } from "./request.ts";

const HttpCounters = countersOf(HTTP_COUNTED);

/**
 * Answers a GET or HEAD of `path`. Never rejects. `strangeHost` is the Host of a request to a port
 * on loopback if that is neither an IP address nor "localhost", else null. Such a host may belong
 * to a web page that reads the port through a browser here (DNS rebinding).
 */
export type Answer = (path: string, strangeHost: string | null) => Promise<HttpAnswer>;

export interface HttpServerParts {
  clock: Clock;
  /** Makes streams without TLS. */
  transport: Transport;
  log: Log;
}

export class HttpServer {
  readonly counters = new HttpCounters();
  private readonly parts: HttpServerParts;
  private readonly answer: Answer;
  private readonly connections = new Map<HttpConnection, string>();
  private listener: Listener | null = null;
  private isOnLoopback = false;
  private isStopping = false;
  private onEmpty: () => void = () => {};

  constructor(parts: HttpServerParts, answer: Answer) {
    this.parts = parts;
    this.answer = answer;
  }

  /** @returns the address with its real port. Rejects as Transport.listen does. */
  async listen(address: TcpAddress): Promise<string> {
    this.isOnLoopback = isLoopback(address.host);
    this.listener = await this.parts.transport.listen(address, (stream) => this.accept(stream));
    return this.listener.address;
  }

  /** Sends answers that are under way. Resolves when all connections are closed. */
  async stop(): Promise<void> {
    this.isStopping = true;
    this.listener?.close();
    for (const connection of [...this.connections.keys()]) connection.stop();
    if (this.connections.size === 0) return;
    const { clock } = this.parts;
    const isEmpty = new Promise<void>((resolve) => {
      this.onEmpty = resolve;
    });
    const timer = clock.after(GOODBYE_TIMEOUT_MS, () => {
      for (const connection of [...this.connections.keys()]) connection.terminate();
    });
    await isEmpty;
    clock.cancel(timer);
  }

  private accept(stream: Stream): HttpConnection {
    const connection = new HttpConnection(stream, this.parts.clock, {
      answer: (request) => this.answerTo(request),
      onRefused: (refused, refusal) => this.onRefused(refused, refusal),
      onClosed: (closed) => this.onClosed(closed),
    });
    if (this.connections.size >= HTTP_CONNECTIONS_MAX) this.evictOne();
    this.connections.set(connection, sourceOf(stream.remote));
    this.counters.http_connections = this.connections.size;
    return connection;
  }

  /** Closes the connection that was idle for longest among those of the source with the most. */
  private evictOne(): void {
    const counts = new Map<string, number>();
    for (const source of this.connections.values()) {
      counts.set(source, (counts.get(source) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    let worst: HttpConnection | null = null;
    for (const [connection, source] of this.connections) {
      if (counts.get(source) !== most) continue;
      if (worst === null || isIdler(connection, worst)) worst = connection;
    }
    this.counters.http_connections_evicted += 1;
    worst?.terminate();
  }

  private async answerTo({ method, path, authority, origin }: HttpRequest): Promise<HttpAnswer> {
    this.counters.http_requests += 1;
    if (method !== "GET" && method !== "HEAD") {
      return textAnswer(405, `this port answers GET and HEAD, not ${method}`);
    }
    if (origin !== null && !isSameSite(origin, authority)) {
      return textAnswer(403, "this port answers no web page of another host");
    }
    if (this.unsentBytes() > HTTP_UNSENT_BYTES_MAX) {
      return textAnswer(503, "too many answers wait for slow clients");
    }
    const isStrange = this.isOnLoopback && authority !== null && !isUnnamed(authority);
    return this.answer(path, isStrange ? authority.host : null);
  }

  private unsentBytes(): number {
    let sum = 0;
    for (const connection of this.connections.keys()) sum += connection.unsentBytes;
    return sum;
  }

  private onRefused({ remote }: HttpConnection, { status, reason }: HttpRefusal): void {
    this.counters.http_refused += 1;
    const what = `Refused an HTTP request from "${remote}" with ${status}: ${reason}`;
    this.parts.log.write("debug", "doors", what);
  }

  private onClosed(connection: HttpConnection): void {
    this.connections.delete(connection);
    this.counters.http_connections = this.connections.size;
    if (this.isStopping && this.connections.size === 0) this.onEmpty();
  }
}

function isIdler(connection: HttpConnection, than: HttpConnection): boolean {
  if (connection.isSending !== than.isSending) return than.isSending;
  return connection.usedMs < than.usedMs;
}
