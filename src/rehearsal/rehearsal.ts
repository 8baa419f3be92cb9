/**
 * Rehearsal: a node in swap mode serves a load before its first real request, so that it has grown
 * to the size that serving takes while the machine still has memory.
 *
 *     RehearsalClient -- NBD --> owner -- TCP --> lender       two small nodes in this process
 *
 * The runtime compiles functions once they have run often, and its heaps grow with the load. On a
 * machine whose memory is full, the kernel would look for that memory by swapping pages out, and
 * these would wait for the node: a deadlock. So the process is locked first
 * (src/node/swap-mode.ts), and what the rehearsal touches stays resident.
 *
 * It ends when the process has stopped growing, or after a while.
 *
 * Not here: the requests (rehearsal-client.ts), jobs of the Worker (cold-rehearsal.ts).
 */
import { CODEC, type Codec } from "../compress/codec.ts";
import type { Clock } from "../core/clock.ts";
import { RamsterError } from "../core/errors.ts";
import type { HostMemory } from "../core/host-memory.ts";
import { BYTES_PER_MIB, GOODBYE_TIMEOUT_MS } from "../core/limits.ts";
import { Log } from "../core/log.ts";
import { parseAddress, type TcpAddress } from "../net/address.ts";
import { type NodeConfig, type NodeSettings, nodeConfig } from "../node/config.ts";
import { type Listening, Node, type NodeEnvironment } from "../node/node.ts";
import { rehearseCold } from "./cold-rehearsal.ts";
import { RehearsalClient } from "./rehearsal-client.ts";

const LOOPBACK: TcpAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };
const EXPORT = { name: "rehearsal", byteCount: 8 * BYTES_PER_MIB };
/** Most pages of the export go to the lender. */
const OWNER_BYTES = 2 * BYTES_PER_MIB;
const LENDER_BYTES = 16 * BYTES_PER_MIB;
const OWNER = 1;
const LENDER = 2;

/** The process has stopped growing when it grew by less for so long, and with so many requests. */
const STEADY_BYTES = 1024 * 1024;
const STEADY_MS = 1000;
const STEADY_REQUESTS = 5000;
const LONGEST_MS = 20_000;
/** Of a standby, which nobody waits for. Other programs may leave it little time. */
const STANDBY_LONGEST_MS = 40_000;
/** It ends when it has taken this much, so that it cannot fill a small machine. */
const GROWTH_BYTES_MAX = 96 * BYTES_PER_MIB;

/** The lender lends what it has, however full the machine is. */
const UNSEEN: HostMemory = { read: () => null, process: () => ({}) };

const USUAL = {
  listen: LOOPBACK,
  gossip: null,
  clients: [],
  swap: "off",
  reserve: { bytes: 0 },
} as const;

export interface RehearsalOptions {
  /** Of the node itself. */
  readonly config: Pick<NodeConfig, "codec" | "placement" | "seal">;
  /** Of this process. */
  readonly residentBytes: () => number;
  readonly stop: AbortSignal;
  readonly isStandby: boolean;
}

/**
 * Rejects with RamsterError when the nodes cannot listen on loopback, no request is answered, or
 * one fails.
 */
export async function rehearse(
  env: NodeEnvironment,
  codecs: readonly Codec[],
  options: RehearsalOptions,
): Promise<{ requestCount: number }> {
  const { clock } = env;
  const { stop, isStandby } = options;
  await rehearseWorker(env, codecs, stop);
  const nodes = new AsyncDisposableStack();
  const client = new RehearsalClient(env, EXPORT.byteCount);
  try {
    const performing = perform(env, codecs, { ...options, client, nodes });
    const longestMs = isStandby ? STANDBY_LONGEST_MS : LONGEST_MS;
    const isOver = await isDoneIn(longestMs, performing, { clock, stop });
    const { requestCount } = client;
    if (!isOver && requestCount === 0 && !stop.aborted) {
      throw new RamsterError("TIMED_OUT", "nothing was answered on the loopback interface in time");
    }
    return { requestCount };
  } finally {
    await isDoneIn(GOODBYE_TIMEOUT_MS, nodes.disposeAsync(), { clock, stop });
  }
}

