/**
 * The client library: `connect` to a node's client door, then pools of pages.
 *
 * One connection carries any number of operations at once. It is not redialled. When it is lost,
 * every operation rejects with CLOSED. The pools stay, and another connection opens them with their
 * tokens (`openPool`).
 */

import { BufferPool } from "../core/buffer-pool.ts";
import type { Clock } from "../core/clock.ts";
import { PeerError, RamsterError } from "../core/errors.ts";
import { HANDSHAKE_TIMEOUT_MS } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { STATUS } from "../core/status.ts";
import { openMemory } from "../memory/open-memory.ts";
import { parseAddress } from "../net/address.ts";
import { BunClock, BunTransport } from "../net/bun.ts";
import { Channel, type ChannelHandler } from "../net/channel.ts";
import { LinkCounters } from "../net/counters.ts";
import { secured } from "../net/secured.ts";
import type { Transport } from "../net/transport.ts";
import { parseKeyFile } from "../security/key-file.ts";
import {
  OPEN_POOL_BYTES,
  OPEN_POOL_TOKEN_OFFSET,
  POOL_TOKEN_BYTES,
} from "../wire/client-entries.ts";
import type { Frame } from "../wire/framer.ts";
import { clientHello, decodeHello, encodeHello, HELLO_BYTES_MAX } from "../wire/handshake.ts";
import { EVENTS_BYTES, GOODBYE, MESSAGE } from "../wire/messages.ts";
import type { Events, NodeStats } from "../wire/stats.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { Pool } from "./pool.ts";
import { Requester } from "./requester.ts";

export interface ConnectOptions {
  /**
   * How long an operation may wait for its answer. Default: 30 s, longer than a node waits for
   * anything.
   */
  timeoutMs?: number;
  /** The text of the cluster's key file. Needed for tcp addresses of nodes that have one. */
  key?: string | undefined;
}

/** Time, sockets and memory, which tests replace. */
export interface ClientEnvironment {
  clock: Clock;
  transport: Transport;
  memory: Memory;
}

export interface PoolOptions {
  persistent: boolean;
  /** Pages that do not compress are stored whole instead of refused. */
  storeWhole?: boolean;
}

const TIMEOUT_MS_DEFAULT = 30_000;

/**
 * Connects to `unix:/path` or `tcp:host:port`.
 *
 * Rejects with ADDRESS_UNREACHABLE when nothing answers, BAD_HANDSHAKE when it is no client door of
 * this protocol, BAD_CONFIG when `key` is not a key file.
 */
export async function connect(
  address: string,
  options: ConnectOptions = {},
  environment?: ClientEnvironment,
): Promise<Client> {
  const env = environment ?? {
    clock: new BunClock(),
    transport: new BunTransport(),
    memory: openMemory(),
  };
  const { key, timeoutMs = TIMEOUT_MS_DEFAULT } = options;
  const transport =
    key === undefined ? env.transport : secured(env.transport, parseKeyFile(key, null).tls);
  const client = new Client({ ...env, transport }, timeoutMs);
  await client.open(address);
  return client;
}

export class Client implements ChannelHandler {
  /** The node's name and number, from its HELLO. */
  nodeName = "";
  nodeNumber = 0;
  private readonly env: ClientEnvironment;
  private readonly channel: Channel;
  private readonly requester: Requester;
  private opened: ((error: RamsterError | null) => void) | null = null;
  private goneListeners: Array<() => void> = [];
  private isGone = false;
  private lastReason = "";

  constructor(env: ClientEnvironment, timeoutMs: number) {
    this.env = env;
    this.channel = new Channel({ ...env, pool: new BufferPool() }, this, new LinkCounters());
    this.requester = new Requester(this.channel, { timeoutMs });
  }

  /** Called by `connect`. */
  async open(address: string): Promise<void> {
    const stream = this.env.transport.connect(parseAddress(address), this.channel);
    this.channel.attach(stream);
    await new Promise<void>((resolve, reject) => {
      const timer = this.env.clock.after(HANDSHAKE_TIMEOUT_MS, () => {
        this.channel.terminate(`no answer within ${HANDSHAKE_TIMEOUT_MS} ms`);
      });
      this.opened = (error): void => {
        this.opened = null;
        this.env.clock.cancel(timer);
        if (error === null) resolve();
        else reject(error);
      };
    }).catch((error: unknown) => {
      if (!(error instanceof RamsterError) || error.code !== "ADDRESS_UNREACHABLE") throw error;
      throw new PeerError(
        "ADDRESS_UNREACHABLE",
        `Cannot connect to "${address}": ${error.message}`,
      );
    });
    await this.greet(address);
  }

