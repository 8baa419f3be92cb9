/**
 * `ramster node` and `ramster server`: one node until it is told to stop.
 *
 * When it is ready it prints one line on stdout, with the ports that it was given in place of 0:
 *
 *     ready node=3 name=n3 listen=127.0.0.1:41234 client=unix:/tmp/a.sock
 *
 * SIGTERM and SIGINT stop it in order; a second one stops it at once. Its log goes to stderr, a
 * line an event.
 */
import { openMemory } from "../memory/open-memory.ts";
import { BunClock, BunRandom, BunTransport } from "../net/bun.ts";
import type { NodeConfig } from "../node/config.ts";
import { Node } from "../node/node.ts";
import { EXIT, type ExitCode } from "./exit.ts";

export async function run(config: NodeConfig): Promise<ExitCode> {
  const stopped = stopSignal();
  const node = await Node.create(
    {
      clock: new BunClock(),
      transport: new BunTransport(),
      random: new BunRandom(),
      memory: openMemory(),
      log: (area, line) => console.error(`ramster[${config.number}] ${area}: ${line}`),
    },
    config,
  );
  const { listen, clients } = await node.start();
  const client = clients.length === 0 ? "" : ` client=${clients.join(",")}`;
  console.log(`ready node=${config.number} name=${config.name} listen=${listen}${client}`);
  warnOfTarget(config);
  await stopped;
  await node.stop();
  return EXIT.DONE;
}

/** A target without an address may still connect by itself, or be named later: no error yet. */
function warnOfTarget({ number, target, peers }: NodeConfig): void {
  if (target === null || peers.some((peer) => peer.number === target)) return;
  console.error(
    `ramster[${number}] target ${target} is not among --peers: no page moves there yet`,
  );
}

/**
 * Resolves at the first signal; at the second the process ends as that signal would have ended it.
 */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => resolve());
    }
  });
}
