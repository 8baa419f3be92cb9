/**
 * Run: the phases of a stress run, on nodes that already run.
 *
 *     fill -> load -> settle -> verify -> probe -> settle -> clean -> settle
 *
 * `settle` waits until nothing is in flight and the books of all nodes agree. A state that does not
 * come is a finding, and the run has failed.
 *
 * Not here: starting and ending nodes (supervisor.ts), puts and gets (workload.ts), the figures of
 * the report (report.ts).
 */

import type { Client } from "../../src/client/client.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { formatCount, formatDuration } from "../../src/core/units.ts";
import { shortCount } from "../../src/monitoring/short-numbers.ts";
import type { NodeStats } from "../../src/wire/stats.ts";
import { idleHoldersOf, imbalancesOf, owedFlushesOf } from "./books.ts";
import type { Chaos, ChaosReport } from "./chaos.ts";
import { noVerdicts } from "./checker.ts";
import type { StressOptions } from "./options.ts";
import type { PageSource } from "./page-source.ts";
import {
  compressionRatio,
  isQuiet,
  leaksOf,
  type NodeRow,
  pagesOf,
  rowsOf,
  type StressReport,
  sumLatencies,
  sumTotals,
} from "./report.ts";
import type { Timeline } from "./timeline.ts";
import { Workload } from "./workload.ts";

/** A node that finishes no page for this long, with pages to do, has stopped making progress. */
const STALL_MS = 15_000;
/** Bound of the time until the cluster is at rest. */
const SETTLE_MS = 20_000;
const POLL_MS = 50;
const PROGRESS_MS = 200;
/** Fill, verify and clean take about this long together. */
const REST_MS = 5000;
/** Single gets for latencies, one at a time: of each node, and of all together. */
const PROBE_GETS = 400;
const PROBE_GETS_ALL = 3200;

/** No page moved that should have, or there was none to check. */
export class NoProgressError extends Error {
  override readonly name = "NoProgressError";
}

/** Shows the progress of the run. */
export interface Progress {
  /** `done` of 0 .. 1. */
  show(phase: string, done: number, detail: string): void;
  /** Writes a line that stays. */
  note(line: string): void;
  /** Shows nothing any more. */
  end(): void;
}

export interface RunParts {
  options: StressOptions & { seed: number };
  source: PageSource;
  progress: Progress;
  clients: readonly Client[];
  /** Which node sends to which, among nodes that this run has started. Empty for running nodes. */
  targets: ReadonlyMap<number, number | "auto" | null>;
  /** Numbers of the nodes that pages are put on. */
  loaded: readonly number[];
  /** Disturbances of holders under load. */
  chaos: Chaos | null;
  /** It gets its samples from here, and its marks from `chaos`. */
  timeline: Timeline;
}

export class Run {
  private readonly parts: RunParts;
  private readonly workloads: Workload[];
  private readonly verdicts = noVerdicts();
  /** Findings beside single pages, a sentence each. */
  private readonly findings: string[] = [];
  /** Nodes with pages to do, and the count of finished pages when it last changed. */
  private readonly working = new Map<Workload, { operations: number; movedAt: number }>();
  private chaos: ChaosReport | null = null;
  private phase = "fill";
  private startedAt = 0;
  private load = { seconds: 0, pages: 0 };
  private before: readonly NodeStats[] = [];
  private atRest: readonly NodeStats[] = [];
  private atEnd: readonly NodeStats[] = [];

  constructor(parts: RunParts) {
    this.parts = parts;
    const { options, source, clients, loaded } = parts;
    const { verdicts } = this;
    const { mix, seed } = options;
    const pageCount = Math.floor(options.workingSetBytes / PAGE_BYTES);
    this.workloads = clients
      .filter((client) => loaded.includes(client.nodeNumber))
      .map((client) => {
        const node = client.nodeNumber;
        return new Workload({ client, source, verdicts }, { node, pageCount, mix, seed });
      });
  }

  /** Runs all phases. Rejects with NoProgressError, or with an error of the client library. */
  async all(): Promise<StressReport> {
    const progress = this.watchProgress();
    try {
      await Promise.race([this.phases(), progress.stalled]);
    } catch (error) {
      if (!(error instanceof RamsterError) || error.code !== "TIMED_OUT") throw error;
      throw new NoProgressError(error.message, { cause: error });
    } finally {
      progress.stop();
    }
    if (this.workloads.every((workload) => workload.stored === 0)) {
      throw new NoProgressError("every put was refused, so there was nothing to check");
    }
    return this.report();
  }

