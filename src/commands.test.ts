import { describe, expect, test } from "bun:test";
import { flagsOf } from "./cli/flag-spec.ts";
import { COMMANDS } from "./commands.ts";

describe("COMMANDS", () => {
  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    "%s has no flag twice, and none that cac would read as another",
    (_, command) => {
      const names = flagsOf(command).map((flag) => flag.name);
      expect(new Set(names).size).toBe(names.length);
      for (const name of names) expect(name).toMatch(/^(?!no-)[a-z]+(-[a-z]+)*$/);
    },
  );

  test("says for each flag what happens without it", () => {
    for (const flag of COMMANDS.flatMap(flagsOf)) {
      const answers = [flag.default, flag.defaultNote, flag.required || undefined];
      const given = answers.filter((it) => it !== undefined).length;
      expect(given).toBeLessThanOrEqual(1);
    }
  });

  test("prints JSON on demand, where a command prints a result", () => {
    // The log of a daemon has --log-format json, and completion prints a script.
    const without = ["node", "server", "completion"];
    const others = COMMANDS.filter(({ name }) => !without.includes(name));
    for (const command of others) {
      expect(`${command.name} ${flagsOf(command).some(({ name }) => name === "json")}`).toBe(
        `${command.name} true`,
      );
    }
  });

  test("explains in phrases without a full stop", () => {
    for (const text of COMMANDS.flatMap((it) => [it.summary, ...flagsOf(it).map((f) => f.help)])) {
      expect(text).not.toEndWith(".");
    }
  });
});
