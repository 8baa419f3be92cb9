/**
 * The client library: `connectIn` to a node's client door, then pools of pages.
 *
 * One connection carries any number of operations at once. With `redial`, a client whose connection
 * is lost dials again, and opens its pools with their tokens before anything else (connection.ts).
 * Without, every operation rejects with CLOSED from then on. The pools stay, and another client
 * opens them with their tokens (`openPool`).
 *
 * The package (mod.ts) and the programs of this project (on-bun.ts) bring their own environment.
 */

import { RamsterError } from "../core/errors.ts";
import { STATUS } from "../core/status.ts";
import { parseAddress } from "../net/address.ts";
import { securedDialler } from "../net/secured.ts";
import { parseKeyFile } from "../security/key-file.ts";
import type { Frame } from "../wire/framer.ts";
import { EVENTS_BYTES, MESSAGE } from "../wire/messages.ts";
import type { Events, NodeStats } from "../wire/stats.ts";
import { parseEvents, parseStats, type SentStats } from "../wire/stats-shape.ts";
import { Connection } from "./connection.ts";
import { openPoolBody, textOf } from "./messages.ts";
import { Pool } from "./pool.ts";
import type { Request } from "./requester.ts";
import type { ClientEnvironment } from "./session.ts";
import { type CallOptions, type CallSignal, unlessAborted } from "./signal.ts";

export interface ConnectOptions {
  /**
   * How long an operation may wait for its answer, and for a connection. Default: 30 s, longer than
   * a node waits for anything.
   */
  timeoutMs?: number | undefined;
  /** The text of the cluster's key file. Needed for tcp addresses of nodes that have one. */
  key?: string | undefined;
  /** Gives up connecting. It has no effect later. */
  signal?: CallSignal | undefined;
  /** Whether a lost connection is dialled again. */
  redial?: boolean | undefined;
}

export interface PoolOptions extends CallOptions {
  /** Pages stay until they are flushed. Otherwise they may vanish, and a get takes them away. */
  persistent: boolean;
  /** Pages that do not compress are stored whole instead of refused. */
  storeWhole?: boolean | undefined;
}

/** A request without what most of them have in common. */
type Question = Pick<Request, "type" | "again" | "read"> & {
  readonly count?: number;
  readonly body: Uint8Array;
};

const TIMEOUT_MS_DEFAULT = 30_000;

/**
 * Connects to `unix:/path` or `tcp:host:port`.
 *
 * Rejects with ADDRESS_UNREACHABLE when nothing answers, BAD_HANDSHAKE when it is no client door of
 * this protocol, BAD_CONFIG when `key` is not a key file.
 */
export async function connectIn(
  env: ClientEnvironment,
  address: string,
  { timeoutMs = TIMEOUT_MS_DEFAULT, key, signal, redial = false }: ConnectOptions = {},
): Promise<Client> {
  if (signal?.aborted === true) throw signal.reason;
  const transport =
    key === undefined ? env.transport : securedDialler(env.transport, parseKeyFile(key, null).tls);
  const connection = new Connection({ ...env, transport }, parseAddress(address), {
    timeoutMs,
    redial,
  });
  await unlessAborted(signal, () => connection.giveUp(), connection.open());
  return new Client(connection);
}

export class Client implements AsyncDisposable {
  private readonly connection: Connection;

  /** @internal Made by `connect`. */
  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The node's name, which it said when the connection was made. */
  get nodeName(): string {
    return this.connection.nodeName;
  }

  get nodeNumber(): number {
    return this.connection.nodeNumber;
  }

  /** Whether operations are sent at once. Otherwise they wait for a new connection, or reject. */
  get isConnected(): boolean {
    return this.connection.isConnected;
  }

  /** Makes a pool. Rejects with REFUSED when the node has no free one. */
  async newPool(options: PoolOptions): Promise<Pool> {
    const flags = (options.persistent ? 1 : 0) | (options.storeWhole === true ? 2 : 0);
    let id = 0;
    await this.ask(
      {
        type: MESSAGE.NEW_POOL,
        body: new Uint8Array([flags, 0, 0, 0]),
        again: false,
        read: (reply) => {
          if (reply.handlerStatus !== STATUS.OK) {
            throw new RamsterError("REFUSED", "Cannot make a pool: the node has no free pool");
          }
          id = reply.view.getUint16(reply.bodyAt);
        },
      },
      options,
    );
    const { requester, pools, redials } = this.connection;
    const pool = new Pool(requester, pools.made(id), { isOwn: true });
    if (redials) pool.learnToken();
    return pool;
  }