  /** The result so far. It passes only when all phases are done without a finding. */
  report(): StressReport {
    const { options, targets, clients } = this.parts;
    const totals = sumTotals(this.workloads.map((workload) => workload.totals));
    const rows = rowsOf(this.atRest, targets, this.before);
    const refusedOf = new Map(
      this.workloads.map(({ node, totals: { refused } }) => [node, refused]),
    );
    const leaks = leaksOver(leftOf(this.atEnd), leftOf(this.before));
    const sum = (value: (row: NodeRow) => number): number => {
      return rows.reduce((total, one) => total + value(one), 0);
    };
    const { wrong, lost, unreachable } = this.verdicts;
    const findings = [...this.findings, ...idleHoldersOf(rows, refusedOf)];
    const { seconds, pages } = this.load;
    return {
      pass:
        this.phase === "done" &&
        wrong + lost + unreachable + findings.length === 0 &&
        isClean(leaks),
      nodes: clients.length,
      seed: options.seed,
      seconds: Math.round(seconds * 10) / 10,
      ops: { put: totals.put, get: totals.get, flush: totals.flush },
      pages_per_second: seconds === 0 ? 0 : Math.round(pages / seconds),
      refused: totals.refused,
      wrong,
      lost,
      unreachable,
      remotified: sum((row) => row.remotified),
      repatriated: sum((row) => row.repatriated),
      remote_gets: sum((row) => row.remote_gets),
      compression_ratio: compressionRatio(this.atRest, this.before),
      bytes_on_wire: sum((row) => row.bytes_sent),
      latency_us: sumLatencies(this.workloads.map((workload) => workload.latencies)),
      leaks,
      owed_flushes: owedFlushesOf(this.atEnd),
      ...(this.chaos === null ? {} : { chaos: this.chaos }),
      timeline: { samples: this.parts.timeline.samples, marks: this.parts.timeline.marks },
      examples: [...this.verdicts.examples, ...findings],
      per_node: rows,
    };
  }

  /** Flushes the pages of this run, as far as the nodes still answer. For nodes that go on. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.workloads.map((workload) => workload.abandon()));
  }

  private async phases(): Promise<void> {
    this.before = await this.stats();
    await this.each("open", (workload) => workload.open());
    this.startedAt = performance.now();
    this.parts.timeline.start(this.startedAt);
    await this.each("fill", (workload) => workload.fill());
    const end = performance.now() + this.parts.options.durationMs;
    const isOver = (): boolean => performance.now() >= end && this.parts.chaos?.isEnough !== false;
    const loads = new Map(this.workloads.map((workload) => [workload.node, workload]));
    const chaos = this.parts.chaos?.start(loads);
    const load = this.each("load", (workload) => workload.load(isOver));
    // A disturbance that cannot be undone ends the load, too.
    await Promise.all([load, Promise.race([load, chaos ?? load])]);
    this.chaos = (await this.parts.chaos?.stop()) ?? null;
    this.findings.push(...(this.chaos?.findings ?? []));
    this.findings.push(...this.workloads.flatMap((workload) => workload.findings));
    this.load = { seconds: (performance.now() - this.startedAt) / 1000, pages: this.operations() };
    await this.settled();
    await this.each("verify", (workload) => workload.verify());
    const share = Math.ceil(PROBE_GETS_ALL / this.workloads.length);
    const gets = Math.min(PROBE_GETS, share);
    await this.each("probe", (workload) => workload.probe(gets));
    this.atRest = await this.settled();
    await this.each("clean", (workload) => workload.clean());
    this.atEnd = await this.until(
      (stats) => isQuiet(stats) && isClean(leaksOver(leftOf(stats), leftOf(this.before))),
      "everything was flushed and yet not all is gone",
    );
    this.phase = "done";
  }

  /** Runs one phase on all nodes at once. */
  private async each(phase: string, work: (workload: Workload) => Promise<void>): Promise<void> {
    this.phase = phase;
    const movedAt = performance.now();
    await Promise.all(
      this.workloads.map(async (workload) => {
        this.working.set(workload, { operations: workload.operations, movedAt });
        await work(workload);
        this.working.delete(workload);
      }),
    );
  }

