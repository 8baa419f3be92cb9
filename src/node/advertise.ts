/**
 * The address that a node publishes when it listens on all addresses of its machine ("0.0.0.0" or
 * "[::]"). Other nodes cannot connect to these. The first of the following that exists is used:
 *
 *     --advertise            that address
 *     --listen, one address  page links go there, so gossip can too
 *     --join                 the address from which this machine sends to a seed
 *     neither                the address of this machine, if it has only one
 *
 * In doubt the node does not start, since with a wrong address other nodes would dial another
 * machine.
 */
import { ConfigError, RamsterError } from "../core/errors.ts";
import { formatAddress, isLoopback, type TcpAddress } from "../net/address.ts";
import { ipBytes, isWildcard } from "../net/ip.ts";
import type { NodeConfig } from "./config.ts";

/** What the operating system knows about the network. */
export interface MachineNetwork {
  /** The same as Transport.lookup. */
  lookup(host: string): Promise<string[]>;
  /** The address from which this machine sends to another one. Null without a route. */
  sourceTo(address: TcpAddress): Promise<string | null>;
  /** The addresses of this machine, without loopback and link-local ones. */
  addresses(): string[];
}

/**
 * Returns the settings with the gossip address to publish. Port 0 stands for the port of gossip.
 * Rejects with ConfigError BAD_CONFIG when several addresses are possible, with CANNOT_LISTEN when
 * there is none, and with ADDRESS_UNREACHABLE when a host of --join is not found.
 */
export async function withAdvertised(
  config: NodeConfig,
  network: MachineNetwork,
): Promise<NodeConfig> {
  const { gossip, gossipAdvertise } = config;
  if (gossip === null || gossipAdvertise !== null || !isWildcard(gossip.host)) return config;
  const host = await hostToTell(config, gossip, network);
  return { ...config, gossipAdvertise: { kind: "tcp", host, port: 0 } };
}

async function hostToTell(
  { advertise, listen, seeds }: NodeConfig,
  gossip: TcpAddress,
  network: MachineNetwork,
): Promise<string> {
  const fits = (host: string): boolean => hears(gossip.host, host);
  if (advertise !== null) {
    const host = (await network.lookup(advertise.host)).find(fits);
    if (host !== undefined) return host;
    throw refuse("advertise", advertise, "gossip does not listen there: write --gossip-advertise");
  }
  if (ipBytes(listen.host) !== null && !isWildcard(listen.host)) return listen.host;
  const { source, failure } = await sourceToSeed(seeds, fits, network);
  if (source !== null && !isLoopback(source)) return source;
  const hosts = network.addresses().filter(fits);
  // The seed would have decided between several addresses.
  if (failure !== null && hosts.length > 1) {
    throw new RamsterError("ADDRESS_UNREACHABLE", failure.message, { cause: failure });
  }
  return onlyAddress({ listen, source, hosts });
}

/** The own address that the first seed with a route to it sees. `failure`: of a look-up. */
async function sourceToSeed(
  seeds: readonly TcpAddress[],
  fits: (host: string) => boolean,
  network: MachineNetwork,
): Promise<{ source: string | null; failure: ConfigError | null }> {
  let failure: ConfigError | null = null;
  for (const seed of seeds) {
    const hosts = await network.lookup(seed.host).catch((error: unknown) => {
      if (!(error instanceof ConfigError)) throw error;
      failure ??= error;
      return [];
    });
    for (const host of hosts.filter(fits)) {
      const source = await network.sourceTo({ ...seed, host });
      if (source !== null) return { source, failure: null };
    }
  }
  return { source: null, failure };
}

/** `source` is null, or an address that only nodes of this machine can use. */
function onlyAddress(candidates: {
  listen: TcpAddress;
  source: string | null;
  hosts: readonly string[];
}): string {
  const { listen, source, hosts } = candidates;
  const [host] = hosts;
  if (host !== undefined && hosts.length === 1) return host;
  if (host === undefined && source !== null) return source;
  if (host === undefined) {
    const where = `Cannot use --listen "${formatAddress(listen)}"`;
    const detail = "this machine has no address that other nodes could use";
    throw new RamsterError("CANNOT_LISTEN", `${where}: ${detail}`);
  }
  const it = { ...listen, host };
  const example =
    listen.port === 0 ? `--listen ${formatAddress(it)}` : `--advertise ${formatAddress(it)}`;
  const many = `this machine has the addresses ${hosts.join(", ")}`;
  throw refuse("listen", listen, `${many}: name the one that other nodes use, as in ${example}`);
}

/** Whether a socket on `wildcard` receives what is sent to `host`. "::" takes IPv4 as well. */
function hears(wildcard: string, host: string): boolean {
  return wildcard.includes(":") || !host.includes(":");
}

function refuse(flag: string, address: TcpAddress, detail: string): ConfigError {
  const text = formatAddress(address);
  return new ConfigError("BAD_CONFIG", `Cannot use --${flag} "${text}": ${detail}`);
}
