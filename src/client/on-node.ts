/** `connect` of the package: on node:net and node:tls, and dialling again. */
import { HeapMemory } from "../memory/heap-memory.ts";
import { NodeClock, NodeDialler, NodeRandom } from "../net/node.ts";
import { type Client, type ConnectOptions, connectIn } from "./client.ts";

/**
 * Connects to a node at `unix:/path` or `tcp:host:port`.
 *
 * Rejects with ADDRESS_UNREACHABLE when nothing answers, BAD_HANDSHAKE when it is no client door of
 * this protocol, BAD_CONFIG when `key` is not a key file. A lost connection is dialled again,
 * unless `redial` is false.
 */
export function connect(address: string, options: ConnectOptions = {}): Promise<Client> {
  const env = {
    clock: new NodeClock(),
    transport: new NodeDialler(),
    memory: new HeapMemory(),
    random: new NodeRandom(),
  };
  return connectIn(env, address, { ...options, redial: options.redial ?? true });
}
