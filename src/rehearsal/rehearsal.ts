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
import type { HostMemory } from "../core/host-memory.ts";
import { BYTES_PER_MIB } from "../core/limits.ts";
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
}

/** Rejects when the nodes cannot listen on loopback, or a request fails. */
export async function rehearse(
  env: NodeEnvironment,
  codecs: readonly Codec[],
  options: RehearsalOptions,
): Promise<{ requestCount: number }> {
  await using nodes = new AsyncDisposableStack();
  const { recompressor = null } = env;
  const lz4 = codecs[CODEC.LZ4];
  if (recompressor !== null && lz4 !== undefined) {
    await Promise.race([rehearseCold(recompressor, lz4, env.random), aborted(options.stop)]);
    if (options.stop.aborted) return { requestCount: 0 };
  }
  const { codec, placement, seal } = options.config;
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
  const client = new RehearsalClient(env, EXPORT.byteCount);
  const { transport } = env.plain ?? env;
  const stream = transport.connect(parseAddress(nbd[0] ?? ""), client);
  nodes.defer(() => stream.terminate());
  await client.negotiate(EXPORT.name);
  return { requestCount: await untilSteady(env.clock, client, options) };
}

function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** @returns how many requests were answered. */
async function untilSteady(
  clock: Clock,
  client: RehearsalClient,
  { residentBytes, stop }: RehearsalOptions,
): Promise<number> {
  const startMs = clock.now();
  let steadyMs = startMs;
  let steadyRequests = 0;
  let bytes = residentBytes();
  let requestCount = 0;
  while (!stop.aborted && clock.now() - startMs < LONGEST_MS) {
    requestCount += await client.burst();
    const nowBytes = residentBytes();
    if (nowBytes - bytes >= STEADY_BYTES) {
      bytes = nowBytes;
      steadyMs = clock.now();
      steadyRequests = requestCount;
    }
    const isSteady = requestCount - steadyRequests >= STEADY_REQUESTS;
    if (isSteady && clock.now() - steadyMs >= STEADY_MS) break;
  }
  return requestCount;
}
