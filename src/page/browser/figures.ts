/** The figures that answer "what do I gain, and what happens now". */
import { formatCount, formatSize } from "../../core/units.ts";
import type { Overview } from "../../monitoring/overview.ts";
import { shortCount, shortTime } from "../../monitoring/short-numbers.ts";
import type { Latency } from "../../monitoring/span.ts";
import { byId, html, replaceIfNew } from "./dom.ts";

export function showFigures({ rates, latencies, memory, pages, stall_percent }: Overview): void {
  const figures: Array<readonly [string, string]> = [
    ["pooled by the cluster", formatSize(memory.pooled_bytes)],
    ["gained by this node", formatSize(memory.gained_bytes)],
    ["pages a frame holds", memory.ratio.toFixed(2)],
    [`used of ${formatSize(memory.space_bytes_max)} space`, `${memory.space_percent} %`],
    ["pages put", `${shortCount(rates.put)}/s`],
    ["pages got", `${shortCount(rates.got)}/s`],
    ["put p50 / p99", latencyText(latencies.put)],
    ["get p50 / p99", latencyText(latencies.get)],
    ["requests waited", `${memory.waited_ms_per_second} ms/s`],
    ["pages at risk", formatCount(pages.at_risk)],
    ...(stall_percent === null
      ? []
      : [["memory stall", `${stall_percent} %`] satisfies [string, string]]),
  ];
  replaceIfNew(byId("figures"), JSON.stringify(figures), () =>
    figures.map(([name, value]) => {
      return html("div", {}, [html("dt", {}, [name]), html("dd", {}, [value])]);
    }),
  );
}

function latencyText(latency: Latency | null): string {
  return latency === null ? "-" : `${shortTime(latency.p50_us)} / ${shortTime(latency.p99_us)}`;
}
