/**
 * `ramster drain`: gets a node ready to leave: what others keep there moves away, and its own pages
 * come home. Shows how far it is, waits until nothing moves any more, and says what could not be
 * moved. The node goes on, and lends nothing until `ramster set draining 0`.
 */
import type { Client, NodeStats } from "../client/client.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { DrainOptions } from "./options.ts";
import { print } from "./print.ts";
import { Progress } from "./progress.ts";

const POLL_MS = 200;
/** Nothing moved for so long: there is nowhere to move it. */
const STUCK_MS = 5000;

export async function run(options: DrainOptions): Promise<ExitCode> {
  const progress = new Progress(process.stderr, { quiet: false });
  const { before, after } = await withClient(options, async (client) => {
    const had = leftIn(await client.stats());
    await client.setKnob("draining", "1");
    const left = await drained(client, had, options.drainTimeoutMs, progress);
    return { before: had, after: left };
  });
  const moved = `${before.foreign - after.foreign} pages of others moved away`;
  await print(`${moved}, ${before.own - after.own} of its own came home\n`);
  if (after.foreign + after.own === 0) return EXIT.DONE;
  const others = `${after.foreign} pages of others have nowhere to go`;
  console.error(`ramster: Cannot drain all: ${others}, ${after.own} of its own have no room here`);
  return EXIT.FAILED;
}

/** Pages that are to move. */
interface Left {
  readonly foreign: number;
  readonly own: number;
}

function leftIn({ counters: c }: NodeStats): Left {
  return {
    foreign: c.foreign_pers_pages ?? 0,
    own: (c.remote_pers_pages ?? 0) + (c.remote_eph_pages ?? 0),
  };
}

async function drained(
  client: Client,
  had: Left,
  timeoutMs: number,
  progress: Progress,
): Promise<Left> {
  const all = Math.max(1, had.foreign + had.own);
  const startedAt = performance.now();
  let left = had;
  let movedAt = startedAt;
  for (;;) {
    const now = performance.now();
    const next = leftIn(await client.stats());
    if (next.foreign + next.own < left.foreign + left.own) movedAt = now;
    left = next;
    const count = left.foreign + left.own;
    progress.show("drain", 1 - count / all, `${left.foreign} of others, ${left.own} of its own`);
    if (count === 0 || now - startedAt > timeoutMs || now - movedAt > STUCK_MS) break;
    await Bun.sleep(POLL_MS);
  }
  progress.clear();
  return left;
}
