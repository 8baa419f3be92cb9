/** `connect` for the programs of this project: on Bun's sockets, and without dialling again. */
import { openMemory } from "../memory/open-memory.ts";
import { BunClock, BunRandom, BunTransport } from "../net/bun.ts";
import { type Client, type ConnectOptions, connectIn } from "./client.ts";
import type { ClientEnvironment } from "./session.ts";

export function connect(
  address: string,
  options: ConnectOptions = {},
  environment?: ClientEnvironment,
): Promise<Client> {
  const env = environment ?? {
    clock: new BunClock(),
    transport: new BunTransport(),
    memory: openMemory(),
    random: new BunRandom(),
  };
  return connectIn(env, address, options);
}
