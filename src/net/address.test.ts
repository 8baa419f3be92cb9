import { describe, expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { formatAddress, parseAddress } from "./address.ts";

describe("parseAddress()", () => {
  const good = [
    ["127.0.0.1:7777", { kind: "tcp", host: "127.0.0.1", port: 7777 }, "127.0.0.1:7777"],
    ["tcp:127.0.0.1:0", { kind: "tcp", host: "127.0.0.1", port: 0 }, "127.0.0.1:0"],
    ["node-3.rack_1:65535", { kind: "tcp", host: "node-3.rack_1", port: 65535 }, null],
    ["[::1]:80", { kind: "tcp", host: "::1", port: 80 }, "[::1]:80"],
    ["tcp:[fe80::1%eth0]:80", { kind: "tcp", host: "fe80::1%eth0", port: 80 }, null],
    ["unix:/tmp/a b:c.sock", { kind: "unix", path: "/tmp/a b:c.sock" }, "unix:/tmp/a b:c.sock"],
    ["unix:near.sock", { kind: "unix", path: "near.sock" }, "unix:near.sock"],
  ] as const;
  for (const [text, address, formatted] of good) {
    test(`reads "${text}"`, () => {
      expect(parseAddress(text)).toEqual(address);
      if (formatted !== null) expect(formatAddress(parseAddress(text))).toBe(formatted);
      expect(parseAddress(formatAddress(parseAddress(text)))).toEqual(address);
    });
  }

  const wrong = [
    ["", "no port"],
    ["7777", "no port"],
    ["/run/node.sock", 'it is a path, write "unix:/run/node.sock" for a socket'],
    [":7777", "host is empty"],
    ["tcp::7777", "host is empty"],
    ["host:", "is not a port"],
    ["host:-1", "is not a port"],
    ["host:65536", "is not a port"],
    ["host:0x50", "is not a port"],
    ["host:8 0", "is not a port"],
    ["ho st:80", "is not a host name"],
    ["-host:80", "is not a host name"],
    ["http://host:80", "needs brackets"],
    ["256.0.0.1:80", "is not an IPv4 address"],
    ["1.2.3:80", "is not an IPv4 address"],
    ["::1:80", "needs brackets"],
    ["[::1:80", "bracket is not closed"],
    ["[host]:80", "is not an IPv6 address"],
    ["unix:", "path is empty"],
    ["unix:/a\0b", "zero byte"],
    [`unix:/${"x".repeat(107)}`, "longer than 107 bytes"],
    [`unix:/${"\u00e9".repeat(54)}`, "longer than 107 bytes"],
  ] as const;
  for (const [text, reason] of wrong) {
    test(`refuses ${JSON.stringify(text.slice(0, 30))}: ${reason}`, () => {
      let caught: unknown = null;
      try {
        parseAddress(text);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(ConfigError);
      expect((caught as ConfigError).code).toBe("BAD_CONFIG");
      expect((caught as ConfigError).message).toContain(reason);
      expect((caught as ConfigError).message).toStartWith(`Cannot use address "${text}": `);
    });
  }

  test("takes a socket path of exactly 107 bytes", () => {
    const path = `/${"x".repeat(106)}`;
    expect(parseAddress(`unix:${path}`)).toEqual({ kind: "unix", path });
  });
});
