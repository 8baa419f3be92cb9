import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../commands.ts";
import { ConfigError } from "../../core/errors.ts";
import { parseArgs } from "../args.ts";

const MACHINE = { hostName: "pebble", environment: {}, readText: () => "" };

function parse(line: string) {
  return parseArgs(line.split(" "), MACHINE, COMMANDS);
}

describe("readSwap()", () => {
  test("reads what each action of swap takes", () => {
    const client = { kind: "local", name: null } as const;
    const at = { nbd: { kind: "unix", path: "/a" }, exportName: "x" };
    const options = (line: string): unknown => (parse(line) as { options: unknown }).options;
    expect(options("swap on --nbd unix:/a --export x --device /dev/nbd3 --priority 7")).toEqual({
      action: "on",
      json: false,
      ...at,
      device: "/dev/nbd3",
      priority: 7,
      client,
    });
    expect(options("swap on --nbd unix:/a --export x")).toMatchObject({
      device: null,
      priority: 100,
    });
    expect(options("swap off --nbd unix:/a --export x,y")).toEqual({
      action: "off",
      json: false,
      nbd: at.nbd,
      exportNames: ["x", "y"],
      device: null,
      force: false,
      client,
    });
    expect(options("swap off --device /dev/nbd0 --force")).toEqual({
      action: "off",
      json: false,
      device: "/dev/nbd0",
      force: true,
      client,
    });
    expect(options("swap status --json")).toEqual({ action: "status", json: true });
    const rotate = "swap rotate --nbd unix:/a --export x,y --client unix:/c";
    expect(options(`${rotate} --stale 30% --rate 8MiB`)).toEqual({
      action: "rotate",
      json: false,
      nbd: { kind: "unix", path: "/a" },
      exportNames: ["x", "y"],
      client: { kind: "unix", path: "/c" },
      keyPath: null,
      stalePercent: 30,
      bytesPerSecond: 8 * 1024 * 1024,
    });
    expect(options(rotate)).toMatchObject({ stalePercent: 50, bytesPerSecond: 64 * 1024 * 1024 });
  });

  test.each([
    ["swap on --nbd unix:/a", 'Cannot run "swap on" without --nbd and --export'],
    ["swap off --export x", 'Cannot run "swap off" without --nbd and --export, or --device'],
    [
      "swap on --nbd /a --export x",
      'Cannot use --nbd "/a": it is a path, write "unix:/a" for a socket',
    ],
    ["swap on --nbd unix:/a --export=", 'Cannot use --export "": the name is empty'],
    [
      "swap on --nbd unix:/a --export swap=8GiB",
      'Cannot use --export "swap=8GiB": write its name alone, "swap"',
    ],
    [
      "swap rotate --nbd unix:/a --export x --client unix:/c",
      'Cannot use --export "x": write the names of two exports, as in swap,fresh',
    ],
    [
      "swap rotate --nbd unix:/a --client unix:/c",
      'Cannot run "swap rotate" without --nbd and --export',
    ],
    [
      "swap on --nbd unix:/a --export x,y",
      'Cannot use --export "x,y": one export at a time is switched on',
    ],
    ["swap on --nbd unix:/a --export x --stale 50%", 'Cannot use --stale with "swap on"'],
    ["swap status --nbd unix:/a", 'Cannot use --nbd with "swap status"'],
    ["swap off --device /dev/nbd0 --priority 1", 'Cannot use --priority with "swap off"'],
    [
      "swap off --device /dev/nbd0 --export a",
      'Cannot run "swap off" with --nbd or --export beside --device: take one',
    ],
    ["swap off --device nbd0", 'Cannot use --device "nbd0": write /dev/nbdN'],
    [
      "swap on --nbd unix:/a --export x --priority 32768",
      'Cannot use --priority "32768": it must be at most 32767',
    ],
  ])("refuses %p", (line, message) => {
    expect(() => parse(line)).toThrow(new ConfigError("BAD_CONFIG", message));
  });
});
