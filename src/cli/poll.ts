/**
 * Poll: a command that reads from a running node again and again. When the node does not answer any
 * more, it connects again, since the end of a node is what a person who watches it wants to see.
 */
import type { Client } from "../client/client.ts";
import { RamsterError } from "../core/errors.ts";
import { keyReader, withClient } from "./door.ts";
import { describeError } from "./exit.ts";
import type { DoorOptions } from "./options.ts";
import { aborted } from "./stop-signal.ts";

const RETRY_MS = 2000;

export interface Poll {
  /** Whether to connect again after an outage. */
  readonly retries: boolean;
  /** Reads once. @returns after how many milliseconds to read again. Null: the command is over. */
  read(client: Client): Promise<number | null>;
  /** The node does not answer. It is tried again in RETRY_MS. */
  onOutage(reason: string): void;
}

/**
 * Reads until it is over, or until `stop`. The first read must succeed: a wrong address is no node
 * that is restarted.
 */
export async function poll(options: DoorOptions, stop: AbortSignal, poll: Poll): Promise<void> {
  const stopped = aborted(stop);
  const readKey = keyReader(options);
  let hasRead = false;
  const readOn = async (client: Client): Promise<void> => {
    while (!stop.aborted) {
      const waitMs = await poll.read(client);
      hasRead = true;
      if (waitMs === null) return;
      await Promise.race([Bun.sleep(waitMs), stopped]);
    }
  };
  for (;;) {
    try {
      const reading = withClient(options, readOn, readKey);
      reading.catch(() => {}); // After a stop nobody waits for it: the node may stand still.
      return await Promise.race([reading, stopped]);
    } catch (error) {
      if (!poll.retries || !hasRead || !isOutage(error)) throw error;
      poll.onOutage(describeError(error));
      await Promise.race([Bun.sleep(RETRY_MS), stopped]);
      if (stop.aborted) return;
    }
  }
}

/** Whether a node that ends, or is restarted, causes such errors. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof RamsterError)) return false;
  return ["CLOSED", "TIMED_OUT", "ADDRESS_UNREACHABLE", "BAD_HANDSHAKE"].includes(error.code);
}
