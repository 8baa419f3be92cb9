import { expect, test } from "bun:test";
import { Timeline } from "./timeline.ts";
import { noLatencies } from "./workload.ts";

test("a sample a second has the rate and the latencies of that second", () => {
  const timeline = new Timeline();
  const latencies = noLatencies();
  timeline.start(5000);
  timeline.observe(5900, "load", 1, [latencies]);
  expect(timeline.samples).toEqual([]);
  latencies.batch_put.add(100);
  timeline.observe(6000, "load", 500, [latencies]);
  latencies.batch_put.add(1000);
  timeline.observe(8000, "load", 700, [latencies]);
  expect(timeline.samples.map((it) => [it.at_s, it.pages_per_second])).toEqual([
    [1, 500],
    [3, 100],
  ]);
  const [first, second] = timeline.samples;
  expect(first?.put_p99_us).toBeCloseTo(100, -1);
  expect(second?.put_p99_us).toBeCloseTo(1000, -2);
  expect(second?.get_p99_us).toBeNull();
  expect(timeline.rate).toBe(100);
});

test("marks have their time, and are told at once", () => {
  const timeline = new Timeline();
  const told: string[] = [];
  timeline.onMark = ({ text }) => told.push(text);
  timeline.start(1000);
  timeline.mark(3456, "fault", "kill of node 3");
  expect(timeline.marks).toEqual([{ at_s: 2.5, kind: "fault", text: "kill of node 3" }]);
  expect(told).toEqual(["kill of node 3"]);
});
