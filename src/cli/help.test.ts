import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../commands.ts";
import { helpText } from "./help.ts";
import { PLAIN, paintFor } from "./paint.ts";

describe("helpText()", () => {
  test("of all commands", () => {
    expect(helpText(null, COMMANDS, PLAIN)).toMatchSnapshot();
  });

  test.each(COMMANDS.map((command) => command.name))("of %s", (name) => {
    expect(helpText(name, COMMANDS, PLAIN)).toMatchSnapshot();
  });

  test("fits a terminal of 80 columns, except for the examples", () => {
    for (const about of [null, ...COMMANDS.map((command) => command.name)]) {
      const [body = ""] = helpText(about, COMMANDS, PLAIN).split("\nExamples\n");
      for (const line of body.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    }
  });

  test("has the same text in colour", () => {
    const coloured = helpText("node", COMMANDS, paintFor({ isTTY: true }, {}));
    expect(coloured).not.toBe(helpText("node", COMMANDS, PLAIN));
    expect(Bun.stripANSI(coloured)).toBe(helpText("node", COMMANDS, PLAIN));
  });
});

test("helpText() fits a narrower terminal, except for usage and examples", () => {
  const about = [null, "node", "swap"];
  for (const columns of [50, 70]) {
    for (const name of about) {
      const [body = ""] = helpText(name, COMMANDS, PLAIN, columns).split("\nExamples\n");
      const lines = body.split("\n").filter((line) => !/^ {2}(?:ramster|--)/.test(line));
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
  }
});