  /**
   * Opens a pool that another client made, with the result of `pool.token()` there. Rejects with
   * BAD_CONFIG for an invalid number or token, and with REFUSED when there is no such pool.
   */
  async openPool(id: number, token: string, options: CallOptions = {}): Promise<Pool> {
    await this.ask(
      {
        type: MESSAGE.OPEN_POOL,
        body: openPoolBody(id, token),
        again: true,
        read: (reply) => {
          if (reply.handlerStatus === STATUS.OK) return;
          const why = "the node has no pool with this number and token";
          throw new RamsterError("REFUSED", `Cannot open pool ${id}: ${why}`);
        },
      },
      options,
    );
    const link = this.connection.pools.opened(id, token);
    return new Pool(this.connection.requester, link, { isOwn: false });
  }

  /** The node's counters and state. */
  async stats(options: CallOptions = {}): Promise<NodeStats> {
    let { more, ...stats } = await this.statsPart(0, options);
    // A large cluster comes in several parts. No member is listed twice, even if others join.
    for (let from = 0; more > 0; ) {
      const listed = stats.members.length + stats.peers.length;
      if (listed === from) break;
      from = listed;
      const part = await this.statsPart(from, options);
      const members = byKey([...stats.members, ...part.members], ({ name }) => name);
      const peers = byKey([...stats.peers, ...part.peers], ({ node }) => node);
      stats = { ...stats, members, peers };
      more = part.more;
    }
    return stats;
  }

  private async statsPart(
    from: number,
    options: CallOptions,
  ): Promise<NodeStats & { more: number }> {
    const question = { type: MESSAGE.STATS, body: new Uint8Array(0), count: from, again: true };
    return withMissing(parseStats(await this.text(question, options)));
  }

  /**
   * The events after that number which the node still keeps. Rejects with NOT_SUPPORTED when the
   * node is of an earlier version.
   */
  async events(after = 0, options: CallOptions = {}): Promise<Events> {
    const body = new Uint8Array(EVENTS_BYTES);
    new DataView(body.buffer).setUint32(0, after);
    return parseEvents(await this.text({ type: MESSAGE.EVENTS, body, again: true }, options));
  }

  /** The value of a setting or counter. Throws UNKNOWN_SETTING when none has that name. */
  getKnob(name: string, options: CallOptions = {}): Promise<string> {
    const body = new TextEncoder().encode(name);
    return this.text({ type: MESSAGE.KNOB_GET, body, again: true }, options);
  }

  /**
   * Changes a setting. @returns the value now in force. Throws UNKNOWN_SETTING when none has that
   * name, and REFUSED, with the node's reason, when the value is not allowed.
   */
  setKnob(name: string, value: string, options: CallOptions = {}): Promise<string> {
    const nameBytes = new TextEncoder().encode(name);
    const body = new Uint8Array([
      nameBytes.byteLength >> 8,
      nameBytes.byteLength & 0xff,
      ...nameBytes,
      ...new TextEncoder().encode(value),
    ]);
    return this.text({ type: MESSAGE.KNOB_SET, body, again: false }, options);
  }

  /**
   * Says goodbye, and dials no more. Resolves when the connection is gone. Operations under way
   * reject with CLOSED.
   */
  close(): Promise<void> {
    return this.connection.close();
  }

  /** As `close`: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async text(question: Omit<Question, "read">, options: CallOptions): Promise<string> {
    let text = "";
    const read = (reply: Frame): void => {
      text = textOf(reply);
      const { handlerStatus } = reply;
      if (handlerStatus === STATUS.NOT_FOUND) throw new RamsterError("UNKNOWN_SETTING", text);
      if (handlerStatus !== STATUS.OK) throw new RamsterError("REFUSED", text);
    };
    await this.ask({ ...question, read }, options);
    return text;
  }

  private ask({ body, count = 0, ...rest }: Question, options: CallOptions): Promise<void> {
    const write = (bytes: Uint8Array, _view: DataView, at: number): number => {
      bytes.set(body, at);
      return body.byteLength;
    };
    const request = { ...rest, count, bodyBytesMax: body.byteLength, write };
    return this.connection.requester.request(request, options);
  }
}

/** The report with 0 for what nodes of earlier versions leave out. */
function withMissing(stats: SentStats): NodeStats & { more: number } {
  const pools = stats.pools ?? [];
  const members = stats.members.map((member) => {
    const { foreign_pages = 0, own_frames = 0 } = member;
    return { ...member, foreign_pages, own_frames };
  });
  return { ...stats, pools, members };
}

function byKey<T>(all: readonly T[], key: (one: T) => unknown): T[] {
  return [...new Map(all.map((one) => [key(one), one])).values()];
}
