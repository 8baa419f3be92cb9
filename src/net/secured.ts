/**
 * A transport whose TCP streams are all under TLS, for what must not be read or forged on the way.
 * Unix sockets, which the file system guards, and datagrams, which gossip seals itself, stay as
 * they are.
 */
import type { TlsMaterial, Transport } from "./transport.ts";

export function secured(transport: Transport, tls: TlsMaterial): Transport {
  return {
    listen: (address, accept) => {
      return transport.listen(address, accept, address.kind === "tcp" ? { tls } : {});
    },
    connect: (address, events) => {
      return transport.connect(address, events, address.kind === "tcp" ? { tls } : {});
    },
    bind: (address, onDatagram) => transport.bind(address, onDatagram),
    lookup: (host) => transport.lookup(host),
  };
}
