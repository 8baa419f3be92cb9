/**
 * Stress: N real nodes, loaded through the client library and checked from outside.
 *
 *     start -> the phases of run.ts -> stop
 *       any of them -> failed: all nodes are killed
 *
 * A run passes when no page was wrong or lost, owners and holders agree on remote pages, and no
 * node was full while its holder stayed empty. Nothing may be left at the end: no frame, no remote
 * page, no foreign page, no pending flush.
 */

import { readKeyText } from "../../src/cli/key.ts";
import { addressOf } from "../../src/cli/local-nodes.ts";
import { connect } from "../../src/client/on-bun.ts";
import { ConfigError, RamsterError } from "../../src/core/errors.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { formatAddress, parseAddress } from "../../src/net/address.ts";
import { Chaos } from "./chaos.ts";
import { JoinedNode } from "./joined-node.ts";
import type { StressOptions } from "./options.ts";
import { PageSource } from "./page-source.ts";
import type { StressReport } from "./report.ts";
import { type Progress, Run } from "./run.ts";
import { Supervisor } from "./supervisor.ts";
import { Timeline } from "./timeline.ts";
import { type NodePlan, planTopology } from "./topology.ts";

/** From a broken connection to the end of the process that broke it. */
const DEATH_MS = 1000;
/** From the end of a node by Ctrl-C to the signal that this process gets. */
const SIGNAL_MS = 100;
/** Time for running nodes to flush the pages of a failed run. */
const ABANDON_MS = 5000;

export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

export interface StressEnvironment {
  /** The command that starts this program. */
  program: readonly string[];
  progress: Progress;
  /** Resolves when the run is to be given up. */
  interrupted: Promise<void>;
  /** Called with the result so far, before the run rejects. */
  onFailure?: (report: StressReport) => void;
}

/**
 * Runs all phases. Rejects with NodeDiedError, NoProgressError, InterruptedError or an error of a
 * node. It leaves no process and no file behind.
 */
export async function runStress(
  options: StressOptions & { seed: number },
  environment: StressEnvironment,
): Promise<StressReport> {
  // Page contents are read first: a missing file is found before a node is started.
  const source = new PageSource(options.data, options.seed);
  if (options.connect.length > 0) return runOnRunning(options, source, environment);
  if (options.join.length > 0) return runJoined(options, source, environment);
  const plans = planTopology(options);
  const supervisor = new Supervisor(environment.program, options);
  const { progress } = environment;
  let run: Run | null = null;
  const wholeRun = async (): Promise<StressReport> => {
    progress.show("start", 0, `${plans.length} nodes`);
    await supervisor.start(plans);
    const { clients } = supervisor;
    const targets = new Map(plans.map((plan) => [plan.number, plan.target]));
    const loaded = plans.filter((plan) => plan.loaded).map((plan) => plan.number);
    const timeline = timelineOf(progress);
    const chaos = chaosOf(options, plans, supervisor, timeline);
    run = new Run({ options, source, progress, clients, targets, loaded, chaos, timeline });
    const report = await Promise.race([run.all(), supervisor.watch()]);
    progress.end();
    const failed = await supervisor.stop();
    report.examples.push(...failed);
    report.pass &&= failed.length === 0;
    return report;
  };
  try {
    return await Promise.race([wholeRun(), interruption(environment)]);
  } catch (error) {
    progress.end();
    const cause = await causeOf(error, supervisor, environment);
    await supervisor.kill();
    reportFailure(run, environment);
    throw cause;
  }
}

/** Its marks are shown as they happen. */
function timelineOf(progress: Progress): Timeline {
  const timeline = new Timeline();
  timeline.onMark = ({ at_s, text }) => progress.note(`${at_s.toFixed(1)} s: ${text}`);
  return timeline;
}

function chaosOf(
  { chaos: kinds, chaosEveryMs: everyMs, seed }: StressOptions & { seed: number },
  plans: readonly NodePlan[],
  supervisor: Supervisor,
  timeline: Timeline,
): Chaos | null {
  if (kinds.length === 0) return null;
  const holders = plans.filter((plan) => !plan.loaded).map((plan) => plan.number);
  const owners = plans.filter((plan) => plan.loaded).map((plan) => plan.number);
  const random = new SeededRandom(seed);
  return new Chaos({ supervisor, random, timeline }, { kinds, everyMs, holders, owners });
}

/** Rejects when the run is to be given up. */
async function interruption(environment: StressEnvironment): Promise<never> {
  await environment.interrupted;
  throw new InterruptedError("interrupted");
}

function reportFailure(run: Run | null, environment: StressEnvironment): void {
  if (run !== null) environment.onFailure?.(run.report());
}

/**
 * The cause of a failed run. When a node dies, its broken connection is noticed before its end, so
 * this waits a moment for the death. Ctrl-C reaches the nodes too, and takes precedence.
 */
async function causeOf(
  error: unknown,
  supervisor: Supervisor,
  environment: StressEnvironment,
): Promise<unknown> {
  let cause = error;
  if (error instanceof RamsterError) {
    const death = supervisor.watch().catch((died: unknown) => died);
    cause = await Promise.race([death, Bun.sleep(DEATH_MS).then(() => error)]);
  }
  const interrupted = interruption(environment).catch((given: unknown) => given);
  return Promise.race([interrupted, Bun.sleep(SIGNAL_MS).then(() => cause)]);
}

/** Loads one node that joins a running cluster. It leaves again afterwards. */
async function runJoined(
  options: StressOptions & { seed: number },
  source: PageSource,
  environment: StressEnvironment,
): Promise<StressReport> {
  const node = new JoinedNode(environment.program, options);
  try {
    environment.progress.show("join", 0, options.join.map(formatAddress).join(", "));
    await Promise.race([node.ready(), interruption(environment)]);
    const connect = [parseAddress(node.client)];
    const running = { ...options, connect, keyPath: null };
    return await Promise.race([runOnRunning(running, source, environment), node.died]);
  } finally {
    environment.progress.end();
    await node.end();
  }
}

/**
 * Loads running nodes. It leaves them as they were: all pages of this run are flushed again.
 */
async function runOnRunning(
  options: StressOptions & { seed: number },
  source: PageSource,
  environment: StressEnvironment,
): Promise<StressReport> {
  const key = options.keyPath === null ? undefined : readKeyText(options.keyPath);
  const clients = await Promise.all(
    options.connect.map(async (to) => connect(formatAddress(await addressOf(to)), { key })),
  );
  const loaded = clients.map((client) => client.nodeNumber);
  const { progress } = environment;
  // A node that has joined sends pages to lenders, or the run has shown nothing.
  const targets = new Map<number, "auto">();
  if (options.join.length > 0) for (const number of loaded) targets.set(number, "auto");
  const run = new Run({
    options,
    source,
    progress,
    clients,
    targets,
    loaded,
    chaos: null,
    timeline: timelineOf(progress),
  });
  try {
    const twice = loaded.find((number, i) => loaded.indexOf(number) !== i);
    if (twice !== undefined) {
      throw new ConfigError("BAD_CONFIG", `Cannot use --connect: node ${twice} is named twice`);
    }
    return await Promise.race([run.all(), interruption(environment)]);
  } catch (error) {
    progress.end();
    await Promise.race([run.abandon(), Bun.sleep(ABANDON_MS)]);
    reportFailure(run, environment);
    throw error;
  } finally {
    progress.end();
    await Promise.all(clients.map((client) => client.close()));
  }
}
