import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { LogCounters } from "../core/log.ts";
import type { LogArea } from "../core/log-line.ts";
import { LogWriter } from "./log-writer.ts";
import { Output } from "./output.ts";

const LINE = 'link to "n1" is up';

interface Shown {
  number: number | null;
  area: LogArea;
  isForJournal: boolean;
}

function line(log: "text" | "json", level: "info" | "warn", more: Partial<Shown> = {}): string {
  const { number = 3, area = "net", isForJournal = false } = more;
  let text = "";
  const write = (bytes: Uint8Array): number => {
    text += Buffer.from(bytes).toString();
    return bytes.byteLength;
  };
  const sink = { chunkBytesMax: 4096, isBusy: false, write, writeLast: write };
  const output = new Output(() => sink, new SimClock());
  const who = () => ({ number, name: "n3" });
  const writer = new LogWriter({ log, isForJournal }, who, output, new LogCounters());
  writer.write(level, area, LINE);
  return text.trimEnd();
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

test("as text, with the time, the name of the node, and the level where it is not info", () => {
  expect(line("text", "info")).toMatch(TIME);
  expect(line("text", "info").replace(TIME, "")).toBe(`ramster[n3] net: ${LINE}`);
  const early = line("text", "warn", { number: null });
  expect(early.replace(TIME, "")).toBe(`ramster[n3] net warn: ${LINE}`);
});

test("as text, without the area that has the name of the program", () => {
  const area = "ramster";
  expect(line("text", "info", { area }).replace(TIME, "")).toBe(`ramster[n3]: ${LINE}`);
  expect(line("text", "warn", { area }).replace(TIME, "")).toBe(`ramster[n3] warn: ${LINE}`);
});

test("as text for the journal, with the priority instead of the time", () => {
  const isForJournal = true;
  expect(line("text", "info", { isForJournal })).toBe(`<6>ramster[n3] net: ${LINE}`);
  expect(line("text", "warn", { isForJournal })).toBe(`<4>ramster[n3] net warn: ${LINE}`);
});

test("as JSON, one object a line, with the time", () => {
  const { time, ...rest } = JSON.parse(line("json", "info"));
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const who = { node: 3, name: "n3" };
  expect(rest).toEqual({ level: "info", area: "net", ...who, line: LINE });
});
