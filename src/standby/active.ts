/**
 * Active: the process of a node that serves, as its other processes see it. They connect to a
 * socket next to the kept memory, and so notice at once when it dies.
 *
 *     active PID     to each of them, first       standby       I get ready to succeed you
 *     alive          each ALIVE_MS                ready BYTES   I am ready, and take so much memory
 *     stop           it ends in good order,       supervisor    I start your successors
 *                    and needs no successor
 */
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";
import { formatSize } from "../core/units.ts";
import type { Address } from "../net/address.ts";
import type { Listener, StreamEvents, Transport } from "../net/transport.ts";
import { LineStream } from "./lines.ts";

/** How often it says that it is alive. */
export const ALIVE_MS = 1000;

/** What is known of the standby. Null: there is none, or it is not ready. */
export interface StandbyState {
  /** The memory that it alone takes. */
  readonly ownBytes: number;
}

export class Active {
  private readonly env: { clock: Clock; transport: Transport; log: Log };
  private readonly pid: number;
  private readonly address: Address;
  private readonly others = new Set<LineStream>();
  private readonly timers: Timers;
  private listener: Listener | null = null;
  private isStopping = false;
  standby: StandbyState | null = null;

  /** `pid`: of this process. */
  constructor(
    env: { clock: Clock; transport: Transport; log: Log },
    { pid, address }: { pid: number; address: Address },
  ) {
    this.env = env;
    this.pid = pid;
    this.address = address;
    this.timers = new Timers(env.clock);
  }

  /** The node serves: other processes may connect. Rejects as Transport.listen. */
  async listen(): Promise<void> {
    this.listener = await this.env.transport.listen(this.address, () => this.accept());
    this.timers.every("alive", ALIVE_MS, ALIVE_MS, () => this.tell("alive"));
  }

  /** The node ends in good order: the other processes are not needed any more. */
  stop(): void {
    if (this.isStopping) return;
    this.isStopping = true;
    this.timers.stop();
    this.tell("stop");
    this.listener?.close();
    for (const other of this.others) other.close();
  }

  private accept(): StreamEvents {
    let role = "";
    const other = new LineStream({
      first: `active ${this.pid}`,
      onLine: ([word = "", ...words]) => {
        if (word === "standby" || word === "supervisor") role = word;
        else if (word === "ready" && role === "standby") this.isReady(Number(words[0]));
      },
      onEnd: () => {
        this.others.delete(other);
        if (!this.isStopping) this.hasGone(role);
      },
    });
    this.others.add(other);
    return other;
  }

  private isReady(ownBytes: number): void {
    this.standby = { ownBytes };
    const what = `a standby is ready, and takes ${formatSize(ownBytes)} beside what it shares`;
    this.env.log.write("info", "ramster", what);
  }

  private hasGone(role: string): void {
    const { log } = this.env;
    if (role === "supervisor") {
      const what = "the process that starts standbys has ended, and nobody starts another one";
      log.write("error", "ramster", `${what}: end the node with SIGTERM and start it again`);
    } else if (role === "standby") {
      this.standby = null;
      log.write("warn", "ramster", "the standby has ended: a crash of this process costs time now");
    }
  }

  private tell(line: string): void {
    for (const other of this.others) other.send(line);
  }
}
