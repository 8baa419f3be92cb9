import { expect, test } from "bun:test";
import { nodeStats } from "../../harness/stress/node-stats.ts";
import { HISTORY_ROWS_DAY, HISTORY_ROWS_MINUTES } from "../core/monitoring-limits.ts";
import { HISTORY_COLUMNS, HISTORY_PERIODS_MS, History, type HistoryColumn } from "./history.ts";

/** A report each second. Each has put so many pages more. */
function filled(seconds: number, pagesASecond = 10): History {
  const history = new History();
  for (let second = 0; second <= seconds; second += 1) {
    const counters = { client_pages_put: second * pagesASecond };
    history.observe({ stats: nodeStats(1, { counters }), atMs: 1000 * second });
  }
  return history;
}

function column(rows: ReadonlyArray<ReadonlyArray<number | null>>, name: HistoryColumn) {
  return rows.map((row) => row[HISTORY_COLUMNS.indexOf(name)]);
}

test("a row has the rates since the row before, and its age", () => {
  const { last, rows } = filled(7).rowsAfter("minutes", 0, 9000);
  expect(last).toBe(3);
  expect(column(rows, "put")).toEqual([10, 10, 10]);
  expect(column(rows, "age_ms")).toEqual([7000, 5000, 3000]);
  expect(rows.every((row) => row.length === HISTORY_COLUMNS.length)).toBe(true);
});

test("a reader gets the rows that it has not got", () => {
  const history = filled(7);
  expect(history.rowsAfter("minutes", 2, 9000).rows).toHaveLength(1);
  expect(history.rowsAfter("minutes", 3, 9000)).toEqual({ last: 3, rows: [] });
});

test("a latency without requests is not 0", () => {
  const { rows } = filled(2).rowsAfter("minutes", 0, 2000);
  expect(column(rows, "get_p99_us")).toEqual([null]);
  expect(JSON.stringify(rows)).toContain("null");
});

test.each([
  ["minutes", HISTORY_ROWS_MINUTES, 10 * 60],
  ["day", HISTORY_ROWS_DAY, 24 * 60 * 60],
] as const)("the ring %s keeps its time, and no more", (ring, rowsMax, seconds) => {
  expect((rowsMax * HISTORY_PERIODS_MS[ring]) / 1000).toBe(seconds);
  const history = new History();
  const periodMs = HISTORY_PERIODS_MS[ring];
  for (let row = 0; row <= rowsMax + 5; row += 1) {
    const counters = { client_pages_put: (row * periodMs) / 1000 };
    history.observe({ stats: nodeStats(1, { counters }), atMs: row * periodMs });
  }
  const { last, rows } = history.rowsAfter(ring, 0, (rowsMax + 5) * periodMs);
  expect([last, rows.length]).toEqual([rowsMax + 5, rowsMax]);
  const ages = column(rows, "age_ms");
  expect([ages[0], ages.at(-1)]).toEqual([(rowsMax - 1) * periodMs, 0]);
  expect(new Set(column(rows, "put"))).toEqual(new Set([1]));
});
