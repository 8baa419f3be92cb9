/**
 * Stress: N real nodes, loaded through the client library and checked from outside.
 *
 *     start -> fill -> load -> settle -> probe -> clean -> stop
 *       any of them -> failed: all nodes are killed
 *
 * It passes when no page was ever wrong or lost, what each node calls remote is foreign on its
 * holder, and at the end nothing is left anywhere: no frame, no remote page, no foreign page, no
 * flush owed.
 */

import type { StressOptions } from "../../src/cli/options.ts";
import { type Client, connect, type NodeStats } from "../../src/client/client.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { formatAddress } from "../../src/net/address.ts";
import { noVerdicts } from "./checker.ts";
import { PageSource } from "./page-source.ts";
import type { Progress } from "./progress.ts";
import {
  compressionRatio,
  isBalanced,
  isQuiet,
  leaksOf,
  type NodeRow,
  rowsOf,
  type StressReport,
  sumLatencies,
  sumTotals,
} from "./report.ts";
import { Supervisor } from "./supervisor.ts";
import { planTopology } from "./topology.ts";
import { Workload } from "./workload.ts";

/** Without one page done for so long a run has stopped making progress. */
const STALL_MS = 15_000;
/** How long the cluster may take to come to rest. */
const SETTLE_MS = 20_000;
const POLL_MS = 50;
/** From a connection that broke to the end of the process that broke it. */
const DEATH_MS = 1000;
/** Single gets of each node, for latencies. */
const PROBE_GETS = 400;

export class NoProgressError extends Error {
  override readonly name = "NoProgressError";
}

export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

export interface StressEnvironment {
  /** The words that start this program. */
  program: readonly string[];
  progress: Progress;
  /** Resolves when the run is to be given up. */
  interrupted: Promise<void>;
}

/**
 * Runs it all. Rejects with NodeDiedError, NoProgressError or InterruptedError; nothing is left
 * behind.
 */
export async function runStress(
  options: StressOptions & { seed: number },
  environment: StressEnvironment,
): Promise<StressReport> {
  if (options.connect.length > 0) return runOnRunning(options, environment);
  const plans = planTopology(options);
  const supervisor = new Supervisor(environment.program, { verbose: options.verbose });
  try {
    environment.progress.show("start", 0, `${plans.length} nodes`);
    const interrupted = environment.interrupted.then(() => {
      throw new InterruptedError("interrupted");
    });
    const report = await Promise.race([
      supervisor.start(plans).then(() => {
        const targets = new Map(plans.map((plan) => [plan.number, plan.target]));
        const loaded = plans.filter((plan) => plan.loaded).map((plan) => plan.number);
        const run = new Run(options, environment.progress, supervisor.clients, targets, loaded);
        return Promise.race([run.all(), supervisor.watch()]);
      }),
      interrupted,
    ]);
    environment.progress.clear();
    const failed = await supervisor.stop();
    report.examples.push(...failed);
    report.pass &&= failed.length === 0;
    return report;
  } catch (error) {
    environment.progress.clear();
    const cause = await causeOf(error, supervisor);
    await supervisor.kill();
    throw cause;
  }
}

/**
 * What a run failed of. When a node dies, its connection is found broken before its end is known,
 * so the death may be a moment away.
 */
async function causeOf(error: unknown, supervisor: Supervisor): Promise<unknown> {
  if (!(error instanceof RamsterError)) return error;
  const nothing = Bun.sleep(DEATH_MS).then(() => error);
  return Promise.race([supervisor.watch().catch((death: unknown) => death), nothing]);
}

/**
 * Loads nodes that run already. They are left as they were, but for what this run put and took away
 * again.
 */
