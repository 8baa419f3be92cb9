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

import { ConfigError, RamsterError } from "../core/errors.ts";
import { BATCH_COUNT_MAX } from "../core/limits.ts";
import { STATUS } from "../core/status.ts";
import { parseAddress } from "../net/address.ts";
import { securedDialler } from "../net/secured.ts";
import type { TlsMaterial } from "../net/transport.ts";
import { parseKeyFile } from "../security/key-file.ts";
import type { Frame } from "../wire/framer.ts";
import { EVENTS_BYTES, KNOB_BYTES_MAX, MESSAGE } from "../wire/messages.ts";
import type { Events, MemberStats, NodeStats, PeerStats } from "../wire/stats.ts";
import { parseEvents, parseStats, type SentStats } from "../wire/stats-shape.ts";
import {
  badArgument,
  checkBoolean,
  checkCallOptions,
  checkObject,
  checkString,
  display,
  isU32,
} from "./arguments.ts";
import { Connection } from "./connection.ts";
import { openPoolBody, textOf } from "./messages.ts";
import { Pool } from "./pool.ts";
import type { Request } from "./requester.ts";
import type { ClientEnvironment } from "./session.ts";
import { type CallOptions, type CallSignal, Signals } from "./signal.ts";

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

/** Throws BAD_CONFIG when the text is not that of a key file. */
function tlsOf(key: string): TlsMaterial {
  try {
    return parseKeyFile(key, null).tls;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const help = key.includes("\n") ? "" : "; give the text of the file, not its path";
    throw new ConfigError("BAD_CONFIG", `Cannot use the key: ${error.message}${help}`);
  }
}

/**
 * Connects to `unix:/path` or `tcp:host:port`.
 *
 * Rejects with ADDRESS_UNREACHABLE when nothing answers, BAD_HANDSHAKE when it is no client door of
 * this protocol, BAD_CONFIG when `key` is not a key file, or an option is none.
 */
export async function connectIn(
  env: ClientEnvironment,
  address: string,
  options: ConnectOptions = {},
): Promise<Client> {
  checkString(address, "address");
  checkCallOptions(options);
  const { timeoutMs = TIMEOUT_MS_DEFAULT, key, signal, redial = false } = options;
  if (key !== undefined) checkString(key, "key");
  if (signal?.aborted === true) throw signal.reason;
  const transport = key === undefined ? env.transport : securedDialler(env.transport, tlsOf(key));
  const connection = new Connection({ ...env, transport }, parseAddress(address), {
    timeoutMs,
    redial,
  });
  await new Signals().unlessAborted(signal, () => connection.giveUp(), connection.open());
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
    checkObject(options, "options");
    const { persistent, storeWhole = false } = options;
    checkBoolean(persistent, "persistent");
    checkBoolean(storeWhole, "storeWhole");
    const flags = (persistent ? 1 : 0) | (storeWhole ? 2 : 0);
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
    // A large cluster comes in several parts. No member is listed twice, even if others join.
    const members = new Map<string, MemberStats>();
    const peers = new Map<number, PeerStats>();
    let first: NodeStats | null = null;
    for (let from = 0; ; from = members.size + peers.size) {
      if (from > BATCH_COUNT_MAX) {
        throw new RamsterError("BAD_FRAME", "Cannot read the stats of the node: they have no end");
      }
      const { more, ...part } = await this.statsPart(from, options);
      first ??= part;
      for (const member of part.members) members.set(member.name, member);
      for (const peer of part.peers) peers.set(peer.node, peer);
      if (more > 0 && members.size + peers.size > from) continue;
      return { ...first, members: [...members.values()], peers: [...peers.values()] };
    }
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
   * node is of an earlier version, and with BAD_CONFIG when `after` is not a number below 2^32.
   */
  async events(after = 0, options: CallOptions = {}): Promise<Events> {
    if (!isU32(after)) throw badArgument(`Cannot get events after ${display(after)}: no number`);
    const body = new Uint8Array(EVENTS_BYTES);
    new DataView(body.buffer).setUint32(0, after);
    return parseEvents(await this.text({ type: MESSAGE.EVENTS, body, again: true }, options));
  }

  /** The value of a setting or counter. Throws UNKNOWN_SETTING when none has that name. */
  async getKnob(name: string, options: CallOptions = {}): Promise<string> {
    checkString(name, "name");
    const body = new TextEncoder().encode(name);
    checkKnobBytes(body);
    return this.text({ type: MESSAGE.KNOB_GET, body, again: true }, options);
  }

  /**
   * Changes a setting. @returns the value now in force. Throws UNKNOWN_SETTING when none has that
   * name, and REFUSED, with the node's reason, when the value is not allowed.
   */
  async setKnob(name: string, value: string, options: CallOptions = {}): Promise<string> {
    checkString(name, "name");
    checkString(value, "value");
    const nameBytes = new TextEncoder().encode(name);
    const body = new Uint8Array([
      nameBytes.byteLength >> 8,
      nameBytes.byteLength & 0xff,
      ...nameBytes,
      ...new TextEncoder().encode(value),
    ]);
    checkKnobBytes(body);
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

/** A name that is longer with its value would end the connection. */
function checkKnobBytes(body: Uint8Array): void {
  if (body.byteLength <= KNOB_BYTES_MAX) return;
  throw badArgument(`Cannot use name and value: longer than ${KNOB_BYTES_MAX} bytes`);
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
