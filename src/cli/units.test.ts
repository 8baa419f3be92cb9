import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ConfigError } from "../core/errors.ts";
import {
  badValue,
  parseChoice,
  parseCount,
  parseDuration,
  parseRatio,
  parseSize,
} from "./units.ts";

const MIX = ["put", "get", "flush"] as const;

function size(text: string): number {
  return parseSize({ flag: "memory", text });
}

function duration(text: string): number {
  return parseDuration({ flag: "idle", text });
}

/** The message of the error, which must be a ConfigError on one line. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { code, message } = error as ConfigError;
    expect(code).toBe("BAD_CONFIG");
    expect(message).not.toContain("\n");
    expect(message.endsWith(".")).toBe(false);
    return message;
  }
  throw new Error("nothing was refused");
}

describe("parseSize()", () => {
  test.each([
    ["4096", 4096],
    ["0", 0],
    ["12B", 12],
    ["64KiB", 65_536],
    ["64MiB", 67_108_864],
    ["64mib", 67_108_864],
    ["1GiB", 1_073_741_824],
    ["1.5GiB", 1_610_612_736],
    ["2TiB", 2_199_023_255_552],
    ["0.1KiB", 102],
  ])("reads %p as %p bytes", (text, bytes) => {
    expect(size(text)).toBe(bytes);
  });

  test.each([
    "",
    " ",
    "MiB",
    "-1",
    "+1",
    "1 MiB",
    "1e3",
    "0x10",
    "1_000",
    "1,5GiB",
    ".5GiB",
    "5.GiB",
    "1..5GiB",
    "NaN",
    "Infinity",
    "1.5",
    "64MiBs",
    "1MiB\n",
  ])("refuses %p", (text) => {
    expect(refusal(() => size(text))).toStartWith(`Cannot use --memory ${JSON.stringify(text)}: `);
  });

  test("says what to write instead of a unit of another kind", () => {
    expect(refusal(() => size("64MB"))).toBe(
      'Cannot use --memory "64MB": there is no unit "MB", write "64MiB"',
    );
    expect(refusal(() => size("2g"))).toContain('write "2GiB"');
    expect(refusal(() => size("1x"))).toContain("take one of B, KiB, MiB, GiB, TiB");
  });

  test("refuses what is out of bounds and names the bound", () => {
    const bounds = { min: 1_048_576, max: 2_097_152 };
    const given = (text: string) => ({ flag: "memory", text });
    expect(parseSize(given("1MiB"), bounds)).toBe(1_048_576);
    expect(parseSize(given("2MiB"), bounds)).toBe(2_097_152);
    expect(refusal(() => parseSize(given("1023KiB"), bounds))).toBe(
      'Cannot use --memory "1023KiB": it must be at least 1MiB',
    );
    expect(refusal(() => parseSize(given("3MiB"), bounds))).toContain("at most 2MiB");
    expect(refusal(() => size("9".repeat(400)))).toContain("at most 8192TiB");
  });
});

describe("parseDuration()", () => {
  test.each([
    ["500ms", 500],
    ["0ms", 0],
    ["2s", 2000],
    ["1.5s", 1500],
    ["1.1s", 1100],
    ["1m", 60_000],
    ["0.25h", 900_000],
    ["2S", 2000],
  ])("reads %p as %p milliseconds", (text, ms) => {
    expect(duration(text)).toBe(ms);
  });

  test.each(["", "s", "-1s", "1 s", "1d", "0.5ms", "1.0001s", "1e3ms", "soon"])(
    "refuses %p",
    (text) => {
      expect(refusal(() => duration(text))).toStartWith(
        `Cannot use --idle ${JSON.stringify(text)}: `,
      );
    },
  );

  test("asks for the unit when it is missing", () => {
    expect(refusal(() => duration("2"))).toBe(
      'Cannot use --idle "2": the unit is missing, write "2ms" or "2s"',
    );
  });
});

test("a duration of 0 that is too short needs no unit", () => {
  const zero = { flag: "idle", text: "0" };
  expect(refusal(() => parseDuration(zero, { min: 1, max: 9 }))).toContain("at least 1ms");
});

describe("parseCount()", () => {
  test("reads whole numbers and nothing else", () => {
    expect(parseCount({ flag: "nodes", text: "8" })).toBe(8);
    expect(parseCount({ flag: "nodes", text: "007" })).toBe(7);
    for (const text of ["", "-", "1.5", "1e3", "0x8", "8 ", "eight"]) {
      expect(refusal(() => parseCount({ flag: "nodes", text }))).toContain("write a whole number");
    }
  });

  test("keeps to its bounds", () => {
    const bounds = { min: 2, max: 128 };
    expect(refusal(() => parseCount({ flag: "nodes", text: "1" }, bounds))).toContain("at least 2");
    expect(refusal(() => parseCount({ flag: "nodes", text: "129" }, bounds))).toContain(
      "at most 128",
    );
  });
});

describe("parseRatio()", () => {
  test("reads as many parts as there are names", () => {
    expect(parseRatio({ flag: "mix", text: "60:30:10" }, MIX)).toEqual([60, 30, 10]);
    expect(parseRatio({ flag: "mix", text: "0:1:0" }, MIX)).toEqual([0, 1, 0]);
  });

  test("shows the form when the text has another", () => {
    for (const text of [
      "",
      "1:2",
      "1:2:3:4",
      "a:b:c",
      "1::2",
      "-1:1:1",
      "1.5:1:1",
      "1000000:1:1",
    ]) {
      expect(refusal(() => parseRatio({ flag: "mix", text }, MIX))).toBe(
        `Cannot use --mix "${text}": write 3 whole numbers as "put:get:flush"`,
      );
    }
  });

  test("refuses a mix of nothing", () => {
    expect(refusal(() => parseRatio({ flag: "mix", text: "0:0:0" }, MIX))).toContain("all parts");
  });
});

describe("parseChoice()", () => {
  test("takes one of the words and lists them otherwise", () => {
    expect(parseChoice({ flag: "codec", text: "raw" }, ["lz4", "raw"])).toBe("raw");
    expect(refusal(() => parseChoice({ flag: "codec", text: "LZ4" }, ["lz4", "raw"]))).toBe(
      'Cannot use --codec "LZ4": take one of lz4, raw',
    );
  });
});

describe("badValue()", () => {
  test("stays on one line whatever the text is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(badValue({ flag: "memory", text }, "it is odd").message).not.toMatch(/[\n\r]/);
      }),
    );
  });
});
