import { describe, expect, test } from "bun:test";
import { PLAIN, paintFor } from "./paint.ts";

const RED = "\u001b[31mlost\u001b[39m";

describe("paintFor()", () => {
  test("colours a terminal", () => {
    expect(paintFor({ isTTY: true }, {}).bad("lost")).toBe(RED);
  });

  test("leaves files and pipes alone", () => {
    expect(paintFor({ isTTY: false }, {})).toBe(PLAIN);
    expect(paintFor({}, {}).bad("lost")).toBe("lost");
  });

  test("honours NO_COLOR and a dumb terminal", () => {
    expect(paintFor({ isTTY: true }, { NO_COLOR: "1" })).toBe(PLAIN);
    expect(paintFor({ isTTY: true }, { NO_COLOR: "1", FORCE_COLOR: "1" })).toBe(PLAIN);
    expect(paintFor({ isTTY: true }, { TERM: "dumb" })).toBe(PLAIN);
    expect(paintFor({ isTTY: true }, { NO_COLOR: "" }).bad("lost")).toBe(RED);
  });

  test("colours a pipe that asks for it", () => {
    expect(paintFor({}, { FORCE_COLOR: "1" }).bad("lost")).toBe(RED);
    expect(paintFor({ isTTY: true }, { FORCE_COLOR: "0" })).toBe(PLAIN);
  });
});
