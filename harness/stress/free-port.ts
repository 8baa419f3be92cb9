/**
 * FreePort: finds a free port for a process whose port must be known before it starts.
 *
 * Ports come from below the range that the kernel gives to connections, so no connection takes
 * them. Another process still may, and then the node does not start.
 */
import { RamsterError } from "../../src/core/errors.ts";
import { below, type Random } from "../../src/core/random.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import { NO_EVENTS, type Transport } from "../../src/net/transport.ts";

/** Linux gives connections ports from 32768 on. */
const PORT_MIN = 18_000;
const PORT_END = 32_000;
const ATTEMPTS_MAX = 100;

/**
 * Finds a port of 127.0.0.1 that is free for TCP and UDP and not in `taken`, and adds it there.
 * Rejects with RamsterError ADDRESS_IN_USE when it finds none.
 */
export async function freePort(
  transport: Transport,
  random: Random,
  taken: Set<number>,
): Promise<TcpAddress> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = PORT_MIN + below(random, PORT_END - PORT_MIN);
    const address: TcpAddress = { kind: "tcp", host: "127.0.0.1", port };
    if (taken.has(port) || !(await isFree(transport, address))) continue;
    taken.add(port);
    return address;
  }
  const range = `${PORT_MIN} .. ${PORT_END - 1}`;
  throw new RamsterError("ADDRESS_IN_USE", `Cannot find a port for a node: none free in ${range}`);
}

async function isFree(transport: Transport, address: TcpAddress): Promise<boolean> {
  try {
    const listener = await transport.listen(address, () => NO_EVENTS);
    listener.close();
    const datagrams = await transport.bind(address, () => {});
    datagrams.close();
    return true;
  } catch (error) {
    if (error instanceof RamsterError && error.code === "ADDRESS_IN_USE") return false;
    throw error;
  }
}
