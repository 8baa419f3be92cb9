import { expect, test } from "bun:test";
import { Log, parseLogLevel } from "./log.ts";

function written(levels: string): string[] {
  const lines: string[] = [];
  const log = new Log((level, area) => void lines.push(`${area} ${level}`));
  log.setLevels(levels.split(",").filter(Boolean).map(parseLogLevel));
  for (const area of ["net", "doors"] as const) {
    for (const level of ["error", "warn", "info", "debug"] as const) log.write(level, area, "x");
  }
  return lines;
}

test("Log writes info and above, unless another level is set for an area or for all", () => {
  expect(written("")).toEqual([
    "net error",
    "net warn",
    "net info",
    "doors error",
    "doors warn",
    "doors info",
  ]);
  expect(written("error,net=debug")).toEqual([
    "net error",
    "net warn",
    "net info",
    "net debug",
    "doors error",
  ]);
  expect(written("net=debug,error")).toEqual(["net error", "doors error"]);
});

test("areaLevels() gives the levels in force", () => {
  const log = new Log(() => {});
  log.setLevels([parseLogLevel("warn"), parseLogLevel("net=debug")]);
  const levels = log.areaLevels().map(({ areas, level }) => `${areas}=${level}`);
  expect(levels.join()).toBe("cluster=warn,net=debug,ramster=warn,doors=warn");
});

test.each(["", "loud", "net=", "=debug", "nets=debug", "net=debug=info", "net"])(
  "parseLogLevel() refuses %p and says what to write",
  (text) => {
    expect(() => parseLogLevel(text)).toThrow(/^write LEVEL or AREA=LEVEL, of cluster, .*debug$/);
  },
);

test("a log line is one line without terminal sequences, whatever text is in it", () => {
  const lines: string[] = [];
  const log = new Log((_level, _area, line) => void lines.push(line));
  log.write("info", "net", 'node "a\r\nramster[0] net: link\u001b[2J\u009b1m\u202e" has joined');
  expect(lines).toEqual(['node "a ramster[0] net: link [2J 1m " has joined']);
});
