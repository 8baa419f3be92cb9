import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { LogCounters } from "../core/log.ts";
import type { LogArea } from "../core/log-line.ts";
import { LogWriter } from "./log-writer.ts";
import { Output } from "./output.ts";

interface Shown {
  number: number | null;
  area: LogArea;
  showsTime: boolean;
}

function line(log: "text" | "json", level: "info" | "warn", more: Partial<Shown> = {}): string {
  const { number = 3, area = "net", showsTime = false } = more;
  let text = "";
  const write = (bytes: Uint8Array): number => {
    text += Buffer.from(bytes).toString();
    return bytes.byteLength;
  };
  const sink = { chunkBytesMax: 4096, isBusy: false, write, writeLast: write };
  const output = new Output(() => sink, new SimClock());
  const who = () => ({ number, name: "n3" });
  const writer = new LogWriter({ log, showsTime }, who, output, new LogCounters());
  writer.write(level, area, "link to node 1 is up");
  return text.trimEnd();
}

test("as text, with the name of the node, and the level where it is not info", () => {
  expect(line("text", "info")).toBe("ramster[n3] net: link to node 1 is up");
  expect(line("text", "warn", { number: null })).toBe("ramster[n3] net warn: link to node 1 is up");
});

test("as text, without the area that has the name of the program", () => {
  expect(line("text", "info", { area: "ramster" })).toBe("ramster[n3]: link to node 1 is up");
  expect(line("text", "warn", { area: "ramster" })).toBe("ramster[n3] warn: link to node 1 is up");
});

test("as text, with the time where a person reads it", () => {
  const text = line("text", "info", { showsTime: true });
  expect(text).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ramster\[n3\] net: link to node 1 is up$/);
});

test("as JSON, one object a line, with the time", () => {
  const { time, ...rest } = JSON.parse(line("json", "info"));
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const who = { node: 3, name: "n3" };
  expect(rest).toEqual({ level: "info", area: "net", ...who, line: "link to node 1 is up" });
});
