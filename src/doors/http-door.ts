/**
 * HttpDoor: what monitoring asks a node, over HTTP and read only.
 *
 *     /metrics       every counter, for Prometheus
 *     /status.json   the cluster as this node sees it, as `ramster status --json`
 *     /healthz       200 while the process runs
 *     /readyz        200 once it serves, 503 before and while it stops
 */
import type { HttpAnswer } from "../net/http.ts";
import type { StatsForMetrics } from "./metrics.ts";

const TEXT = "text/plain; charset=utf-8";

export class HttpDoor {
  isReady = false;
  private readonly stats: () => string;

  /** `stats`: the node's counters and state as JSON (Admin). */
  constructor(stats: () => string) {
    this.stats = stats;
  }

  async answer(method: string, path: string): Promise<HttpAnswer> {
    if (method !== "GET" && method !== "HEAD") return said(405, `${method} is not for this door`);
    switch (path) {
      case "/metrics": {
        // Loaded when somebody asks: most nodes never need the library.
        const { METRICS_TYPE, metricsText } = await import("./metrics.ts");
        const stats = JSON.parse(this.stats()) as StatsForMetrics;
        return { status: 200, type: METRICS_TYPE, body: await metricsText(stats) };
      }
      case "/status.json": {
        const { node, repair, exports, members, peers } = JSON.parse(
          this.stats(),
        ) as StatsForMetrics;
        const body = `${JSON.stringify({ node, repair, exports, members, peers }, null, 2)}\n`;
        return { status: 200, type: "application/json", body };
      }
      case "/healthz":
        return said(200, "it runs");
      case "/readyz":
        return this.isReady ? said(200, "it serves") : said(503, "it does not serve now");
      default:
        return said(404, "there are /metrics, /status.json, /healthz and /readyz");
    }
  }
}

function said(status: number, line: string): HttpAnswer {
  return { status, type: TEXT, body: `${line}\n` };
}