  async newPool(options: PoolOptions): Promise<Pool> {
    const flags = (options.persistent ? 1 : 0) | (options.storeWhole === true ? 2 : 0);
    let id = 0;
    await this.requester.request(
      MESSAGE.NEW_POOL,
      { count: 0, bodyBytesMax: 4 },
      (_bytes, view, at) => {
        view.setUint32(at, flags << 24);
        return 4;
      },
      (reply) => {
        if (reply.handlerStatus !== STATUS.OK) {
          throw new RamsterError("REFUSED", "Cannot make a pool: the node has no free pool");
        }
        id = reply.view.getUint16(reply.bodyAt);
      },
    );
    return new Pool(this.requester, id);
  }

  /**
   * Opens a pool that another connection made, with the result of `pool.token()` there. Rejects
   * with BAD_CONFIG for an invalid number or token, and with REFUSED when there is no such pool.
   */
  async openPool(id: number, token: string): Promise<Pool> {
    const body = openPoolBody(id, token);
    await this.requester.request(
      MESSAGE.OPEN_POOL,
      { count: 0, bodyBytesMax: body.byteLength },
      (bytes, _view, at) => {
        bytes.set(body, at);
        return body.byteLength;
      },
      (reply) => {
        if (reply.handlerStatus === STATUS.OK) return;
        const why = "the node has no pool with this number and token";
        throw new RamsterError("REFUSED", `Cannot open pool ${id}: ${why}`);
      },
    );
    return new Pool(this.requester, id);
  }

  /** The node's counters and state. */
  async stats(): Promise<NodeStats> {
    let { more, ...stats } = await this.statsPart(0);
    // A large cluster comes in several parts. No member is listed twice, even if others join.
    for (let from = 0; more > 0; ) {
      const listed = stats.members.length + stats.peers.length;
      if (listed === from) break;
      from = listed;
      const part = await this.statsPart(from);
      const members = byKey([...stats.members, ...part.members], ({ name }) => name);
      const peers = byKey([...stats.peers, ...part.peers], ({ node }) => node);
      stats = { ...stats, members, peers };
      more = part.more;
    }
    return stats;
  }

  private async statsPart(from: number): Promise<NodeStats & { more: number }> {
    const part = JSON.parse(await this.text(MESSAGE.STATS, new Uint8Array(0), from));
    return withMissing(part);
  }

  /**
   * The events after that number which the node still keeps. Rejects with NOT_SUPPORTED when the
   * node is of an earlier version.
   */
  async events(after = 0): Promise<Events> {
    const body = new Uint8Array(EVENTS_BYTES);
    new DataView(body.buffer).setUint32(0, after);
    return JSON.parse(await this.text(MESSAGE.EVENTS, body));
  }

  /** The value of a setting or counter. Throws UNKNOWN_SETTING when none has that name. */
  getKnob(name: string): Promise<string> {
    return this.text(MESSAGE.KNOB_GET, new TextEncoder().encode(name));
  }

  /**
   * Changes a setting. @returns the value now in force. Throws UNKNOWN_SETTING when none has that
   * name, and REFUSED, with the node's reason, when the value is not allowed.
   */
  setKnob(name: string, value: string): Promise<string> {
    const nameBytes = new TextEncoder().encode(name);
    const body = new Uint8Array([
      nameBytes.byteLength >> 8,
      nameBytes.byteLength & 0xff,
      ...nameBytes,
      ...new TextEncoder().encode(value),
    ]);
    return this.text(MESSAGE.KNOB_SET, body);
  }

  /**
   * Says goodbye. Resolves when the connection is gone. Operations under way reject with CLOSED.
   */
  async close(): Promise<void> {
    this.channel.goodbye(GOODBYE.STOPPING, "the client closes");
    if (this.isGone) return;
    await new Promise<void>((resolve) => {
      this.goneListeners.push(resolve);
    });
  }

