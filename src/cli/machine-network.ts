/** The network of this machine as the operating system reports it. A node that starts uses it. */
import { networkInterfaces } from "node:os";
import { lookupAddresses, sourceTo } from "../net/bun-datagrams.ts";
import { isLinkLocal } from "../net/ip.ts";
import type { MachineNetwork } from "../node/advertise.ts";

export const MACHINE_NETWORK: MachineNetwork = {
  lookup: lookupAddresses,
  sourceTo,
  addresses: machineAddresses,
};

/** The addresses of this machine that are neither loopback nor link-local. */
function machineAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !isLinkLocal(address))
    .map(({ address }) => address)
    .filter((address) => !address.startsWith("169.254."));
}
