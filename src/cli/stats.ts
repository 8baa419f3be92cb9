/** `ramster stats`: prints the counters of a running node, as text or as JSON. */

import type { Figure } from "../core/figure.ts";
import { COUNTERS } from "../core/figures.ts";
import { percentileUs } from "../core/histogram.ts";
import { allOneLine } from "../core/printable.ts";
import { formatDuration } from "../core/units.ts";
import type { Counters, NodeStats } from "../wire/stats.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { StatsOptions } from "./options.ts";
import { print } from "./print.ts";

export async function run(options: StatsOptions): Promise<ExitCode> {
  const stats = allOneLine(await withClient(options, (client) => client.stats()));
  await print(`${options.json ? JSON.stringify(stats, null, 2) : statsText(stats, options)}\n`);
  return EXIT.DONE;
}

/** The node, its peers and each counter, each on a line of its own for grep(1) and cut(1). */
export function statsText(stats: NodeStats, options: { explain: boolean }): string {
  const { node, counters, latencies, peers } = stats;
  const lines = [
    `node ${node.number} "${node.name}" of cluster "${node.cluster}", boot id ${node.boot_id}`,
    `listens on ${node.listen}`,
    "",
  ];
  for (const peer of peers) {
    lines.push(
      `peer ${peer.node}: ${peer.connected ? "up" : "not connected"}, ` +
        `${peer.remote_pages} pages remote there, ${peer.foreign_pages} foreign pages here`,
    );
  }
  if (peers.length > 0) lines.push("");
  for (const [name, latency] of Object.entries(latencies)) {
    if (latency.counts.length === 0) continue;
    const half = percentileUs(latency, 0.5);
    const nearlyAll = percentileUs(latency, 0.99);
    lines.push(`${name}: half within ${tookText(half)}, 99 % within ${tookText(nearlyAll)}`);
  }
  if (lines.at(-1) !== "") lines.push("");
  return [...lines, ...counterLines(counters, options)].join("\n");
}

/** `explain` adds unit and help from the table of figures. */
function counterLines(counters: Counters, { explain }: { explain: boolean }): string[] {
  const entries = Object.entries(counters);
  const width = Math.max(...entries.map(([name]) => name.length));
  const valueWidth = Math.max(...entries.map(([, value]) => String(value).length));
  const figures = new Map<string, Figure>(Object.entries(COUNTERS));
  return entries.map(([name, value]) => {
    const line = `${name.padEnd(width)} ${value}`;
    const figure = figures.get(name);
    if (!explain || figure === undefined) return line;
    return `${line.padEnd(width + 1 + valueWidth)}  ${figure.unit}: ${figure.help}`;
  });
}

function tookText(us: number): string {
  if (!Number.isFinite(us)) return "any time";
  return us < 1000 ? `${us}us` : formatDuration(us / 1000);
}