  /**
   * Nothing is in flight, and pages that are remote at an owner are foreign at its holder. Running
   * nodes are asked for the first only: this run may not know their other peers.
   */
  private async settled(): Promise<readonly NodeStats[]> {
    const known = this.parts.targets.size > 0;
    const imbalances = (stats: readonly NodeStats[]) => (known ? imbalancesOf(stats) : []);
    const stats = await this.until(
      (now) => isQuiet(now) && imbalances(now).length === 0,
      "the cluster has not come to rest",
    );
    this.findings.push(...imbalances(stats));
    return stats;
  }

  /**
   * Waits for a state of the cluster. It is a finding when the state does not come.
   *
   * @returns the state that was judged: it may have changed again since.
   */
  private async until(
    condition: (stats: readonly NodeStats[]) => boolean,
    finding: string,
  ): Promise<readonly NodeStats[]> {
    this.phase = "settle";
    const deadline = performance.now() + SETTLE_MS;
    while (true) {
      const stats = await this.stats();
      if (condition(stats)) return stats;
      if (performance.now() >= deadline) {
        this.findings.push(`${finding} after ${SETTLE_MS / 1000} s`);
        return stats;
      }
      await Bun.sleep(POLL_MS);
    }
  }

  private stats(): Promise<NodeStats[]> {
    return Promise.all(this.parts.clients.map((client) => client.stats()));
  }

  private operations(): number {
    return this.workloads.reduce((sum, workload) => sum + workload.operations, 0);
  }

  /** Shows the progress. `stalled` rejects when a node with pages to do finishes none. */
  private watchProgress(): { stalled: Promise<never>; stop: () => void } {
    let timer: Timer | undefined;
    const stalled = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        const now = performance.now();
        for (const [workload, seen] of this.working) {
          if (workload.operations !== seen.operations) {
            this.working.set(workload, { operations: workload.operations, movedAt: now });
          } else if (now - seen.movedAt > STALL_MS) {
            const what = `node ${workload.node} has done no page for ${STALL_MS / 1000} s`;
            reject(new NoProgressError(`${what} in phase "${this.phase}"`));
          }
        }
        this.showProgress(now);
      }, PROGRESS_MS);
    });
    return { stalled, stop: () => clearInterval(timer) };
  }

  private showProgress(now: number): void {
    const { timeline, options, progress } = this.parts;
    const pages = this.operations();
    timeline.observe(
      now,
      this.phase,
      pages,
      this.workloads.map((workload) => workload.latencies),
    );
    const done = this.startedAt === 0 ? 0 : now - this.startedAt;
    const wholeMs = options.durationMs + REST_MS;
    const { wrong, lost } = this.verdicts;
    const leftMs = Math.max(1, Math.ceil((wholeMs - done) / 1000)) * 1000;
    const left = done < wholeMs ? `, ${formatDuration(leftMs)} left` : "";
    const verdicts = wrong + lost === 0 ? "" : `, ${wrong} wrong, ${lost} lost`;
    const rate = `${shortCount(timeline.rate)} pages/s`;
    const detail = `${rate}, ${formatCount(pages)} pages${verdicts}${left}`;
    progress.show(this.phase, done / wholeMs, detail);
  }
}

function isClean({ frames, remote, foreign }: StressReport["leaks"]): boolean {
  return frames + remote + foreign === 0;
}

/** Pages and copies of the nodes at one moment. */
interface Left {
  leaks: StressReport["leaks"];
  pages: number;
}

function leftOf(stats: readonly NodeStats[]): Left {
  return { leaks: leaksOf(stats), pages: pagesOf(stats) };
}

/**
 * Pages and copies beyond those of before the run: running nodes may have pages of others. Those
 * may have moved between frames and holders, so only their number is compared.
 */
function leaksOver(now: Left, before: Left): StressReport["leaks"] {
  const over = (left: number, had: number): number => Math.max(0, left - had);
  const { frames, remote, foreign } = now.leaks;
  if (before.pages + before.leaks.foreign === 0) return { frames, remote, foreign };
  return {
    frames: 0,
    remote: over(now.pages, before.pages),
    foreign: over(foreign, before.leaks.foreign + before.pages),
  };
}
