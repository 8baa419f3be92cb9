import { expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { LogCounters } from "../core/log.ts";
import { LogWriter } from "./log-writer.ts";
import { Output } from "./output.ts";

function line(format: "text" | "json", number: number | null, level: "info" | "warn"): string {
  let text = "";
  const write = (bytes: Uint8Array): number => {
    text += Buffer.from(bytes).toString();
    return bytes.byteLength;
  };
  const sink = { chunkBytesMax: 4096, isBusy: false, write, writeLast: write };
  const output = new Output(() => sink, new SimClock());
  const who = () => ({ number, name: "n3" });
  new LogWriter(format, who, output, new LogCounters()).write(level, "net", "link to node 1 is up");
  return text.trimEnd();
}

test("as text, with the level where it is not info, and the name until there is a number", () => {
  expect(line("text", 3, "info")).toBe("ramster[3] net: link to node 1 is up");
  expect(line("text", null, "warn")).toBe("ramster[n3] net warn: link to node 1 is up");
});

test("as JSON, one object a line, with the time", () => {
  const { time, ...rest } = JSON.parse(line("json", 3, "info"));
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const who = { node: 3, name: "n3" };
  expect(rest).toEqual({ level: "info", area: "net", ...who, line: "link to node 1 is up" });
});
