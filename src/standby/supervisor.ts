/**
 * Supervisor: the process that a person or a service manager starts. It serves nothing. It starts
 * the process that serves and the standby, and another standby each time one has taken over.
 *
 *     supervisor --starts--> active    serves, with the kept memory
 *          \-----starts--> standby     takes over when the active dies (standby.ts)
 *
 * A takeover does not need the supervisor, which may be swapped out meanwhile. Signals are passed
 * on to the active.
 *
 * A request that kills the active kills its successor too, since the kernel sends it again. So
 * after a process that died soon, the next one is started later each time, and after
 * QUICK_DEATHS_MAX of them in a row no more. SIGKILL does not count: it comes from outside.
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { ActiveLink } from "./active-link.ts";

/** A process that served for less time than this died soon. */
const QUICK_MS = 10_000;
const QUICK_DEATHS_MAX = 8;
/** Before another process is started: after each one that failed, twice as long. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 60_000;
const POLL_MS = 50;

/** What a process of the node does. */
export type Part = "active" | "standby";

/** How a process ended. */
export interface End {
  /** Null: a signal ended it. */
  readonly code: number | null;
  /** "SIGKILL", or "exit code 70". */
  readonly how: string;
}

export interface Child {
  readonly pid: number;
  readonly ended: Promise<End>;
  kill(signal: NodeJS.Signals): void;
}

export interface SupervisorEnv {
  readonly clock: Clock;
  readonly log: Log;
  readonly start: (part: Part) => Child;
  /** Connects to the process that serves. Null: none does. */
  readonly connect: () => Promise<ActiveLink | null>;
}

export class Supervisor {
  private readonly env: SupervisorEnv;
  /** Serves, or is about to. Null: between two tries. */
  private active: Child | null = null;
  private standby: Child | null = null;
  private link: ActiveLink | null = null;
  private hasServed = false;
  private servesSinceMs: number | null = null;
  private quickDeaths = 0;
  private standbyFailures = 0;
  private readonly result = Promise.withResolvers<number>();

  /** Starts the process that serves. */
  constructor(env: SupervisorEnv) {
    this.env = env;
    this.watchActive(env.start("active"));
  }

  /** Resolves when the node has ended, with the exit code. */
  get ended(): Promise<number> {
    return this.result.promise;
  }

  /** Passes a signal on that stops a node. */
  stop(signal: NodeJS.Signals): void {
    if (this.active === null) this.result.resolve(1);
    else this.active.kill(signal);
  }

  /** Passes a signal on that all processes of the node obey. */
  signal(signal: NodeJS.Signals): void {
    this.active?.kill(signal);
    this.standby?.kill(signal);
  }

  private watchActive(child: Child): void {
    this.active = child;
    this.servesSinceMs = null;
    void this.untilItServes(child);
    void child.ended.then((end) => this.activeEnded(child, end));
  }

  private async untilItServes(child: Child): Promise<void> {
    const { clock, connect } = this.env;
    for (;;) {
      const link = await connect();
      if (this.active !== child) return link?.close();
      if (link?.pid === child.pid) {
        this.link = link;
        break;
      }
      link?.close();
      await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve));
    }
    this.hasServed = true;
    this.servesSinceMs = clock.now();
    this.startStandby(this.quickDeaths === 0 ? 0 : this.retryMs(this.quickDeaths));
  }

  private activeEnded(child: Child, end: End): void {
    const { log } = this.env;
    const { standby } = this;
    this.active = null;
    if (!this.hasServed || this.link?.isStopping === true) return this.finish(end);
    log.write("error", "ramster", `process ${child.pid}, which served, ended by ${end.how}`);
    this.quickDeaths = this.isQuick(end) ? this.quickDeaths + 1 : 0;
    this.link = null;
    if (this.hasGivenUp) {
      const what = `${QUICK_DEATHS_MAX} processes in a row died within ${QUICK_MS / 1000} s`;
      const how = "no other one is started. What is kept stays, for a node that is started by hand";
      log.write("error", "ramster", `${what}: ${how}`);
    }
    if (standby !== null) {
      this.standby = null;
      this.watchActive(standby);
      return;
    }
    if (this.hasGivenUp) return this.finish(end);
    const why = "there was no standby: starting a process that takes over what was kept";
    log.write("warn", "ramster", why);
    this.env.clock.after(this.retryMs(this.quickDeaths), () => {
      this.watchActive(this.env.start("active"));
    });
  }

  private isQuick({ how }: End): boolean {
    const { servesSinceMs } = this;
    if (how === "SIGKILL") return false;
    return servesSinceMs === null || this.env.clock.now() - servesSinceMs < QUICK_MS;
  }

  private get hasGivenUp(): boolean {
    return this.quickDeaths >= QUICK_DEATHS_MAX;
  }

  private retryMs(failures: number): number {
    return Math.min(RETRY_MS * 2 ** failures, RETRY_MS_MAX);
  }

  private startStandby(delayMs: number): void {
    const { clock, start } = this.env;
    if (this.hasGivenUp) return;
    const { link } = this;
    clock.after(delayMs, () => {
      if (this.link !== link || link?.isStopping === true || this.standby !== null) return;
      const child = start("standby");
      this.standby = child;
      const startMs = clock.now();
      void child.ended.then((end) => this.standbyEnded(child, { end, startMs }));
    });
  }

  private standbyEnded(child: Child, { end, startMs }: { end: End; startMs: number }): void {
    // As the active it is watched by another one.
    if (this.standby !== child) return;
    this.standby = null;
    if (end.code === 0 || this.link === null || this.link.isStopping) return;
    const { clock, log } = this.env;
    const isQuick = clock.now() - startMs < QUICK_MS;
    this.standbyFailures = isQuick ? this.standbyFailures + 1 : 0;
    const delayMs = this.retryMs(this.standbyFailures);
    const next = `another one is started in ${delayMs / 1000} s`;
    log.write("warn", "ramster", `the standby, process ${child.pid}, ended by ${end.how}: ${next}`);
    this.startStandby(delayMs);
  }

  private finish(end: End): void {
    const { standby } = this;
    this.link?.close();
    const code = end.code ?? 1;
    if (standby === null) return this.result.resolve(code);
    standby.kill("SIGTERM");
    void standby.ended.then(() => this.result.resolve(code));
  }
}
