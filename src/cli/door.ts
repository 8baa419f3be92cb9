/** The connection of a command to a running node. */
import type { Client } from "../client/client.ts";
import { connect } from "../client/on-bun.ts";
import { formatAddress } from "../net/address.ts";
import { readKeyText } from "./key.ts";
import { addressOf } from "./local-nodes.ts";
import type { DoorOptions } from "./options.ts";
import { comesOnce, readTextAgain } from "./text-file.ts";

/** Connects, does `work`, and closes the connection, even when `work` fails. */
export async function withClient<T>(
  options: DoorOptions,
  work: (client: Client) => Promise<T>,
  readKey = keyReader(options),
): Promise<T> {
  const key = readKey();
  const client = await connect(formatAddress(await addressOf(options.client)), { key });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Reads the key for each connection of a command. The text of a pipe comes once, and is kept. */
export function keyReader({ keyPath: path }: DoorOptions): () => string | undefined {
  let kept: string | undefined;
  return () => {
    if (path === null) return undefined;
    if (kept === undefined) kept = readKeyText(path);
    else if (!comesOnce(path)) kept = readKeyText(path, "key", readTextAgain);
    return kept;
  };
}
