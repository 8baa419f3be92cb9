/**
 * Datagrams on Bun's UDP sockets, look-up of host names, and the source address of a route.
 *
 * Behaviour of Bun 1.4.5 that this file relies on, each tried:
 *   - send() copies. It returns false when the kernel has no room: that datagram is lost.
 *   - When nobody listened at the target of an earlier datagram, the next send throws ECONNREFUSED,
 *     whatever its target, and sends nothing. The send after that works again.
 *   - The buffer of a data event is a Buffer with memory of its own.
 */
import { lookup as lookupHost } from "node:dns/promises";
import { ConfigError, RamsterError } from "../core/errors.ts";
import { formatAddress, type TcpAddress } from "./address.ts";
import { ipBytes } from "./ip.ts";
import type { DatagramPort, OnDatagram } from "./transport.ts";

/** Transport.bind. */
export async function bindDatagrams(
  address: TcpAddress,
  onDatagram: OnDatagram,
): Promise<DatagramPort> {
  try {
    const socket = await Bun.udpSocket({
      hostname: address.host,
      port: address.port,
      binaryType: "uint8array",
      socket: {
        data: (_socket, bytes, port, host) => onDatagram(bytes, { kind: "tcp", host, port }),
        error: () => {}, // A datagram that did not arrive counts as lost.
      },
    });
    return new BunDatagrams(socket, { ...address, port: socket.port });
  } catch (error) {
    throw bindError(address, error);
  }
}

/** Transport.lookup. */
export async function lookupAddresses(host: string): Promise<string[]> {
  if (ipBytes(host) !== null) return [host]; // The resolver would drop the zone of an address.
  try {
    const addresses = await lookupHost(host, { all: true });
    return addresses.map(({ address }) => address);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const reason = LOOKUP_REASONS[code] ?? `the look-up failed (${code})`;
    const options = { cause: error };
    throw new ConfigError("BAD_CONFIG", `Cannot find the host "${host}": ${reason}`, options);
  }
}

const LOOKUP_REASONS: Readonly<Record<string, string>> = {
  EAI_AGAIN: "no name server answers",
  ENODATA: "the name has no address",
  ENOTFOUND: "unknown host name",
};

/** @returns the own address that reaches the target, or null when there is no route. */
export async function sourceTo({ host, port }: TcpAddress): Promise<string | null> {
  try {
    const connect = { hostname: host, port };
    const socket = await Bun.udpSocket({ connect, socket: { data: () => {} } });
    const { address } = socket.address;
    socket.close();
    return address;
  } catch {
    return null;
  }
}

class BunDatagrams implements DatagramPort {
  readonly address: TcpAddress;
  private readonly socket: Bun.udp.Socket<"uint8array">;

  constructor(socket: Bun.udp.Socket<"uint8array">, address: TcpAddress) {
    this.socket = socket;
    this.address = address;
  }

  send(bytes: Uint8Array, byteCount: number, to: TcpAddress): void {
    const datagram = bytes.subarray(0, byteCount);
    // The first error may belong to an earlier datagram.
    if (!this.trySend(datagram, to)) this.trySend(datagram, to);
  }

  private trySend(datagram: Uint8Array, to: TcpAddress): boolean {
    try {
      this.socket.send(datagram, to.port, to.host);
      return true;
    } catch {
      return false; // Too long, no route, or closed: the datagram counts as lost.
    }
  }

  close(): void {
    this.socket.close();
  }
}

function bindError(address: TcpAddress, error: unknown): RamsterError {
  const where = `Cannot listen on "${formatAddress(address)}"`;
  const options = { cause: error };
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  if (code === "EADDRINUSE") {
    return new RamsterError("ADDRESS_IN_USE", `${where}: the address is in use`, options);
  }
  return new RamsterError("CANNOT_LISTEN", `${where}: ${code}`, options);
}
