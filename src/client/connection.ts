/**
 * Connection: the connection of a client to its node, and the next one when it is lost.
 *
 *     open > [ session ] --lost--> wait > dial > open pools again > [ session ] ...
 *                                    ^------ failed, twice as long ------/
 *
 * The wait doubles up to REDIAL_MS_MAX, and half of it is drawn at random. A client dials until it
 * is closed. The time-outs of its operations bound how long they wait.
 *
 * A node that has restarted knows none of the tokens. Then the pools are gone, and their operations
 * reject with POOL_GONE.
 */
import type { TimerId } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import { REDIAL_MS_MAX, REDIAL_MS_MIN } from "../core/limits.ts";
import type { Address } from "../net/address.ts";
import { backoffMs } from "../net/backoff.ts";
import { PoolLinks } from "./pool-link.ts";
import { Requester } from "./requester.ts";
import { type ClientEnvironment, Session } from "./session.ts";

export interface ConnectionOptions {
  readonly timeoutMs: number;
  readonly redial: boolean;
}

const REDIAL_BOUNDS = { minMs: REDIAL_MS_MIN, maxMs: REDIAL_MS_MAX };

export class Connection {
  readonly requester: Requester;
  readonly pools = new PoolLinks();
  readonly redials: boolean;
  nodeName = "";
  nodeNumber = 0;
  private readonly env: ClientEnvironment;
  private readonly address: Address;
  private readonly timeoutMs: number;
  private session: Session | null = null;
  private isReady = false;
  private isClosed = false;
  private failures = 0;
  private redialTimer: TimerId | null = null;

  constructor(env: ClientEnvironment, address: Address, { timeoutMs, redial }: ConnectionOptions) {
    this.env = env;
    this.address = address;
    this.timeoutMs = timeoutMs;
    this.redials = redial;
    this.requester = new Requester(env.clock, timeoutMs);
  }

  get isConnected(): boolean {
    return this.isReady;
  }

  /** Connects for the first time. Rejects when that fails. */
  async open(): Promise<void> {
    await this.dial();
  }

  /** Gives up what `open` does. */
  giveUp(): void {
    this.isClosed = true;
    this.session?.terminate("given up");
  }

  async close(): Promise<void> {
    const { session } = this;
    this.isClosed = true;
    if (this.redialTimer !== null) this.env.clock.cancel(this.redialTimer);
    this.redialTimer = null;
    if (this.isReady) await session?.close();
    else session?.terminate("the client closes");
    this.isReady = false;
    this.requester.onLost("the client was closed", true);
  }

  private async dial(): Promise<void> {
    const session = new Session(
      this.env,
      {
        onRoom: () => this.requester.onRoom(),
        onEnd: (reason) => this.onEnd(session, reason),
      },
      this.timeoutMs,
    );
    this.session = session;
    await session.dial(this.address);
    this.nodeName = session.nodeName;
    this.nodeNumber = session.nodeNumber;
    await this.reopenPools(session);
    if (this.isClosed || !session.channel.isOpen) {
      session.terminate("given up");
      throw new RamsterError("CLOSED", "Cannot connect: the connection was closed");
    }
    this.isReady = true;
    this.failures = 0;
    this.requester.use(session.channel);
  }

  private async reopenPools(session: Session): Promise<void> {
    const links = this.pools.forNextConnection();
    await Promise.all(
      links.map(async (link) => {
        if (!(await session.reopen(link.id, link.token))) this.pools.forget(link);
      }),
    );
  }

  private onEnd(session: Session, reason: string): void {
    if (session !== this.session || !this.isReady) return; // `dial` notices.
    this.isReady = false;
    const isFinal = this.isClosed || !this.redials;
    this.requester.onLost(reason, isFinal);
    if (!isFinal) this.redial();
  }

  private redial(): void {
    const waitMs = backoffMs(this.failures, this.env.random.u32(), REDIAL_BOUNDS);
    this.failures += 1;
    this.redialTimer = this.env.clock.after(waitMs, () => {
      this.redialTimer = null;
      this.dial().catch((error: unknown) => {
        if (this.isClosed) return;
        this.session?.terminate("given up");
        this.requester.onUnreachable(error instanceof Error ? error.message : String(error));
        this.redial();
      });
    });
  }
}
