import { expect, test } from "bun:test";
import { htmlReport } from "./html-report.ts";
import { STRESS_REPORT } from "./report-sample.ts";

const SAMPLES = [
  { at_s: 1, phase: "load", pages_per_second: 1000, put_p99_us: 10, get_p99_us: null },
  { at_s: 2, phase: "load", pages_per_second: 3000, put_p99_us: 20, get_p99_us: 1500 },
];
const MARKS = [
  { at_s: 1.2, kind: "fault", text: "killed node 3" },
  { at_s: 1.9, kind: "recovered", text: "all copies are there again after 0.7 s" },
] as const;

function html(): string {
  const report = { ...STRESS_REPORT, timeline: { samples: SAMPLES, marks: MARKS } };
  return htmlReport(report, 'ramster stress --data "<b>"');
}

test("the report has charts, marks for faults and recoveries, and the figures", () => {
  const text = html();
  expect(text.match(/<svg /g)).toHaveLength(2);
  expect(text.match(/class="mark fault"/g)).toHaveLength(2);
  expect(text.match(/class="mark recovered"/g)).toHaveLength(2);
  expect(text).toContain("<title>1.2 s: killed node 3</title>");
  expect(text).toContain('aria-label="Pages a second: pages a second at most 3000"');
  expect(text).toContain("put p99 at most 20us, get p99 at most 1.5ms");
  expect(text).toContain("wrong / lost");
});

test("what is typed or named is text, and nothing is loaded from elsewhere", () => {
  const text = html();
  expect(text).not.toContain("<b>");
  expect(text).not.toMatch(/<script|(?:src|href)=|url\(|https?:/);
});

test("a second without samples is a gap, not a zero", () => {
  const line = /class="line b" d="([^"]*)"/.exec(html())?.[1] ?? "";
  expect(line.match(/[ML]/g)).toEqual(["M"]);
});
