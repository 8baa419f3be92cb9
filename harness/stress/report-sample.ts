/** A report of a stress run in which every number is as large as it may be, for tests. */
import { type NodeRow, type StressReport, sumLatencies } from "./report.ts";
import { noLatencies } from "./workload.ts";

const HUGE_ROW: NodeRow = {
  node: 127,
  target: 126,
  frames: 9_999_999,
  zpages: 9_999_999,
  remote: 99_999_999,
  foreign: 99_999_999,
  foreign_expected: 9_999_999,
  foreign_there: 99_999_999,
  remotified: 9_999_999_999,
  repatriated: 99_999,
  remote_gets: 999_999_999_999,
  bytes_sent: 2 ** 50,
};

export const STRESS_REPORT: StressReport = {
  pass: false,
  nodes: 128,
  seed: 4_294_967_295,
  seconds: 86_400,
  ops: { put: 99_999_999_999, get: 99_999_999_999, flush: 9_999_999_999 },
  pages_per_second: 999_999,
  refused: {
    compress_poor: 99_999_999,
    mean_compress_poor: 99_999_999,
    no_room: 99_999_999,
    unknown_pool: 9_999_999,
  },
  wrong: 1,
  lost: 2,
  unreachable: 3,
  remotified: 99_999_999_999,
  repatriated: 99_999_999_999,
  remote_gets: 99_999_999_999,
  compression_ratio: 2.31,
  bytes_on_wire: 2 ** 50,
  latency_us: sumLatencies([noLatencies()]),
  leaks: { frames: 9_999_999, remote: 9_999_999, foreign: 9_999_999 },
  owed_flushes: 9_999_999,
  timeline: { samples: [], marks: [] },
  examples: [
    `page 127/65535/4294967295 holds ${"ab".repeat(16)}..., expected generation 2147483647`,
  ],
  per_node: [HUGE_ROW],
};
