/**
 * Stress: N real nodes, loaded through the client library and checked from outside.
 *
 *     start -> the phases of run.ts -> stop
 *       any of them -> failed: all nodes are killed
 *
 * It passes when no page was ever wrong or lost, what each node calls remote is foreign on its
 * holder, no node was full while its holder stayed empty, and at the end nothing is left anywhere:
 * no frame, no remote page, no foreign page, no flush owed.
 */

import { readKeyText } from "../../src/cli/key.ts";
import { connect } from "../../src/client/client.ts";
import { ConfigError, RamsterError } from "../../src/core/errors.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { formatAddress } from "../../src/net/address.ts";
import { Chaos } from "./chaos.ts";
import type { StressOptions } from "./options.ts";
import { PageSource } from "./page-source.ts";
import type { StressReport } from "./report.ts";
import { type Progress, Run } from "./run.ts";
import { Supervisor } from "./supervisor.ts";
import { type NodePlan, planTopology } from "./topology.ts";

/** From a connection that broke to the end of the process that broke it. */
const DEATH_MS = 1000;
/** From the end of a node that got a Ctrl-C to the signal that this process got. */
const SIGNAL_MS = 100;
/** What nodes that run already have to take back what a failed run has put. */
const ABANDON_MS = 5000;

export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

export interface StressEnvironment {
  /** The words that start this program. */
  program: readonly string[];
  progress: Progress;
  /** Resolves when the run is to be given up. */
  interrupted: Promise<void>;
  /** Told what is known, before the run rejects. */
  onFailure?: (report: StressReport) => void;
}

/**
 * Runs it all. Rejects with NodeDiedError, NoProgressError, InterruptedError or what has gone wrong
 * in a node; nothing is left behind.
 */
export async function runStress(
  options: StressOptions & { seed: number },
  environment: StressEnvironment,
): Promise<StressReport> {
  // What it is made of is read first: a file that is not there is found before a node is started.
  const source = new PageSource(options.data, options.seed);
  if (options.connect.length > 0) return runOnRunning(options, source, environment);
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
    const chaos = chaosOf(options, plans, supervisor);
    run = new Run({ options, source, progress, clients, targets, loaded, chaos });
    const report = await Promise.race([run.all(), supervisor.watch()]);
    progress.clear();
    const failed = await supervisor.stop();
    report.examples.push(...failed);
    report.pass &&= failed.length === 0;
    return report;
  };
  try {
    return await Promise.race([wholeRun(), interruption(environment)]);
  } catch (error) {
    progress.clear();
    const cause = await causeOf(error, supervisor, environment);
    await supervisor.kill();
    tellFailure(run, environment);
    throw cause;
  }
}

function chaosOf(
  { chaos: kinds, chaosEveryMs: everyMs, seed }: StressOptions & { seed: number },
  plans: readonly NodePlan[],
  supervisor: Supervisor,
): Chaos | null {
  if (kinds.length === 0) return null;
  const holders = plans.filter((plan) => !plan.loaded).map((plan) => plan.number);
  const owners = plans.filter((plan) => plan.loaded).map((plan) => plan.number);
  const random = new SeededRandom(seed);
  return new Chaos({ supervisor, random }, { kinds, everyMs, holders, owners });
}

/** Rejects when the run is to be given up. */
async function interruption(environment: StressEnvironment): Promise<never> {
  await environment.interrupted;
  throw new InterruptedError("interrupted");
}

function tellFailure(run: Run | null, environment: StressEnvironment): void {
  if (run !== null) environment.onFailure?.(run.report());
}

/**
 * What a run failed of. When a node dies, its connection is found broken before its end is known,
 * so the death may be a moment away. A Ctrl-C reaches the nodes too, and comes before all.
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

/**
 * Loads nodes that run already. They are left as they were, but for what this run put and took away
 * again.
 */
async function runOnRunning(
  options: StressOptions & { seed: number },
  source: PageSource,
  environment: StressEnvironment,
): Promise<StressReport> {
  const key = options.keyPath === null ? undefined : readKeyText(options.keyPath);
  const clients = await Promise.all(
    options.connect.map((to) => connect(formatAddress(to), { key })),
  );
  const loaded = clients.map((client) => client.nodeNumber);
  const { progress } = environment;
  const run = new Run({
    options,
    source,
    progress,
    clients,
    targets: new Map(),
    loaded,
    chaos: null,
  });
  try {
    const twice = loaded.find((number, i) => loaded.indexOf(number) !== i);
    if (twice !== undefined) {
      throw new ConfigError("BAD_CONFIG", `Cannot use --connect: node ${twice} is named twice`);
    }
    return await Promise.race([run.all(), interruption(environment)]);
  } catch (error) {
    await Promise.race([run.abandon(), Bun.sleep(ABANDON_MS)]);
    tellFailure(run, environment);
    throw error;
  } finally {
    progress.clear();
    await Promise.all(clients.map((client) => client.close()));
  }
}
