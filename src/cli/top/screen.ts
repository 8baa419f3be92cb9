/**
 * The screen of `ramster top` as lines, made for 80 by 24:
 *
 *     node, cluster, time
 *     the verdict, and further findings
 *     pages a second; latencies; memory
 *     one of the tables (tables.ts)
 *     the last events
 *     keys
 *
 * Pure functions. Not here: the terminal (terminal.ts).
 */
import { formatCount, formatSize } from "../../core/units.ts";
import { findingText } from "../../monitoring/finding-text.ts";
import type { Overview } from "../../monitoring/overview.ts";
import { shortCount, shortTime } from "../../monitoring/short-numbers.ts";
import type { Latency } from "../../monitoring/span.ts";
import { eventTone } from "../../monitoring/tones.ts";
import type { EventReport } from "../../wire/stats.ts";
import type { Paint } from "../paint.ts";
import { wrapWords } from "../width.ts";
import { type Order, TABLES, type TableName, tableOf, USES } from "./tables.ts";

/** What a person has chosen. */
export interface View {
  readonly table: TableName;
  readonly order: Order;
  /** How many rows of the table are above the first one that is shown. */
  readonly scrolled: number;
  readonly isPaused: boolean;
}

export interface Shown {
  readonly overview: Overview;
  /** Oldest first, with ages as of the overview. */
  readonly events: readonly EventReport[];
  /** Unix time. */
  readonly atMs: number;
  /** Why the node does not answer. Null: it does. */
  readonly outage: string | null;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const FINDINGS_LINES_MAX = 3;
const EVENTS_MAX = 3;
/** The most important ones first, except for "q quit", which follows them. */
const KEYS = ["m members", "e exports", "p pools", "s sort", "r reverse", "space pause"] as const;
const QUIT = "q quit";

/** A screen of that size, with one table. */
export function screenOf(
  shown: Shown,
  view: View,
  { columns, rows }: Size,
  paint: Paint,
): string[] {
  const head = headOf(shown, view.isPaused, columns, paint);
  const table = tableOf(view.table, shown.overview, view.order, columns, paint);
  // The line of tabs, the head of the table, and the keys.
  const room = rows - head.length - 3;
  const events = eventLines(shown, Math.min(EVENTS_MAX, room - table.rows.length - 1), paint);
  const rowsMax = Math.max(1, room - (events.length > 0 ? events.length + 1 : 0));
  const first = Math.min(view.scrolled, Math.max(0, table.rows.length - rowsMax));
  const body = table.rows.slice(first, first + rowsMax);
  if (body.length === 0) body.push(paint.faint(`no ${view.table}`));
  const space = Array.from({ length: Math.max(0, rowsMax - body.length) }, () => "");
  const gap = events.length > 0 ? [""] : [];
  return [
    ...[...head, tabsOf(view, table.sortedBy, paint), table.head],
    ...[...body, ...space, ...gap, ...events, paint.faint(keysIn(columns))],
  ]
    .slice(0, rows)
    .map((line) => Bun.sliceAnsi(line, 0, columns));
}

/** All tables below each other, for text that is not redrawn. */
export function pageOf(shown: Shown, columns: number, paint: Paint): string[] {
  const order = { column: 0, isReversed: false };
  const tables = TABLES.flatMap((name) => {
    const { head, rows } = tableOf(name, shown.overview, order, columns, paint);
    if (rows.length === 0) return [];
    return [paint.title(name) + (name === "members" ? legend(paint) : ""), head, ...rows, ""];
  });
  const events = eventLines(shown, shown.events.length, paint);
  return [...headOf(shown, false, columns, paint), ...tables, ...events];
}

/** How many rows the table can be scrolled by. */
export function scrollMax(view: View, { overview }: Shown): number {
  const counts = {
    members: overview.machines.length,
    exports: overview.exports.length,
    pools: overview.pools.length,
  };
  return Math.max(0, counts[view.table] - 1);
}

function headOf(shown: Shown, isPaused: boolean, columns: number, paint: Paint): string[] {
  const { overview, atMs, outage } = shown;
  const { node } = overview;
  const where = `node ${node.number} "${node.name}" of cluster "${node.cluster}"`;
  const pause = isPaused ? `  ${paint.warn("paused")}` : "";
  return [
    `${paint.title("ramster")}  ${where}  ${timeOf(atMs)}${pause}`,
    ...(outage === null ? findingLines(overview, columns, paint) : [paint.bad(outage)]),
    ratesText(overview),
    latenciesText(overview),
    ...memoryTexts(overview),
    "",
  ];
}

/** `12:30:05Z`. */
function timeOf(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(11, 19)}Z`;
}

/** The findings, worst first, in few lines. */
function findingLines({ findings }: Overview, columns: number, paint: Paint): string[] {
  const lines: string[] = [];
  for (const [i, finding] of findings.entries()) {
    const colour = ([paint.good, paint.warn, paint.bad] as const)[finding.level];
    const words = wrapWords(findingText(finding).split(" "), columns);
    const left = FINDINGS_LINES_MAX - lines.length;
    if (i > 0 && words.length > left) break;
    lines.push(...words.slice(0, left).map((line) => colour(line)));
  }
  return lines;
}

function ratesText({ rates, seconds }: Overview): string {
  const rate = (count: number): string => (seconds === 0 ? "-" : shortCount(count));
  const parts = [
    `put ${rate(rates.put)}`,
    `got ${rate(rates.got)}`,
    `remotified ${rate(rates.remotified)}`,
    `fetched ${rate(rates.fetched)}`,
    ...(rates.spilled > 0 ? [`spilled ${rate(rates.spilled)}`] : []),
    ...(rates.repaired > 0 ? [`repaired ${rate(rates.repaired)}`] : []),
  ];
  return `pages/s  ${parts.join("  ")}`;
}

function latenciesText({ latencies, memory }: Overview): string {
  const one = (name: string, latency: Latency | null): string => {
    if (latency === null) return `${name} -`;
    return `${name} ${shortTime(latency.p50_us)}/${shortTime(latency.p99_us)}`;
  };
  const { put, get, remote_get } = latencies;
  const parts = [one("put", put), one("get", get), one("remote get", remote_get)];
  return `p50/p99  ${parts.join("  ")}  waited ${memory.waited_ms_per_second}ms/s`;
}

function memoryTexts({ pages, memory, stall_percent: stall }: Overview): string[] {
  const away = [
    ...(pages.no_copy > 0 ? [`0: ${formatCount(pages.no_copy)}`] : []),
    ...(pages.one_copy > 0 ? [`1: ${formatCount(pages.one_copy)}`] : []),
    ...(pages.two_copies > 0 ? [`2: ${formatCount(pages.two_copies)}`] : []),
    ...(pages.three_copies > 0 ? [`3: ${formatCount(pages.three_copies)}`] : []),
  ];
  const copies = away.length === 0 ? "none away" : `by copies ${away.join("  ")}`;
  return [
    `pages    here ${formatCount(pages.here)}  ${copies}  at risk ${formatCount(pages.at_risk)}`,
    [
      `memory   ratio ${memory.ratio.toFixed(2)}`,
      `space ${memory.space_percent}% of ${formatSize(memory.space_bytes_max)}`,
      `pooled ${formatSize(memory.pooled_bytes)}`,
      `gained ${formatSize(memory.gained_bytes)}`,
      ...(stall === null ? [] : [`stall ${stall}%`]),
    ].join("  "),
  ];
}

/** What the signs of bars mean. */
function legend(paint: Paint): string {
  return USES.map(({ sign, name, colour }) => `  ${paint[colour](sign)} ${name}`).join("");
}

/** The keys that these columns have room for. */
function keysIn(columns: number): string {
  const shown: string[] = [...KEYS, QUIT];
  while (shown.length > 1 && shown.join("  ").length > columns) shown.splice(-2, 1);
  return shown.join("  ");
}

/** The names of the tables, with the one that is shown in brackets. */
function tabsOf({ table, order }: View, sortedBy: string, paint: Paint): string {
  const tabs = TABLES.map((name) => (name === table ? paint.title(`[${name}]`) : name)).join(" ");
  const sort = paint.faint(`by ${sortedBy}${order.isReversed ? ", reversed" : ""}`);
  return `${tabs} ${sort}${table === "members" ? legend(paint) : ""}`;
}

function eventLines({ events, atMs }: Shown, countMax: number, paint: Paint): string[] {
  if (countMax <= 0) return [];
  return events.slice(-countMax).map(({ kind, text, age_ms: ageMs }) => {
    const what = `${timeOf(atMs - ageMs)} ${kind.padEnd(10)}`;
    return `${paint[eventTone(kind) ?? "faint"](what)} ${text}`;
  });
}
