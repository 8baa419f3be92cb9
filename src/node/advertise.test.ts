import { describe, expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { parseAddress, type TcpAddress } from "../net/address.ts";
import { type MachineNetwork, withAdvertised } from "./advertise.ts";
import { nodeConfig } from "./config.ts";

const tcp = (text: string): TcpAddress => parseAddress(text) as TcpAddress;

interface Given {
  listen?: string;
  gossip?: string;
  advertise?: string;
  join?: string[];
  addresses?: string[];
  names?: Record<string, string[]>;
  /** A host that no look-up finds. */
  unknown?: string;
  /** The source address for each target address. */
  routes?: Record<string, string>;
}

/** The host that is published instead of the wildcard. Empty when the settings do not change. */
async function hostOf(given: Given): Promise<string> {
  const network: MachineNetwork = {
    lookup: async (host) => {
      if (given.unknown === host) throw new ConfigError("BAD_CONFIG", `Cannot find "${host}"`);
      return given.names?.[host] ?? [host];
    },
    sourceTo: async ({ host }) => given.routes?.[host] ?? null,
    addresses: () => given.addresses ?? [],
  };
  const listen = given.listen ?? "0.0.0.0:7777";
  const config = nodeConfig({
    number: null,
    name: "n",
    insecure: true,
    listen: tcp(listen),
    gossip: tcp(given.gossip ?? listen.replace(/:\d+$/, ":7946")),
    advertise: given.advertise === undefined ? null : tcp(given.advertise),
    seeds: (given.join ?? []).map(tcp),
  });
  const result = await withAdvertised(config, network);
  expect(result.gossipAdvertise?.port ?? 0).toBe(0);
  return result.gossipAdvertise?.host ?? "";
}

describe("a node that listens on all addresses publishes", () => {
  test.each<[string, Given, string]>([
    ["the only one that its machine has", { addresses: ["10.9.0.1"] }, "10.9.0.1"],
    [
      "the one that the seeds see",
      {
        join: ["gone:7946", "seed:7946"],
        addresses: ["10.9.0.1", "172.17.0.1"],
        names: { gone: [], seed: ["10.9.0.5"] },
        routes: { "10.9.0.5": "10.9.0.1" },
      },
      "10.9.0.1",
    ],
    [
      "what a person says, by its address",
      { advertise: "here:7000", names: { here: ["10.9.0.7"] }, addresses: ["10.9.0.1"] },
      "10.9.0.7",
    ],
    ["where it takes pages", { listen: "10.9.0.3:7777", gossip: "0.0.0.0:7946" }, "10.9.0.3"],
    [
      "no loopback address, whatever seed is on its own machine",
      {
        join: ["127.0.0.1:7946"],
        routes: { "127.0.0.1": "127.0.0.1" },
        addresses: ["10.9.0.1"],
      },
      "10.9.0.1",
    ],
    [
      "one that the machine alone can use, when there is no other",
      { join: ["127.0.0.1:7946"], routes: { "127.0.0.1": "127.0.0.1" } },
      "127.0.0.1",
    ],
    [
      "no address that it does not listen on",
      { addresses: ["10.9.0.1", "2001:db8::1"] },
      "10.9.0.1",
    ],
    ["an IPv6 address", { listen: "[::]:7777", addresses: ["2001:db8::1"] }, "2001:db8::1"],
    ["an IPv4 address", { listen: "[::]:7777", addresses: ["10.9.0.1"] }, "10.9.0.1"],
    ["nothing else when it listens on one", { listen: "10.9.0.1:7777" }, ""],
  ])("%s", async (_, given, host) => {
    expect(await hostOf(given)).toBe(host);
  });

  test("nothing when several addresses are possible: the error says which flag to use", async () => {
    const addresses = ["10.9.0.1", "172.17.0.1"];
    await expect(hostOf({ addresses })).rejects.toThrow(
      'Cannot use --listen "0.0.0.0:7777": this machine has the addresses 10.9.0.1, 172.17.0.1: ' +
        "name the one that other nodes use, as in --advertise 10.9.0.1:7777",
    );
    await expect(hostOf({ listen: "0.0.0.0:0", gossip: "0.0.0.0:0", addresses })).rejects.toThrow(
      "as in --listen 10.9.0.1:0",
    );
  });

  test("nothing when the host of a seed is unknown: the error is about that host", async () => {
    const given = { join: ["lendr:7946"], unknown: "lendr", addresses: ["10.9.0.1", "172.17.0.1"] };
    await expect(hostOf(given)).rejects.toMatchObject({
      code: "ADDRESS_UNREACHABLE",
      message: 'Cannot find "lendr"',
    });
    expect(await hostOf({ ...given, addresses: ["10.9.0.1"] })).toBe("10.9.0.1");
  });

  test("nothing while the machine has no address: a later start may find one", async () => {
    await expect(hostOf({})).rejects.toMatchObject({ code: "CANNOT_LISTEN" });
  });

  test("no address of a name that it does not listen on", async () => {
    const names = { here: ["2001:db8::1"] };
    await expect(hostOf({ advertise: "here:7000", names })).rejects.toThrow("--gossip-advertise");
  });
});
