/**
 * The tables of `ramster top`: machines of the cluster, block devices, and pools. A column says how
 * a row is shown and by what it is sorted.
 */
import { assert } from "../../core/assert.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import type { Machine, Overview } from "../../monitoring/overview.ts";
import { shortCount, shortSize } from "../../monitoring/short-numbers.ts";
import { stateTone } from "../../monitoring/tones.ts";
import type { ExportStats, PoolStats } from "../../wire/stats.ts";
import type { Paint } from "../paint.ts";
import { fitText } from "../width.ts";

export const TABLES = ["members", "exports", "pools"] as const;

export type TableName = (typeof TABLES)[number];

export interface Order {
  /** The number of the column. Beyond the last one: the first one again. */
  readonly column: number;
  readonly isReversed: boolean;
}

export interface ShownTable {
  readonly head: string;
  readonly rows: readonly string[];
  /** The name of the column that the rows are sorted by. */
  readonly sortedBy: string;
}

interface Column<Row> {
  readonly name: string;
  /** Null: what the others leave. */
  readonly width: number | null;
  readonly side: "left" | "right";
  /** Rows with lower values come first. */
  value(row: Row): number | string;
  show(row: Row, width: number, paint: Paint): string;
}

/** The table of that name, in `columns` columns of the terminal. */
export function tableOf(
  name: TableName,
  overview: Overview,
  order: Order,
  columns: number,
  paint: Paint,
): ShownTable {
  switch (name) {
    case "members":
      return shown(MEMBERS, overview.machines, order, columns, paint);
    case "exports":
      return shown(EXPORTS, overview.exports, order, columns, paint);
    case "pools":
      return shown(POOLS, overview.pools, order, columns, paint);
  }
}

function text<Row>(name: string, width: number | null, value: (row: Row) => string): Column<Row> {
  return { name, width, side: "left", value, show: value };
}

function number<Row>(
  name: string,
  width: number,
  value: (row: Row) => number | null,
  format: (value: number) => string = shortCount,
): Column<Row> {
  const show = (row: Row): string => {
    const count = value(row);
    return count === null ? "-" : format(count);
  };
  return { name, width, side: "right", value: (row) => value(row) ?? -1, show };
}

/** How each use of memory is drawn. */
export const USES = [
  { name: "own", sign: "#", colour: "flag", of: (it: Machine) => it.own_bytes },
  { name: "ours", sign: "=", colour: "good", of: (it: Machine) => it.ours_bytes },
  { name: "foreign", sign: "+", colour: "warn", of: (it: Machine) => it.foreign_bytes },
  { name: "free", sign: ".", colour: "faint", of: (it: Machine) => it.free_bytes },
] as const;

const MEMBERS: readonly Column<Machine>[] = [
  {
    ...number<Machine>("node", 4, ({ number: it }) => it, String),
    // This node is the first.
    value: (it) => (it.is_self ? -1 : (it.number ?? Number.POSITIVE_INFINITY)),
  },
  text("name", 13, ({ name }) => name),
  {
    ...text<Machine>("state", 8, ({ state }) => state),
    show: ({ state }, _width, paint) => paint[stateTone(state)](state),
  },
  {
    name: "memory",
    width: null,
    side: "left",
    value: (machine) => USES.reduce((sum, { of }) => sum + of(machine), 0),
    show: memoryBar,
  },
  number("size", 5, (it) => USES.reduce((sum, { of }) => sum + of(it), 0), shortSize),
  number("free", 5, (it) => it.free_bytes, shortSize),
  number("ours", 5, (it) => it.ours),
  number("theirs", 6, (it) => it.theirs),
  number("out/s", 5, (it) => it.sent_bytes_per_second, shortSize),
  number("in/s", 5, (it) => it.received_bytes_per_second, shortSize),
];

const EXPORTS: readonly Column<ExportStats>[] = [
  text("export", null, ({ name }) => name),
  number("size", 7, (it) => it.size_bytes, shortSize),
  number("used", 7, (it) => it.used_bytes, shortSize),
  number("used%", 6, (it) => Math.round((100 * it.used_bytes) / it.size_bytes), String),
  number("swap", 7, (it) => it.swap_bytes, shortSize),
  number("stale", 7, (it) => it.stale_bytes, shortSize),
  number("connected", 9, (it) => it.connections, String),
];

const POOLS: readonly Column<PoolStats>[] = [
  number("pool", 4, ({ id }) => id, String),
  text("kind", 10, ({ kind }) => kind),
  text("export", null, (it) => it.export ?? "-"),
  number("pages", 7, ({ pages }) => pages),
  number("size", 7, ({ pages }) => pages * PAGE_BYTES, shortSize),
  number("raw", 6, (it) => it.raw_pages),
  number("lz4", 6, (it) => it.lz4_pages),
  number("zstd", 6, (it) => it.zstd_pages),
  number("zstd+d", 6, (it) => it.zstd_dictionary_pages),
];

/** A bar whose parts have the share of each use. What is used shows, however little it is. */
function memoryBar(machine: Machine, width: number, paint: Paint): string {
  const total = USES.reduce((sum, { of }) => sum + of(machine), 0);
  if (total === 0) return "";
  let left = width;
  let bar = "";
  for (const { name, sign, colour, of } of USES) {
    const bytes = of(machine);
    const share = bytes === 0 ? 0 : Math.max(1, Math.round((bytes / total) * width));
    const count = name === "free" ? left : Math.min(left, share);
    left -= count;
    if (count > 0) bar += paint[colour](sign.repeat(count));
  }
  return bar;
}

/** The narrowest bar or name. */
const REST_MIN = 6;

function shown<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { column, isReversed }: Order,
  width: number,
  paint: Paint,
): ShownTable {
  const fixed = columns.reduce((sum, it) => sum + (it.width ?? 0) + 1, -1);
  const rest = Math.max(REST_MIN, width - fixed);
  const by = columns[column % columns.length];
  assert(by !== undefined);
  const sorted = rows.toSorted((a, b) => compared(by.value(a), by.value(b)));
  if (isReversed) sorted.reverse();
  const lineOf = (cellOf: (it: Column<Row>, width: number) => string): string => {
    const cells = columns.map((it) =>
      fitText(cellOf(it, it.width ?? rest), it.width ?? rest, it.side),
    );
    return cells.join(" ");
  };
  return {
    head: lineOf((it) => (it === by ? paint.flag(it.name) : paint.title(it.name))),
    rows: sorted.map((row) => lineOf((it, cellWidth) => it.show(row, cellWidth, paint))),
    sortedBy: by.name,
  };
}

function compared(left: number | string, right: number | string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
