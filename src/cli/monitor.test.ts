import { expect, test } from "bun:test";
import { EventPrinter } from "./monitor.ts";

const NOW_MS = Date.parse("2026-06-01T12:00:00.000Z");

function event(number: number, ageMs: number) {
  return { number, kind: "died", text: `"b"\nis dead`, age_ms: ageMs } as const;
}

function printer(options: { json?: boolean; sinceMs?: number | null } = {}): EventPrinter {
  return new EventPrinter({ json: false, sinceMs: null, ...options }, () => NOW_MS);
}

test("a line has the time in ISO 8601, the kind and the text", () => {
  const lines = printer().lines({ boot_id: "1", events: [event(1, 1500)] });
  expect(lines).toEqual(['2026-06-01T11:59:58.500Z died      "b" is dead']);
});

test("a line of JSON has the number, too", () => {
  const [line = ""] = printer({ json: true }).lines({ boot_id: "1", events: [event(7, 0)] });
  const time = "2026-06-01T12:00:00.000Z";
  expect(JSON.parse(line)).toEqual({ time, number: 7, kind: "died", text: '"b" is dead' });
});

test("--since leaves out old events of the first answer alone", () => {
  const since = printer({ sinceMs: 1000 });
  const events = [event(1, 1001), event(2, 1000)];
  expect(since.lines({ boot_id: "1", events })).toHaveLength(1);
  expect(since.lastNumber).toBe(2);
  expect(since.lines({ boot_id: "1", events: [event(3, 5000)] })).toHaveLength(1);
});

test("after a restart of the node all of its events are new", () => {
  const restarted = printer({ sinceMs: 0 });
  restarted.lines({ boot_id: "1", events: [event(41, 5)] });
  expect(restarted.lastNumber).toBe(41);
  // The answer is to a request for events after the 41st.
  expect(restarted.lines({ boot_id: "2", events: [] })).toEqual([]);
  expect(restarted.lastNumber).toBe(0);
  expect(restarted.lines({ boot_id: "2", events: [event(1, 5)] })).toHaveLength(1);
});
