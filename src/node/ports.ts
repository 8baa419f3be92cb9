/**
 * Ports of a node: an error of one names the option that the user wrote, with its value.
 *
 *     --listen 10.0.0.3:7777   pages there, and gossip at 10.0.0.3:7946 by default
 *
 * Not here: what listens (node.ts, membership.ts), and which addresses do not fit (config.ts).
 */
import { RamsterError } from "../core/errors.ts";
import { GOSSIP_PORT_DEFAULT } from "../core/limits.ts";
import { type Address, formatAddress, type TcpAddress } from "../net/address.ts";
import type { Transport } from "../net/transport.ts";
import { followsListen, type NodeConfig } from "./config.ts";

const CANNOT_LISTEN = /^Cannot listen on "(?:[^"\\]|\\.)*": /;

type Ports = Pick<NodeConfig, "clients" | "gossip" | "http" | "listen" | "nbd">;

/** Calls `listen`. An error of the address becomes one of the option `flag`. */
export async function openPort<A extends Address, T>(
  flag: string,
  address: A,
  listen: (address: A) => Promise<T>,
): Promise<T> {
  try {
    return await listen(address);
  } catch (error) {
    if (!isOfAddress(error)) throw error;
    throw refused(error, `--${flag} "${formatAddress(address)}"`, reasonOf(error));
  }
}

/** As openPort, for an option that may be given several times, one after the other. */
export async function openPorts<A extends Address, T>(
  flag: string,
  addresses: readonly A[],
  listen: (address: A) => Promise<T>,
): Promise<T[]> {
  const opened: T[] = [];
  for (const address of addresses) opened.push(await openPort(flag, address, listen));
  return opened;
}

/** As openPort, for the address of gossip, which follows from `listen` by default. */
export async function openGossipPort<T>(
  gossip: TcpAddress,
  listen: TcpAddress,
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!isOfAddress(error)) throw error;
    const follows = followsListen(gossip, listen);
    const option = follows
      ? `--listen "${formatAddress(listen)}"`
      : `--gossip "${formatAddress(gossip)}"`;
    if (error.code !== "ADDRESS_IN_USE" || gossip.port === 0) {
      throw refused(error, option, reasonOf(error));
    }
    const what = follows
      ? `its gossip address ${formatAddress(gossip)} is in use`
      : reasonOf(error);
    throw refused(error, option, `${what}: ${otherGossipPort(gossip)}`);
  }
}

/**
 * Opens each port for a moment. A node in swap mode does that before it locks its memory, which
 * takes long. Rejects as openPort does.
 */
export async function checkPorts(transport: Transport, ports: Ports): Promise<void> {
  const { listen, gossip, http, clients, nbd } = ports;
  const tryPort = async (address: Address): Promise<void> => {
    (await transport.listen(address, () => null)).close();
  };
  await openPorts("http", http === null ? [] : [http], tryPort);
  await openPort("listen", listen, tryPort);
  await openPorts("client", clients ?? [], tryPort);
  await openPorts("nbd", nbd, tryPort);
  if (gossip === null) return;
  await openGossipPort(gossip, listen, async () => {
    await tryPort(gossip);
    (await transport.bind(gossip, () => {})).close();
  });
}

/** Which other programs may have the port, and which flag helps. */
function otherGossipPort({ host, port }: TcpAddress): string {
  const others =
    port === GOSSIP_PORT_DEFAULT
      ? "another ramster, Serf, Docker Swarm or MetalLB may gossip there, "
      : "";
  const example = formatAddress({ kind: "tcp", host, port: port === 65_535 ? port - 1 : port + 1 });
  return `${others}use another one, as in --gossip ${example}`;
}

function isOfAddress(error: unknown): error is RamsterError {
  if (!(error instanceof RamsterError)) return false;
  return error.code === "ADDRESS_IN_USE" || error.code === "CANNOT_LISTEN";
}

function reasonOf({ message }: RamsterError): string {
  return message.replace(CANNOT_LISTEN, "");
}

function refused(cause: RamsterError, option: string, reason: string): RamsterError {
  return new RamsterError(cause.code, `Cannot use ${option}: ${reason}`, { cause });
}
