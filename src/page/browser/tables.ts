/** Block devices, pools and codecs. */
import { PAGE_BYTES } from "../../core/limits.ts";
import { formatCount, formatSize } from "../../core/units.ts";
import type { CodecUse, Overview } from "../../monitoring/overview.ts";
import type { ExportStats, PoolStats } from "../../wire/stats.ts";
import { byId, type Column, html, replaceIfNew, table } from "./dom.ts";

const EXPORTS: readonly Column<ExportStats>[] = [
  { name: "export", className: "name", cell: ({ name }) => name },
  { name: "size", isNumber: true, cell: (it) => formatSize(it.size_bytes) },
  { name: "used", isNumber: true, cell: (it) => formatSize(it.used_bytes) },
  {
    name: "used",
    isNumber: true,
    cell: (it) => `${Math.round((100 * it.used_bytes) / it.size_bytes)} %`,
  },
  { name: "swap in use", isNumber: true, cell: (it) => formatSize(it.swap_bytes) },
  { name: "stale", isNumber: true, cell: (it) => formatSize(it.stale_bytes) },
  { name: "connected", isNumber: true, cell: (it) => String(it.connections) },
];

const POOLS: readonly Column<PoolStats>[] = [
  { name: "pool", isNumber: true, cell: ({ id }) => String(id) },
  { name: "kind", cell: ({ kind }) => kind },
  { name: "export", className: "name", cell: (it) => it.export ?? "-" },
  { name: "pages", isNumber: true, cell: ({ pages }) => formatCount(pages) },
  { name: "size", isNumber: true, cell: ({ pages }) => formatSize(pages * PAGE_BYTES) },
  { name: "raw", isNumber: true, cell: (it) => formatCount(it.raw_pages) },
  { name: "lz4", isNumber: true, cell: (it) => formatCount(it.lz4_pages) },
  { name: "zstd", isNumber: true, cell: (it) => formatCount(it.zstd_pages) },
  {
    name: "zstd, dictionary",
    isNumber: true,
    cell: (it) => formatCount(it.zstd_dictionary_pages),
  },
];

const CODEC_TITLES = {
  raw: "raw",
  lz4: "lz4",
  zstd: "zstd",
  zstd_dictionary: "zstd with a dictionary",
} as const;

export function showTables({ exports, pools, codecs }: Overview): void {
  show("exports", "Block devices of this node", EXPORTS, exports, "This node has none.");
  show("pools", "Pools of this node", POOLS, pools, "This node has none.");
  const all = codecs.reduce((sum, { pages }) => sum + pages, 0);
  const columns: readonly Column<CodecUse>[] = [
    { name: "codec", cell: ({ name }) => CODEC_TITLES[name] },
    { name: "pages", isNumber: true, cell: ({ pages }) => formatCount(pages) },
    { name: "share", isNumber: true, cell: ({ pages }) => `${Math.round((100 * pages) / all)} %` },
    { name: "ratio", isNumber: true, cell: ({ ratio }) => ratio.toFixed(2) },
  ];
  show("codecs", "Pages of this node by codec", columns, codecs, "No page is compressed.");
}

function show<Row>(
  id: string,
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): void {
  replaceIfNew(byId(id), JSON.stringify(rows), () => [
    rows.length === 0 ? html("p", { class: "empty" }, [empty]) : table(caption, columns, rows),
  ]);
}