  // Channel events.

  onOpen(): void {
    this.opened?.(null);
  }

  onRequest(channel: Channel, frame: Frame): void {
    if (frame.type === MESSAGE.GOODBYE) {
      const reason = frame.bytes.subarray(frame.bodyAt + 1, frame.bodyAt + frame.bodyBytes);
      this.lastReason = new TextDecoder().decode(reason);
      this.requester.onGoodbye(this.lastReason);
      channel.close(this.lastReason);
      return;
    }
    channel.replyFailed(frame, TRANSPORT_STATUS.NO_HANDLER);
  }

  onRoom(): void {
    this.requester.onRoom();
  }

  onClosed(_channel: Channel, reason: string): void {
    this.opened?.(new PeerError("ADDRESS_UNREACHABLE", reason));
    this.requester.onClosed(reason);
  }

  onGone(): void {
    this.isGone = true;
    for (const listener of this.goneListeners.splice(0)) listener();
  }

  private async greet(address: string): Promise<void> {
    let reason: string | null = null;
    try {
      await this.requester.request(
        MESSAGE.HELLO,
        { count: 0, bodyBytesMax: HELLO_BYTES_MAX },
        (_bytes, view, at) => encodeHello(clientHello(), view, at),
        (reply) => {
          if (reply.handlerStatus !== STATUS.OK) {
            reason = textOf(reply);
            return;
          }
          const theirs = decodeHello(reply.view, reply.bodyAt, reply.bodyBytes);
          this.nodeName = theirs.nodeName;
          this.nodeNumber = theirs.node;
        },
      );
    } catch (error) {
      reason = this.lastReason || (error instanceof Error ? error.message : String(error));
    }
    if (reason === null) return;
    this.channel.terminate(reason);
    throw new PeerError("BAD_HANDSHAKE", `Cannot connect to "${address}": ${reason}`);
  }

  private async text(type: number, body: Uint8Array, count = 0): Promise<string> {
    let text = "";
    await this.requester.request(
      type,
      { count, bodyBytesMax: body.byteLength },
      (bytes, _view, at) => {
        bytes.set(body, at);
        return body.byteLength;
      },
      (reply) => {
        text = textOf(reply);
        const { handlerStatus } = reply;
        if (handlerStatus === STATUS.NOT_FOUND) throw new RamsterError("UNKNOWN_SETTING", text);
        if (handlerStatus !== STATUS.OK) throw new RamsterError("REFUSED", text);
      },
    );
    return text;
  }
}

/** The report with 0 for what nodes of earlier versions leave out. */
function withMissing(stats: NodeStats & { more: number }): NodeStats & { more: number } {
  const pools = stats.pools ?? [];
  const members = stats.members.map((member) => {
    const { foreign_pages = 0, own_frames = 0 } = member;
    return { ...member, foreign_pages, own_frames };
  });
  return { ...stats, pools, members };
}

function openPoolBody(id: number, token: string): Uint8Array {
  if (!Number.isInteger(id) || id < 0 || id > 0xffff) {
    throw new RamsterError("BAD_CONFIG", `Cannot open pool "${id}": not a number of a pool`);
  }
  if (!/^[0-9a-f]+$/.test(token) || token.length !== 2 * POOL_TOKEN_BYTES) {
    // The token is not quoted: it may be that of another pool.
    const what = `a token has ${2 * POOL_TOKEN_BYTES} hexadecimal digits`;
    throw new RamsterError("BAD_CONFIG", `Cannot open pool ${id}: ${what}`);
  }
  const body = new Uint8Array(OPEN_POOL_BYTES);
  new DataView(body.buffer).setUint16(0, id);
  body.set(Uint8Array.fromHex(token), OPEN_POOL_TOKEN_OFFSET);
  return body;
}

function byKey<T>(all: readonly T[], key: (one: T) => unknown): T[] {
  return [...new Map(all.map((one) => [key(one), one])).values()];
}

function textOf(reply: Frame): string {
  const { bytes, bodyAt, bodyBytes } = reply;
  return new TextDecoder().decode(bytes.subarray(bodyAt, bodyAt + bodyBytes));
}
