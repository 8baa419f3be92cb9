/**
 * HttpDoor: what monitoring can read from a node, over HTTP.
 *
 *     /metrics       every counter, for Prometheus
 *     /status.json   the cluster as this node sees it, as `ramster status --json`
 *     /healthz       200 while the process runs
 *     /readyz        200 once it serves, 503 before and while it stops
 *
 * The last two reveal nothing that a web page could want. So they answer requests for any host,
 * since a load balancer's health check may name any.
 *
 * The texts of the first two are made for each request, as long as that costs little of the node's
 * time. A client that asks without pause gets the previous text.
 */
import type { Clock } from "../core/clock.ts";
import type { Report } from "../core/figure.ts";
import type { HTTP_COUNTED } from "../core/figures.ts";
import { HTTP_TEXT_BURST_MS, HTTP_TEXT_SHARE } from "../core/limits.ts";
import { type HttpAnswer, textAnswer } from "../http/answer.ts";
import { HttpServer, type HttpServerParts } from "../http/server.ts";
import type { TcpAddress } from "../net/address.ts";
import { METRICS_TYPE, Metrics, type StatsForMetrics } from "./metrics.ts";
import { type StatsForStatus, statusJson } from "./status-json.ts";

export class HttpDoor {
  isReady = false;
  private readonly server: HttpServer;
  private readonly metrics: PacedText;
  private readonly status: PacedText;

  /** `stats` reports the node's counters and state (NodeAdmin). */
  constructor(parts: HttpServerParts, stats: () => StatsForMetrics & StatsForStatus) {
    this.server = new HttpServer(parts, (path, strangeHost) => this.answer(path, strangeHost));
    const metrics = new Metrics(stats);
    this.metrics = new PacedText(parts.clock, () => metrics.text());
    this.status = new PacedText(parts.clock, async () => `${statusJson(stats())}\n`);
  }

  /** @returns the address with its real port. Rejects as Transport.listen does. */
  listen(address: TcpAddress): Promise<string> {
    return this.server.listen(address);
  }

  /** Resolves when no connection is left. */
  stop(): Promise<void> {
    return this.server.stop();
  }

  snapshot(): Report<typeof HTTP_COUNTED> {
    return this.server.counters;
  }

  private async answer(path: string, strangeHost: string | null): Promise<HttpAnswer> {
    switch (path) {
      case "/metrics":
        if (strangeHost !== null) return misdirected(strangeHost);
        return { status: 200, type: METRICS_TYPE, body: await this.metrics.read() };
      case "/status.json":
        if (strangeHost !== null) return misdirected(strangeHost);
        return { status: 200, type: "application/json", body: await this.status.read() };
      case "/healthz":
        return textAnswer(200, "it runs");
      case "/readyz":
        return this.isReady
          ? textAnswer(200, "it serves")
          : textAnswer(503, "it does not serve now");
      default:
        return textAnswer(404, "there are /metrics, /status.json, /healthz and /readyz");
    }
  }
}

function misdirected(host: string): HttpAnswer {
  const name = JSON.stringify(host);
  return textAnswer(421, `use "localhost" or an IP address in place of the host name ${name}`);
}

/** A text that is made when it is read, within a share of the node's time. */
class PacedText {
  private readonly clock: Clock;
  private readonly make: () => Promise<string>;
  private text: Promise<string> | null = null;
  /** The time that may still be spent, as of `countedMs`. Below 0 the previous text is used. */
  private creditMs = HTTP_TEXT_BURST_MS;
  private countedMs: number;

  constructor(clock: Clock, make: () => Promise<string>) {
    this.clock = clock;
    this.make = make;
    this.countedMs = clock.now();
  }

  read(): Promise<string> {
    const startMs = this.clock.now();
    const earnedMs = (startMs - this.countedMs) * HTTP_TEXT_SHARE;
    this.creditMs = Math.min(HTTP_TEXT_BURST_MS, this.creditMs + earnedMs);
    this.countedMs = startMs;
    if (this.text === null || this.creditMs > 0) this.text = this.makeText(startMs);
    return this.text;
  }

  private async makeText(startMs: number): Promise<string> {
    const text = await this.make();
    this.creditMs -= this.clock.now() - startMs;
    return text;
  }
}
