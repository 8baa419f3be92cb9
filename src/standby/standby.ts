/**
 * Standby: a process that waits until the one that serves dies, and succeeds it. It has all memory
 * beforehand: what is kept is mapped and locked, and its heap has grown.
 *
 *     connect --> (get ready) --> ready --> the active dies --> its memory is free --> serve
 *                                   `--> the active stops in good order --> end
 *
 * An active that says nothing for SILENT_MS hangs, and is killed. That is counted in periods in
 * which this process runs, so it does not happen after a sleep of the machine.
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";
import type { Address } from "../net/address.ts";
import type { Dialler } from "../net/transport.ts";
import { ALIVE_MS } from "./active.ts";
import { ActiveLink } from "./active-link.ts";

/** Longer than the kernel waits for a request, and much shorter than for another process. */
const SILENT_MS = 30_000;
const POLL_MS = 2;
/** How often the log says that the predecessor has not ended. */
const NOTICE_MS = 5000;

export interface StandbyEnv {
  readonly clock: Clock;
  readonly dialler: Dialler;
  readonly log: Log;
  /** Ends a process at once. */
  readonly kill: (pid: number) => void;
  /** Whether a process has closed all that it had open. */
  readonly hasEnded: (pid: number) => boolean;
  /** Takes the lock of the kept memory. */
  readonly lock: () => boolean;
}

export class Standby {
  private readonly env: StandbyEnv;
  private readonly address: Address;
  private readonly timers: Timers;
  private link: ActiveLink;
  private ownBytes: number | null = null;

  private constructor(env: StandbyEnv, address: Address, link: ActiveLink) {
    this.env = env;
    this.address = address;
    this.link = link;
    this.timers = new Timers(env.clock);
    this.watch();
  }

  /** @returns null when no process serves. */
  static async connect(env: StandbyEnv, address: Address): Promise<Standby | null> {
    const link = await ActiveLink.connect(env.dialler, address, "standby");
    return link === null ? null : new Standby(env, address, link);
  }

  /** It can succeed from here on. `ownBytes`: the memory that it alone takes. */
  ready(ownBytes: number): void {
    this.ownBytes = ownBytes;
    this.link.send(`ready ${ownBytes}`);
  }

  /**
   * Resolves when the process that served is gone and left its memory to this one: with its id. Or
   * with null when it ended in good order.
   */
  async succeed(): Promise<number | null> {
    for (;;) {
      const { link } = this;
      await link.ended;
      if (link.isStopping) break;
      if (await this.inherit(link.pid)) {
        this.timers.stop();
        return link.pid;
      }
    }
    this.timers.stop();
    return null;
  }

  /** @returns false when another process serves, or the same one still does. */
  private async inherit(pid: number): Promise<boolean> {
    const { clock, log, hasEnded, lock } = this.env;
    let noticeMs = clock.now() + NOTICE_MS;
    for (;;) {
      if (hasEnded(pid) && lock()) return true;
      const again = await ActiveLink.connect(this.env.dialler, this.address, "standby");
      if (again !== null) {
        this.link = again;
        if (this.ownBytes !== null) again.send(`ready ${this.ownBytes}`);
        return false;
      }
      if (clock.now() >= noticeMs) {
        noticeMs = clock.now() + NOTICE_MS;
        log.write("warn", "ramster", `process ${pid}, which served, has not ended yet`);
      }
      await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve));
    }
  }

  private watch(): void {
    let lineCount = -1;
    let silentMs = 0;
    this.timers.every("watch", ALIVE_MS, ALIVE_MS, () => {
      const { pid } = this.link;
      silentMs = this.link.lineCount === lineCount ? silentMs + ALIVE_MS : 0;
      lineCount = this.link.lineCount;
      // Without the connection the process is dead, and another one may have its id by now.
      if (silentMs < SILENT_MS || this.link.isStopping || this.link.hasEnded) return;
      silentMs = 0;
      const seconds = SILENT_MS / 1000;
      const what = `process ${pid}, which serves, has said nothing for ${seconds} s: ending it`;
      this.env.log.write("error", "ramster", what);
      this.env.kill(pid);
    });
  }
}