/** Closes a Worker that takes too long: its job would be under way when the next one comes. */
async function rehearseWorker(
  { recompressor = null, clock, random, log }: NodeEnvironment,
  codecs: readonly Codec[],
  stop: AbortSignal,
): Promise<void> {
  const lz4 = codecs[CODEC.LZ4];
  if (recompressor === null || lz4 === undefined) return;
  const working = rehearseCold(recompressor, lz4, random);
  if ((await isDoneIn(LONGEST_MS, working, { clock, stop })) || stop.aborted) return;
  recompressor.close();
  log.write("warn", "ramster", "swap mode: cold pages stay as they are, their Worker is too slow");
}

/** @returns false at a signal, or after `ms`. Rejects as `work` does. */
async function isDoneIn(
  ms: number,
  work: Promise<void>,
  { clock, stop }: { clock: Clock; stop: AbortSignal },
): Promise<boolean> {
  work.catch(() => {}); // It may be given up, and fail later.
  let end: () => void = () => {};
  const ended = new Promise<boolean>((resolve) => {
    end = () => resolve(false);
  });
  const timer = clock.after(ms, end);
  stop.addEventListener("abort", end, { once: true });
  if (stop.aborted) end();
  try {
    return await Promise.race([work.then(() => true), ended]);
  } finally {
    clock.cancel(timer);
    stop.removeEventListener("abort", end);
  }
}

interface Scene extends RehearsalOptions {
  readonly client: RehearsalClient;
  /** What is to be closed afterwards. */
  readonly nodes: AsyncDisposableStack;
}

async function perform(
  env: NodeEnvironment,
  codecs: readonly Codec[],
  { client, nodes, config, residentBytes, stop }: Scene,
): Promise<void> {
  const { codec, placement, seal } = config;
  const log = new Log(() => {});
  const outside = { ...env, log, hostMemory: UNSEEN, disk: null, recompressor: null };
  const start = (settings: NodeSettings): Promise<Listening> => {
    const node = new Node(outside, nodeConfig({ ...USUAL, ...settings }), codecs);
    nodes.defer(() => node.stop());
    return node.start();
  };
  const { listen } = await start({
    role: "server",
    placement,
    number: LENDER,
    name: "lender",
    lendBytes: LENDER_BYTES,
  });
  const { nbd } = await start({
    codec,
    placement,
    seal,
    number: OWNER,
    name: "owner",
    memoryBytes: OWNER_BYTES,
    lendBytes: 0,
    exports: [EXPORT],
    nbd: [LOOPBACK],
    peers: [{ number: LENDER, address: parseAddress(listen) as TcpAddress }],
    target: LENDER,
  });
  if (stop.aborted) return;
  const { transport } = env.plain ?? env;
  const stream = transport.connect(parseAddress(nbd[0] ?? ""), client);
  nodes.defer(() => stream.terminate());
  await client.negotiate(EXPORT.name);
  await untilSteady(env.clock, client, residentBytes);
}

async function untilSteady(
  clock: Clock,
  client: RehearsalClient,
  residentBytes: () => number,
): Promise<void> {
  let steadyMs = clock.now();
  let steadyRequests = 0;
  const firstBytes = residentBytes();
  let bytes = firstBytes;
  for (;;) {
    await client.burst();
    const nowBytes = residentBytes();
    if (nowBytes - firstBytes >= GROWTH_BYTES_MAX) return;
    if (nowBytes - bytes >= STEADY_BYTES) {
      bytes = nowBytes;
      steadyMs = clock.now();
      steadyRequests = client.requestCount;
    }
    const isSteady = client.requestCount - steadyRequests >= STEADY_REQUESTS;
    if (isSteady && clock.now() - steadyMs >= STEADY_MS) return;
  }
}
