import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../commands.ts";
import { ConfigError } from "../core/errors.ts";
import { parseArgs } from "./args.ts";

const FIXTURES = join(import.meta.dir, "../../fixtures/config");

/** Parses a command line whose --config FILE holds `text`, or is a fixture. */
function parse(line: string, text?: string) {
  const machine = {
    hostName: "pebble",
    environment: {},
    readText: (path: string) => text ?? readFileSync(join(FIXTURES, path), "utf8"),
  };
  return parseArgs(line.split(" "), machine, COMMANDS);
}

function refusal(text: string, line = "node --config f"): string {
  try {
    parse(line, text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).not.toContain("\n");
    return error.message;
  }
  throw new Error("nothing was refused");
}

const tcp = (port: number) => ({ kind: "tcp", host: "127.0.0.1", port });

describe("--config in TOML", () => {
  test("sets what the flags of the same names set", () => {
    expect(parse("node --config node.toml")).toMatchObject({
      command: "node",
      options: {
        name: "laptop",
        number: null,
        listen: tcp(7778),
        gossip: tcp(7947),
        seeds: [tcp(7946), tcp(7950)],
        memoryBytes: 256 * 1024 * 1024,
        target: "auto",
        selfshrink: false,
        highMarkPercent: 95,
        requestTimeoutMs: 1500,
        clients: [{ kind: "unix", path: "/run/ramster.sock" }],
      },
    });
  });

  test("the command line overrides the file", () => {
    expect(parse("node --config node.toml --memory 64MiB --join localhost:1")).toMatchObject({
      options: { name: "laptop", memoryBytes: 64 * 1024 * 1024, seeds: [{ host: "localhost" }] },
    });
  });

  test("lists are arrays or have commas, switches are true or false", () => {
    const text = 'join = "a:1,b:2"\ninsecure = true\nlisten = "0.0.0.0:1"\nnumber = 7';
    expect(parse("server --config f", text)).toMatchObject({
      options: { seeds: [{ host: "a" }, { host: "b" }], insecure: true, number: 7 },
    });
  });

  test.each([
    [
      'name = "a"\nmemroy = "1GiB"',
      'Cannot use "memroy" in "f", line 2: "node" has no such setting, did you mean "memory"?',
    ],
    [
      '\n\nmemory = "64MB"',
      'Cannot use memory "64MB" in "f", line 3: there is no unit "MB", write "64MiB"',
    ],
    ["memory = [1, 2]", 'Cannot use "memory" in "f", line 1: it takes one value, not a list'],
    ["insecure = 1", 'Cannot use "insecure" in "f", line 1: it is true or false'],
    [
      "[memory]\nsize = 1",
      'Cannot use "memory" in "f", line 1: it takes a string, a number, true or false',
    ],
    ['config = "g"', 'Cannot use "config" in "f", line 1: "node" has no such setting'],
    ["number = 1.5", 'Cannot use number "1.5" in "f", line 1: write a whole number'],
    ['join = ["a:1", "b"]', 'Cannot use join "b" in "f", line 1: no port, write "HOST:PORT"'],
  ])("%j is refused with file, line and key", (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  test("text that is not TOML, or a missing file, is refused in one line", () => {
    for (const [text, line] of [
      ["memory = = 5", 1],
      ["# comment\n\n\nmemory = 16MiB\nname = 'n'\n", 4],
      ["memory = 5\r\n\r\nmemory = 6\r\n", 3],
      ['join = [\n"a:1",\n"b:1"\nname = "n"\n', 4],
      ['name = "n', 1],
    ] as const) {
      const message = refusal(text);
      expect(message).toStartWith(`Cannot use --config "f", line ${line}: `);
      expect(message).not.toContain("\n");
    }
    expect(() => parse("node --config /nowhere/f")).toThrow(
      /^Cannot use --config "\/nowhere\/f": /,
    );
  });
});

test("a value without its quotes is shown with them", () => {
  expect(refusal("# comment\nmemory = 16MiB # much")).toEndWith(
    ', put it in quotes: memory = "16MiB"',
  );
  expect(refusal("listen = 10.0.0.2:7777")).toEndWith(
    ', put it in quotes: listen = "10.0.0.2:7777"',
  );
  expect(refusal('memory = "16MiB')).not.toContain("put it in quotes");
});

describe("--config in the original's form", () => {
  test.each([
    ["node --config ramster.conf --number 1 --gossip none", 1, "second", 7778, 0, 7777],
    ["node --config ramster.conf --name first --gossip none", 0, "first", 7777, 1, 7778],
  ])("%s finds itself and takes the others as peers", (line, number, name, port, other, at) => {
    expect(parse(line)).toMatchObject({
      options: {
        number,
        name,
        cluster: "ramster",
        listen: tcp(port),
        gossip: null,
        peers: [{ number: other, address: tcp(at) }],
      },
    });
  });

  const CONF = readFileSync(join(FIXTURES, "ramster.conf"), "utf8");

  test.each([
    [CONF, 'none of its nodes has the name "pebble"'],
    [
      CONF.replace("node_count = 2", "node_count = 3"),
      'Cannot use node_count "3" in "f", line 2: there are 2 nodes',
    ],
    [
      CONF.replace("ip_adress", "x").replace("ip_address", "ip_adress"),
      'Cannot use "ip_adress" in "f", line 7: a node has no such key, did you mean "ip_address"?',
    ],
    [CONF.replace("\tnumber = 0", "number = 0"), '"f", line 8: write "key = value", indented'],
    [
      CONF.replace("\tnumber = 0", "\tnumber = 0\n\tnumber = 0"),
      'Cannot use "number" in "f", line 9: it occurs twice',
    ],
  ])("an error names the line", (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  test("the cluster stanza has the times of a link, in milliseconds", () => {
    const text = CONF.replace(
      "cluster:\n",
      "cluster:\n\tidle_timeout_ms = 40000\n\tkeepalive_delay_ms = 3s\n\treconnect_delay_ms = 500\n",
    );
    expect(parse("node --config f --number 1 --gossip none", text)).toMatchObject({
      options: { number: 1, idleMs: 40_000, keepaliveMs: 3000, reconnectMs: 500 },
    });
    const wrong = text.replace("40000", "0");
    expect(refusal(wrong, "node --config f --number 1")).toBe(
      'Cannot use idle_timeout_ms "0ms" in "f", line 2: it must be at least 1ms',
    );
  });

  test("a node without an address is refused", () => {
    const text = CONF.replace("\tip_port = 7778\n", "");
    expect(refusal(text, "node --config f --number 1")).toContain("in line 12 has no ip_port");
  });
});
