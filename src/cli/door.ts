/** The connection of a command to a running node. */
import type { Client } from "../client/client.ts";
import { connect } from "../client/on-bun.ts";
import { formatAddress } from "../net/address.ts";
import { readKeyText } from "./key.ts";
import { addressOf } from "./local-nodes.ts";
import type { DoorOptions } from "./options.ts";

/** Connects, does `work`, and closes the connection, even when `work` fails. */
export async function withClient<T>(
  { client: node, keyPath }: DoorOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const key = keyPath === null ? undefined : readKeyText(keyPath);
  const client = await connect(formatAddress(await addressOf(node)), { key });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
