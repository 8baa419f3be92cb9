/**
 * HttpDoor: what people and monitoring can read from a node, over HTTP.
 *
 *     /              a page for people (src/page)
 *     /live          what the page shows, as server-sent events
 *     /metrics       every counter, for Prometheus
 *     /status.json   the cluster as this node sees it, as `ramster status --json`
 *     /healthz       200 while the process runs, with its verdict (monitoring/verdict.ts)
 *     /readyz        200 once it serves; 503 before, while it stops, and while programs should
 *                    use another node: it is draining, it is full, or pages are lost
 *
 * The last two answer requests for any host, since a load balancer's health check may name any.
 * For a strange host they reveal nothing that a web page could want: one word without a reason.
 *
 * Each answer is made when it is requested, as long as that costs little of the node's time. A
 * client that asks without pause gets the previous answer.
 */
import type { Clock } from "../core/clock.ts";
import type { Report } from "../core/figure.ts";
import type { HTTP_COUNTED } from "../core/figures.ts";
import {
  HTTP_STREAMS_MAX,
  HTTP_TEXT_BURST_MS,
  HTTP_TEXT_SHARE,
} from "../core/monitoring-limits.ts";
import { type HttpAnswer, textAnswer } from "../http/answer.ts";
import { HttpServer, type HttpServerParts } from "../http/server.ts";
import { findingText } from "../monitoring/finding-text.ts";
import type { Live } from "../monitoring/live.ts";
import { type StatsForStatus, statusJson } from "../monitoring/status-json.ts";
import type { TcpAddress } from "../net/address.ts";
import { ASSET_HEADERS, ASSETS } from "../page/assets.ts";
import type { Finding } from "../wire/stats.ts";
import { LIVE_HEAD, LIVE_TYPE, LiveStream } from "./live-stream.ts";
import { METRICS_TYPE, Metrics, type StatsForMetrics } from "./metrics.ts";

/** The part of the stats that the door shows. */
export type StatsForDoor = StatsForMetrics &
  StatsForStatus & { readonly findings: readonly Finding[] };

export class HttpDoor {
  isReady = false;
  private readonly server: HttpServer;
  private readonly metrics: Paced<string>;
  private readonly status: Paced<string>;
  private readonly findings: Paced<readonly Finding[]>;
  private readonly live: Live;
  private readonly liveStreams = new Set<LiveStream>();

  /** `stats` reports the node's counters and state (NodeAdmin). */
  constructor(parts: HttpServerParts, live: Live, stats: () => StatsForDoor) {
    this.live = live;
    this.server = new HttpServer(parts, (path, strangeHost) => this.answer(path, strangeHost));
    const metrics = new Metrics(stats);
    this.metrics = new Paced(parts.clock, () => metrics.text());
    this.status = new Paced(parts.clock, async () => `${statusJson(stats())}\n`);
    this.findings = new Paced(parts.clock, async () => stats().findings);
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
    const isCheck = path === "/healthz" || path === "/readyz";
    if (strangeHost !== null && !isCheck) return misdirected(strangeHost);
    const asset = ASSETS.get(path);
    if (asset !== undefined) {
      return { status: 200, type: asset.type, body: asset.text, headers: ASSET_HEADERS };
    }
    switch (path) {
      case "/live": {
        if (this.liveStreams.size >= HTTP_STREAMS_MAX) {
          return textAnswer(503, `${HTTP_STREAMS_MAX} pages are open already`);
        }
        const stream = new LiveStream(this.live, this.liveStreams);
        return { status: 200, type: LIVE_TYPE, body: LIVE_HEAD, stream };
      }
      case "/metrics":
        return { status: 200, type: METRICS_TYPE, body: await this.metrics.read() };
      case "/status.json":
        return { status: 200, type: "application/json", body: await this.status.read() };
      case "/healthz":
        return textAnswer(200, healthText(await this.findings.read(), strangeHost));
      case "/readyz": {
        if (!this.isReady) return textAnswer(503, "it does not serve now");
        const reasons = (await this.findings.read()).filter(isUnready);
        if (reasons.length === 0) return textAnswer(200, "it serves");
        return textAnswer(503, healthText(reasons, strangeHost));
      }
      default:
        return textAnswer(404, "there are /, /metrics, /status.json, /healthz and /readyz");
    }
  }
}

/** Whether programs should use another node. */
function isUnready({ state, level }: Finding): boolean {
  return state === "LOST" || state === "DRAINING" || (state === "FILLING" && level === 2);
}

/** The findings, a line each. For a strange host the state alone. */
function healthText(findings: readonly Finding[], strangeHost: string | null): string {
  if (strangeHost !== null) return findings[0]?.state ?? "";
  return findings.map(findingText).join("\n");
}

function misdirected(host: string): HttpAnswer {
  const name = JSON.stringify(host);
  return textAnswer(421, `use "localhost" or an IP address in place of the host name ${name}`);
}

/** A value that is made when it is read, within a share of the node's time. */
class Paced<T> {
  private readonly clock: Clock;
  private readonly make: () => Promise<T>;
  private value: Promise<T> | null = null;
  /** The time that may still be spent, as of `countedMs`. Below 0 the previous value is used. */
  private creditMs = HTTP_TEXT_BURST_MS;
  private countedMs: number;

  constructor(clock: Clock, make: () => Promise<T>) {
    this.clock = clock;
    this.make = make;
    this.countedMs = clock.now();
  }

  read(): Promise<T> {
    const startMs = this.clock.now();
    const earnedMs = (startMs - this.countedMs) * HTTP_TEXT_SHARE;
    this.creditMs = Math.min(HTTP_TEXT_BURST_MS, this.creditMs + earnedMs);
    this.countedMs = startMs;
    if (this.value === null || this.creditMs > 0) this.value = this.makeValue(startMs);
    return this.value;
  }

  private async makeValue(startMs: number): Promise<T> {
    const value = await this.make();
    this.creditMs -= this.clock.now() - startMs;
    return value;
  }
}
