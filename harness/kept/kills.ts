/**
 * Kills of a node that keeps its memory (--keep): it is ended with SIGKILL at random moments under
 * the load of a kernel, and started again or succeeded. Each time the load checks what it finds.
 */
import { below, type Random } from "../../src/core/random.ts";
import { parseAddress } from "../../src/net/address.ts";
import type { NodeProcess } from "../processes/node-process.ts";
import { counter, type ProcessWorld, until } from "../processes/process-world.ts";
import { KillLoad } from "./kill-load.ts";
import { type KilledNode, RestartedNode, SucceededNode } from "./killed-node.ts";

const EXPORT = "swap";
/** A kill comes so many milliseconds after the load begins, at most. */
const KILL_WITHIN_MS = 300;
/** All pages are read after so many kills. */
const CHECK_EVERY = 20;

export interface KillsOptions {
  readonly kills: number;
  readonly exportMib: number;
  /** Flags of the node beside those for its export and for what is kept. */
  readonly flags: readonly string[];
  /** Where memory is kept. */
  readonly folder: string;
  /** Whether a standby takes over. Otherwise the node is started again. */
  readonly standby: boolean;
  readonly random: Random;
  readonly lenders: readonly NodeProcess[];
  readonly onKill?: (done: number) => void;
}

export interface KillsResult {
  readonly answered: number;
  /** Pages of requests that were cut off, and are lost. */
  readonly lost: number;
}

/**
 * Rejects when a page has wrong bytes, when one that was answered is lost, or when lenders hold
 * pages in the end that the node does not know.
 */
export async function killNode(world: ProcessWorld, options: KillsOptions): Promise<KillsResult> {
  const { kills, exportMib, random } = options;
  const load = new KillLoad(random, exportMib * 1024 * 1024);
  const flags = [`--export=${EXPORT}=${exportMib}MiB`, "--no-swap", ...options.flags];
  const { folder } = options;
  const node = options.standby
    ? await SucceededNode.start(world, flags, folder)
    : await RestartedNode.start(world, [...flags, `--keep=${folder}`]);
  for (let done = 0; ; done += 1) {
    await load.connect(parseAddress(`unix:${node.nbd}`), EXPORT);
    if (done % CHECK_EVERY === 0 || done === kills) await load.checkAll();
    if (done === kills) break;
    await killUnderLoad(node, load, below(random, KILL_WITHIN_MS));
    options.onKill?.(done + 1);
    await node.again();
  }
  load.disconnect();
  await untilNoOrphan(world, node, options.lenders);
  await node.stop();
  return { answered: load.answered, lost: load.lost };
}

/** The lenders hold just the copies that the node knows. */
async function untilNoOrphan(
  world: ProcessWorld,
  node: KilledNode,
  lenders: readonly NodeProcess[],
): Promise<void> {
  const owner = await node.connect();
  const holders = await Promise.all(lenders.map((lender) => world.connect(lender)));
  await until("lenders hold what the node knows", async () => {
    const held = await Promise.all(holders.map((it) => counter(it, "foreign_pers_pages")));
    const known = await counter(owner, "remote_copies");
    return held.reduce((sum, count) => sum + count, 0) === known;
  });
}

async function killUnderLoad(node: KilledNode, load: KillLoad, afterMs: number): Promise<void> {
  const running = load.run();
  // The moment of the kill is what is random here; nothing is waited for.
  const killed = Bun.sleep(afterMs).then(() => node.kill());
  await Promise.all([running, killed]);
}
