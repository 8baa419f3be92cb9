/**
 * `ramster drain`: prepares a node to leave. The pages of other nodes move away, and its own pages
 * come home. The command shows the progress, waits until no page moves any more, and reports pages
 * that could not be moved. The node lends nothing until `ramster undrain`, even after the
 * command was interrupted, so that no page moves back.
 */
import type { Client } from "../client/client.ts";
import { formatDuration } from "../core/units.ts";
import type { NodeStats } from "../wire/stats.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { DrainOptions } from "./options.ts";
import { printAnswer, printError } from "./print.ts";
import { Progress } from "./progress.ts";
import { aborted, stopSignal } from "./stop-signal.ts";

const POLL_MS = 200;
/** When no page moved for this long, the rest has nowhere to go. */
const STUCK_MS = 5000;
/** Time between two lines of progress when no terminal shows a bar. */
const LINE_MS = 5000;

/** Why the wait ended. */
type Ending = "empty" | "stuck" | "late" | "interrupted";

export async function run(options: DrainOptions): Promise<ExitCode> {
  const { drainTimeoutMs } = options;
  const stop = stopSignal();
  const { before, after, ending } = await withClient(options, async (client) => {
    const had = leftIn(await client.stats());
    await client.setKnob("draining", "1");
    return { before: had, ...(await waitUntilDrained(client, had, drainTimeoutMs, stop)) };
  });
  // Other nodes may have flushed or put pages meanwhile, so these counts are not exact.
  const away = Math.max(0, before.foreign - after.foreign);
  const home = Math.max(0, before.own - after.own);
  const text = `${away} pages of other nodes moved away, ${home} of its own came home`;
  const json = { is_drained: ending === "empty", moved_away: away, came_home: home, left: after };
  await printAnswer({ text, json }, options);
  if (ending === "empty") return EXIT.DONE;
  printError(`ramster: ${notDrained(after, ending, drainTimeoutMs)}`);
  return EXIT.FAILED;
}

const UNDO = '"ramster undrain" undoes it';
const STAYS = `the node stays drained, ${UNDO}`;
const MOVES_ON = `the node goes on moving them, ${UNDO}`;

function notDrained({ foreign, own }: Left, ending: Ending, timeoutMs: number): string {
  if (ending === "stuck") {
    const others = `${foreign} pages of other nodes have nowhere to go`;
    return `Cannot drain all: ${others}, and ${own} of its own have no room here; ${STAYS}`;
  }
  const left = `${foreign} pages of other nodes and ${own} of its own are still to move`;
  if (ending === "interrupted")
    return `Cannot wait for the drain: interrupted, ${left}; ${MOVES_ON}`;
  return `Cannot drain all in ${formatDuration(timeoutMs)}: ${left}; ${MOVES_ON}`;
}

/** The pages that still have to move. */
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

async function waitUntilDrained(
  client: Client,
  had: Left,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<{ after: Left; ending: Ending }> {
  const all = Math.max(1, had.foreign + had.own);
  const progress = new Progress(process.stderr, { quiet: false });
  const startedAt = performance.now();
  const stopped = aborted(stop);
  let fewest = had.foreign + had.own;
  let movedAt = startedAt;
  let lineAt = startedAt;
  for (;;) {
    const left = leftIn(await client.stats());
    const now = performance.now();
    const count = left.foreign + left.own;
    if (count < fewest) movedAt = now;
    fewest = Math.min(fewest, count);
    const ending = endingOf(count, now - movedAt, now - startedAt > timeoutMs, stop);
    const text = `${left.foreign} pages of other nodes, ${left.own} of its own`;
    progress.show("drain", 1 - count / all, text);
    if (process.stderr.isTTY !== true && now - lineAt >= LINE_MS) {
      lineAt = now;
      printError(`ramster: ${text} are left`);
    }
    if (ending === null) {
      await Promise.race([Bun.sleep(POLL_MS), stopped]);
      continue;
    }
    progress.end();
    return { after: left, ending };
  }
}

function endingOf(
  count: number,
  stillMs: number,
  isLate: boolean,
  stop: AbortSignal,
): Ending | null {
  if (count === 0) return "empty";
  if (stop.aborted) return "interrupted";
  if (isLate) return "late";
  return stillMs > STUCK_MS ? "stuck" : null;
}
