import { describe, expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { formatAddress, type TcpAddress } from "../net/address.ts";
import { checkNodeConfig, type NodeSettings, nodeConfig, settingsOf } from "./config.ts";

const BASE: NodeSettings = { number: 1, name: "left" };

function tcp(port: number): TcpAddress {
  return { kind: "tcp", host: "127.0.0.1", port };
}

function refusal(settings: Partial<NodeSettings>): string {
  try {
    nodeConfig({ ...BASE, ...settings });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error("nothing was refused");
}

describe("nodeConfig()", () => {
  test("has a default for everything but number and name", () => {
    const config = nodeConfig(BASE);
    expect(config).toMatchObject({
      role: "node",
      cluster: "ramster",
      listen: tcp(7777),
      memoryBytes: 67_108_864,
      lendBytes: 0,
      target: "auto",
      highMarkPercent: 90,
      lowMarkPercent: 80,
      remotifyEph: false,
      remotifyPers: true,
      trickleFrames: 0,
      persZpageBytesMax: 3584,
      persZpageMeanBytes: 2560,
      requestTimeoutMs: 2000,
      keepaliveMs: 2000,
      idleMs: 30_000,
      reconnectMs: 1000,
      selfshrinkIntervalMs: 5000,
      selfshrinkHysteresis: 20,
      selfshrinkInertia: 3,
      codec: "auto",
    });
    expect(() => checkNodeConfig(config)).not.toThrow();
  });

  test("makes a server of a node without memory of its own", () => {
    const config = nodeConfig({ ...BASE, role: "server" });
    expect(config).toMatchObject({ memoryBytes: 0, lendBytes: 1_073_741_824 });
    expect(refusal({ role: "server", memoryBytes: 1_048_576 })).toContain("--memory");
    expect(refusal({ role: "server", lendBytes: 4096 })).toStartWith(
      'Cannot use --memory "4096": it must be a whole number, 1048576 .. ',
    );
    expect(refusal({ role: "server", target: 2 })).toContain("a server has no target");
    expect(refusal({ role: "server", seal: true })).toContain("no page leaves a server");
  });

  test("takes both ends of every bound and nothing beyond", () => {
    const bounded = settingsOf("node").filter(([, { type }]) => type.bounds !== undefined);
    expect(bounded.length).toBeGreaterThan(20);
    for (const [key, { flag, type }] of bounded) {
      const { min = 0, max = 0 } = type.bounds ?? {};
      for (const value of [min - 1, max + 1, min + 0.5, Number.NaN]) {
        expect(refusal({ [key]: value })).toStartWith(
          `Cannot use --${flag} "${value}": it must be`,
        );
      }
    }
    const wide = { highMarkPercent: 100, lowMarkPercent: 0, number: 1022, target: 0 };
    expect(() => nodeConfig({ ...BASE, ...wide })).not.toThrow();
  });

  test("refuses settings that contradict each other", () => {
    expect(refusal({ lowMarkPercent: 91 })).toContain("--high-mark");
    expect(refusal({ persZpageMeanBytes: 3585 })).toContain("--pers-zpage-max");
    expect(refusal({ keepaliveMs: 30_000 })).toContain("--idle");
    expect(refusal({ target: 1 })).toContain("the number of this node");
  });

  test("refuses unreadable names", () => {
    for (const name of ["", "x".repeat(65), "é".repeat(33), "a\nb", "\u0000", "\ud800"]) {
      expect(refusal({ name })).toStartWith("Cannot use --name ");
      expect(refusal({ cluster: name })).toStartWith("Cannot use --cluster ");
    }
    expect(() => nodeConfig({ ...BASE, name: "é".repeat(32) })).not.toThrow();
  });

  test("refuses block devices that no client, or every client, could use", () => {
    const nbd = [tcp(10809)];
    const exports = [{ name: "swap", byteCount: 8192 }];
    expect(() => nodeConfig({ ...BASE, nbd, exports })).not.toThrow();
    expect(refusal({ nbd })).toContain("add --export");
    expect(refusal({ exports })).toContain("add --nbd");
    expect(refusal({ nbd, exports: [...exports, ...exports] })).toContain(
      "two exports have that name",
    );
    for (const byteCount of [0, 4097, 2 ** 44 + 4096]) {
      const bad = refusal({ nbd, exports: [{ name: "swap", byteCount }] });
      expect(bad).toContain("a multiple of 4096");
    }
    expect(refusal({ nbd, exports: [{ name: "", byteCount: 4096 }] })).toContain("it is empty");
    expect(refusal({ nbd, exports: [{ name: "none", byteCount: 4096 }] })).toBe(
      'Cannot use --export "none": "none" is reserved for no export',
    );
    expect(refusal({ nbd: [tcp(7777)], exports })).toContain("this node uses that address already");
    const many = Array.from({ length: 65 }, (_, i) => ({ name: `${i}`, byteCount: 4096 }));
    expect(refusal({ nbd, exports: many })).toContain("at most 64 exports");
    const anywhere = [{ kind: "tcp", host: "10.0.0.1", port: 10809 }] as const;
    expect(refusal({ nbd: anywhere, exports })).toContain("use --key, or --insecure");
  });

  test("refuses impossible peers", () => {
    const peer = (number: number, port: number) => ({ number, address: tcp(port) });
    expect(refusal({ peers: [peer(1, 1)] })).toContain("the number of this node");
    expect(refusal({ peers: [peer(2, 1), peer(2, 2)] })).toContain("node 2 occurs twice");
    expect(refusal({ peers: [peer(2, 1), peer(3, 1)] })).toContain("the same address");
    expect(refusal({ peers: [peer(2, 0)] })).toContain("port 0");
    expect(refusal({ peers: [peer(1023, 1)] })).toContain("node numbers are 0 .. 1022");
    expect(refusal({ peers: [peer(2, 7777)] })).toContain("this node listens there");
  });

  test("refuses to join other machines with an address that they cannot reach", () => {
    const at = (host: string, port: number) => ({ kind: "tcp", host, port }) as const;
    const joining = (host: string, here: string): Partial<NodeSettings> => ({
      keyPath: "cluster.key",
      seeds: [tcp(7946), at(host, 7946)],
      listen: at(here, 7777),
      gossip: at(here, 7946),
    });
    for (const host of ["10.0.0.1", "fd00::1", "lender"]) {
      const who = `the nodes at --join ${formatAddress(at(host, 7946))} cannot connect there`;
      expect(refusal(joining(host, "127.0.0.1"))).toBe(
        `Cannot use --listen "127.0.0.1:7777": ${who}, use this machine's address`,
      );
      expect(refusal({ ...joining(host, "10.0.0.2"), gossip: at("::1", 7946) })).toStartWith(
        'Cannot use --gossip "[::1]:7946": ',
      );
      expect(() => nodeConfig({ ...BASE, ...joining(host, "10.0.0.2") })).not.toThrow();
      const outer = joining(host, "10.0.0.2");
      expect(refusal({ ...outer, advertise: at("::1", 7) })).toStartWith(
        'Cannot use --advertise "[::1]:7": ',
      );
      expect(refusal({ ...outer, gossipAdvertise: at("::1", 7) })).toStartWith(
        'Cannot use --gossip-advertise "[::1]:7": ',
      );
      const [advertise, gossipAdvertise] = [at("10.0.0.2", 7777), at("10.0.0.2", 7946)];
      const forwarded = { ...joining(host, "127.0.0.1"), advertise, gossipAdvertise };
      expect(() => nodeConfig({ ...BASE, ...forwarded })).not.toThrow();
    }
    expect(() => nodeConfig({ ...BASE, ...joining("localhost", "127.0.0.1") })).not.toThrow();
  });

  test("names --listen where the address of gossip follows from it", () => {
    expect(refusal({ listen: tcp(7946), gossip: tcp(7946) })).toBe(
      'Cannot use --listen "127.0.0.1:7946": gossip takes that address: ' +
        "use another port, or name one with --gossip",
    );
    expect(refusal({ listen: tcp(7777), gossip: tcp(7777) })).toStartWith("Cannot use --gossip ");
  });

  test("refuses client addresses that are taken", () => {
    const unix = { kind: "unix", path: "/run/r.sock" } as const;
    expect(refusal({ clients: [unix, unix] })).toContain('--client "unix:/run/r.sock"');
    expect(refusal({ clients: [tcp(7777)] })).toContain("this node uses that address");
    expect(refusal({ clients: Array.from({ length: 17 }, () => tcp(0)) })).toContain("at most 16");
    expect(() => nodeConfig({ ...BASE, clients: [tcp(0), tcp(0), unix] })).not.toThrow();
  });
});
