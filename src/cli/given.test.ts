import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../commands.ts";
import { parseArgs } from "./args.ts";

const MACHINE = { hostName: "pebble", readText: () => "" };

describe("variables of the environment", () => {
  const parseWith = (line: string, environment: Record<string, string>) => {
    return parseArgs(line.split(" "), { ...MACHINE, environment }, COMMANDS);
  };
  const variables = { RAMSTER_CLIENT: "unix:/a", RAMSTER_KEY: "/k", RAMSTER_LISTEN: "nonsense" };

  test("say how to reach a node, where flags do not", () => {
    expect(parseWith("drain", variables)).toMatchObject({
      options: { client: { kind: "unix", path: "/a" }, keyPath: "/k" },
    });
    expect(parseWith("drain --client unix:/b", variables)).toMatchObject({
      options: { client: { kind: "unix", path: "/b" }, keyPath: "/k" },
    });
  });

  test("are named by an error, and count as none when they are empty", () => {
    expect(() => parseWith("drain", { RAMSTER_CLIENT: "/run/a" })).toThrow(
      /^Cannot use RAMSTER_CLIENT="\/run\/a" of the environment: /,
    );
    expect(parseWith("drain", { RAMSTER_CLIENT: "" })).toMatchObject({
      options: { client: { kind: "local", name: null } },
    });
  });
});