async function runOnRunning(
  options: StressOptions & { seed: number },
  environment: StressEnvironment,
): Promise<StressReport> {
  const clients = await Promise.all(options.connect.map((to) => connect(formatAddress(to))));
  const numbers = clients.map((client) => client.nodeNumber);
  const run = new Run(options, environment.progress, clients, new Map(), numbers);
  try {
    const interrupted = environment.interrupted.then(() => {
      throw new InterruptedError("interrupted");
    });
    return await Promise.race([run.all(), interrupted]);
  } finally {
    environment.progress.clear();
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** The phases, on nodes that are there. */
class Run {
  private readonly options: StressOptions & { seed: number };
  private readonly progress: Progress;
  private readonly clients: readonly Client[];
  private readonly targets: ReadonlyMap<number, number | null>;
  private readonly workloads: Workload[];
  private readonly verdicts = noVerdicts();
  private readonly source: PageSource;
  private phase = "fill";

  constructor(
    options: StressOptions & { seed: number },
    progress: Progress,
    clients: readonly Client[],
    targets: ReadonlyMap<number, number | null>,
    loaded: readonly number[],
  ) {
    this.options = options;
    this.progress = progress;
    this.clients = clients;
    this.targets = targets;
    this.source = new PageSource(options.data, options.seed);
    const { source, verdicts } = this;
    const pageCount = Math.floor(options.workingSetBytes / PAGE_BYTES);
    this.workloads = clients
      .filter((client) => loaded.includes(client.nodeNumber))
      .map((client) => {
        const { mix, seed } = options;
        const node = client.nodeNumber;
        return new Workload({ client, source, verdicts }, { node, pageCount, mix, seed });
      });
  }

  async all(): Promise<StressReport> {
    const before = leaksOf(await this.stats());
    const stalled = this.watchProgress();
    try {
      return await Promise.race([this.phases(before), stalled.promise]);
    } finally {
      stalled.stop();
    }
  }

  private async phases(before: StressReport["leaks"]): Promise<StressReport> {
    const each = <T>(work: (workload: Workload) => Promise<T>): Promise<T[]> => {
      return Promise.all(this.workloads.map(work));
    };
    await each((workload) => workload.open());
    const started = performance.now();
    await each((workload) => workload.fill());
    const { durationMs } = this.options;
    const loadStarted = performance.now();
    this.phase = "load";
    await each((workload) => {
      return workload.load(() => performance.now() - loadStarted >= durationMs);
    });
    const seconds = (performance.now() - started) / 1000;
    const pages = this.operations();
    this.phase = "settle";
    await this.until((stats) => isQuiet(stats) && this.isBalanced(stats));
    this.phase = "probe";
    await each((workload) => workload.probe(PROBE_GETS));
    await this.until((stats) => isQuiet(stats) && this.isBalanced(stats));
    const stats = await this.stats();
    const rows = rowsOf(stats, this.targets);
    this.phase = "clean";
    await each((workload) => workload.clean());
    const isClean = (now: readonly NodeStats[]): boolean => isQuiet(now) && isEmpty(now, before);
    await this.until(isClean);
    return this.report(stats, rows, await this.stats(), before, { seconds, pages });
  }

  private report(
    stats: readonly NodeStats[],
    rows: NodeRow[],
    end: readonly NodeStats[],
    before: StressReport["leaks"],
    load: { seconds: number; pages: number },
  ): StressReport {
    const totals = sumTotals(this.workloads.map((workload) => workload.totals));
    const leaks = leaksOver(leaksOf(end), before);
    const sum = (value: (row: NodeRow) => number): number => {
      return rows.reduce((total, one) => total + value(one), 0);
    };
    const { wrong, lost, unreachable, examples } = this.verdicts;
    const clean = leaks.frames + leaks.remote + leaks.foreign === 0;
    const balanced = this.targets.size === 0 || isBalanced(rows);
    if (!balanced) examples.push("what nodes call remote is not what their holders call foreign");
    if (!clean) examples.push("frames or pages are left after everything was flushed");
    return {
      pass: wrong + lost + unreachable === 0 && clean && balanced,
      nodes: this.clients.length,
      seed: this.options.seed,
      seconds: Math.round(load.seconds * 10) / 10,
      ops: { put: totals.put, get: totals.get, flush: totals.flush },
      pages_per_second: Math.round(load.pages / load.seconds),
      refused: totals.refused,
      wrong,
      lost,
      unreachable,
      remotified: sum((row) => row.remotified),
      repatriated: sum((row) => row.repatriated),
      remote_gets: sum((row) => row.remote_gets),
      compression_ratio: compressionRatio(stats),
      bytes_on_wire: sum((row) => row.bytes_sent),
      latency_us: sumLatencies(this.workloads.map((workload) => workload.latencies)),
      leaks,
      examples: [...examples],
      per_node: rows,
    };
  }

  private isBalanced(stats: readonly NodeStats[]): boolean {
    return this.targets.size === 0 || isBalanced(rowsOf(stats, this.targets));
  }

  /** Waits for a state of the cluster. When it does not come the report will say what is left. */
  private async until(condition: (stats: readonly NodeStats[]) => boolean): Promise<void> {
    const deadline = performance.now() + SETTLE_MS;
    while (performance.now() < deadline && !condition(await this.stats())) {
      await Bun.sleep(POLL_MS);
    }
  }

  private stats(): Promise<NodeStats[]> {
    return Promise.all(this.clients.map((client) => client.stats()));
  }

  private operations(): number {
    return this.workloads.reduce((sum, workload) => sum + workload.operations, 0);
  }

  /**
   * Shows how far it is, and rejects when nothing moves for STALL_MS in a phase that should move.
   */
  private watchProgress(): { promise: Promise<never>; stop: () => void } {
    let timer: Timer | undefined;
    const promise = new Promise<never>((_, reject) => {
      const started = performance.now();
      let last = -1;
      let movedAt = started;
      timer = setInterval(() => {
        const now = performance.now();
        const operations = this.operations();
        if (operations !== last || this.phase === "settle") movedAt = now;
        last = operations;
        if (now - movedAt > STALL_MS + SETTLE_MS) {
          reject(new NoProgressError(`no page moved for ${(now - movedAt) / 1000} s`));
        }
        const done = (now - started) / (this.options.durationMs + 5000);
        const { wrong, lost } = this.verdicts;
        const detail = `${operations} pages, ${wrong} wrong, ${lost} lost`;
        this.progress.show(this.phase, done, detail);
      }, 200);
    });
    return { promise, stop: () => clearInterval(timer) };
  }
}

function isEmpty(stats: readonly NodeStats[], before: StressReport["leaks"]): boolean {
  const { frames, remote, foreign } = leaksOver(leaksOf(stats), before);
  return frames + remote + foreign === 0;
}

/**
 * What there is over what was there before the run: nodes that run already may have pages of
 * others.
 */
function leaksOver(now: StressReport["leaks"], before: StressReport["leaks"]) {
  const over = (left: number, had: number): number => Math.max(0, left - had);
  return {
    frames: over(now.frames, before.frames),
    remote: over(now.remote, before.remote),
    foreign: over(now.foreign, before.foreign),
  };
}
