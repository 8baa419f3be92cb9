/**
 * `ramster node` and `ramster server`: run one node until a signal stops it.
 *
 * When the node is ready, it prints one line on stdout, with real ports instead of 0:
 *
 *     ready node=3 name=n3 listen=127.0.0.1:41234 gossip=127.0.0.1:7946 http=127.0.0.1:9100
 *         client=unix:/tmp/a.sock nbd=unix:/tmp/n.sock
 *
 * SIGTERM, SIGINT and SIGQUIT shut it down cleanly: pages of other nodes are moved away first. A
 * second signal ends it at once. While an export is in use, the first SIGINT only asks for another
 * one (stop-guard.ts). SIGHUP makes it read its configuration again (reload.ts). Other signals,
 * such as SIGUSR1, are logged and ignored.
 * The exit code is 1 when some pages could not be moved. The log then says how many, and whose they
 * are.
 *
 * Its log goes to stderr, with one line for each event. A service manager hears from it as well
 * (service-reports.ts).
 */
import type { Codec } from "../compress/codec.ts";
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { Collector } from "../core/collector.ts";
import { RamsterError } from "../core/errors.ts";
import { holdableBytes } from "../core/host-memory.ts";
import { Log, LogCounters } from "../core/log.ts";
import { LogLimiter } from "../core/log-limiter.ts";
import type { LogSink } from "../core/log-line.ts";
import { NO_SERVICE_MANAGER, type ServiceManager } from "../core/service-manager.ts";
import { openDisk } from "../disk/open-disk.ts";
import { Keyring } from "../gossip/keyring.ts";
import { descriptorLimit, openDuplicate } from "../memory/descriptors.ts";
import { Holding } from "../memory/holding.ts";
import { LinuxMemory } from "../memory/linux-memory.ts";
import { openMemory } from "../memory/open-memory.ts";
import { openProcess } from "../memory/open-process.ts";
import { hasEnded, ownBytes } from "../memory/processes.ts";
import { RUNTIME_HEAP } from "../memory/runtime-heap.ts";
import { type Address, formatAddress, type TcpAddress } from "../net/address.ts";
import { BunClock, BunRandom, BunTransport } from "../net/bun.ts";
import { doorLimits } from "../net/door-limits.ts";
import type { Transport } from "../net/transport.ts";
import { openKernelNbd } from "../netlink/nbd-family.ts";
import { withAdvertised } from "../node/advertise.ts";
import type { NodeConfig } from "../node/config.ts";
import { type Membership, openMembership } from "../node/membership.ts";
import { checkMemoryRoom } from "../node/memory-room.ts";
import { Node, type NodeEnvironment } from "../node/node.ts";
import { checkPorts } from "../node/ports.ts";
import { type Rehearsal, SwapMode } from "../node/swap-mode.ts";
import { rehearse } from "../rehearsal/rehearsal.ts";
import { Active } from "../standby/active.ts";
import { Standby } from "../standby/standby.ts";
import type { Part } from "../standby/supervisor.ts";
import { openServiceManager } from "../systemd/systemd.ts";
import { openCodecs } from "./codecs.ts";
import { openRecompressor } from "./cold-codec.ts";
import { isForJournal } from "./descriptor.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { type Kept, openKept } from "./kept.ts";
import { defaultClients } from "./local-nodes.ts";
import { LogWriter, type WhoWrites } from "./log-writer.ts";
import { MACHINE_NETWORK } from "./machine-network.ts";
import type { Output } from "./output.ts";
import { openOwnKey } from "./own-key.ts";
import { Reload } from "./reload.ts";
import { ServiceReports } from "./service-reports.ts";
import { activeAddress, ownPart, spareMemory, supervise, wantsStandby } from "./standby.ts";
import { StopGuard } from "./stop-guard.ts";
import { aborted, stopSignal, surviveSignals } from "./stop-signal.ts";
import { STDERR, type Streams } from "./streams.ts";
import { BunShell } from "./swap/shell.ts";
import { swapUses } from "./swap/swap-devices.ts";

/** A node outlives its terminal, since it may have pages. */
const NODE_SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT"] as const;

export async function run(
  settings: NodeConfig,
  { out, err }: Streams,
  readAgain: () => NodeConfig,
): Promise<ExitCode> {
  const clock = new BunClock();
  const who = { number: settings.number, name: settings.name };
  const log = openLog(settings, () => who, clock, err);
  const part = ownPart(process.env, settings);
  if (part === null && wantsStandby(settings)) return supervise(settings, log);
  const running: { node: Node | null } = { node: null };
  const guard = new StopGuard(log, () => running.node?.nbdDoor.exportsInUse ?? []);
  const stop = stopSignal(NODE_SIGNALS, (signal) => guard.mayStop(signal));
  const stopped = aborted(stop);
  const reload = new Reload(settings, readAgain, log);
  const isStandby = part === "standby";
  // The service manager hears only from the process that serves.
  let reports = new ServiceReports(isStandby ? NO_SERVICE_MANAGER : serviceManager(), clock);
  process.on("SIGHUP", () => {
    reports.whileReloading(() => reload.onHangup(running.node?.admin ?? null));
  });
  const parts = await openParts(settings, { clock, log, part });
  const { env, config, membership, codecs: hotCodecs, swap, kept } = parts;
  const standby = isStandby ? await openStandby(parts) : null;
  const opening = openRecompressor({ log, clock }, config, hotCodecs);
  opening.catch(() => {}); // It is awaited below.
  const collector = new Collector(clock, RUNTIME_HEAP);
  collector.start();
  let isMember = false;
  try {
    const { recompressor, codecs } = await opening;
    const node = new Node({ ...env, recompressor }, config, codecs, membership);
    running.node = node;
    // Before it joins: the cluster would declare a node dead that does not answer meanwhile.
    reports.starting("making memory ready");
    const rehearsal = rehearsalOf({ ...env, recompressor }, codecs, { config, stop, isStandby });
    const spare = isStandby ? spareMemory(env.memory) : null;
    const mayLock = () => recompressor?.isStarting !== true;
    const { holding } = swap ?? {};
    const keptMayBeSwapped = kept?.mayBeSwapped === true;
    const entry = { rehearsal, mayLock, keptMayBeSwapped, stop };
    if (holding !== undefined) await swap?.mode.enter({ holding, ...entry });
    if (stop.aborted) return EXIT.DONE;
    if (standby !== null) {
      standby.ready(ownBytes());
      const died = await Promise.race([standby.succeed(), stopped]);
      if (typeof died !== "number") return EXIT.DONE;
      spare?.close();
      log.write("warn", "ramster", `process ${died}, which served, has died: taking over from it`);
      reports = new ServiceReports(serviceManager(), clock);
      if (settings.clients === null) node.setClients(await findClients(env, settings.name));
    }
    // Before it joins, as above.
    const known = numberOf(kept);
    if (known !== null) {
      node.setNumber(known);
      node.takeOver();
    }
    reports.starting("joining the cluster");
    // A signal also ends the wait for the cluster.
    const joining = known === null ? membership?.start() : membership?.resume();
    const joined = await Promise.race([joining, stopped]);
    if (stop.aborted) {
      await membership?.leave();
      return EXIT.DONE;
    }
    isMember = true;
    who.number = joined?.number ?? config.number;
    assert(who.number !== null, "without gossip a node has its number by hand");
    if (known === null) node.setNumber(who.number);
    const onReady = (line: string): void => reports.ready(line, stop);
    const gossip = joined?.gossip ?? null;
    const code = await serve(node, { gossip, stopped, out, onReady });
    kept?.remove();
    return code;
  } catch (error) {
    if (isMember) await membership?.leave(); // Otherwise the other members would declare it dead.
    throw error;
  } finally {
    swap?.mode.leave();
    collector.stop();
  }
}

/** The number of the predecessor, whose pages need not wait for the cluster. Null: there is none. */
function numberOf(kept: Kept | null): number | null {
  return kept?.node.memory.isSucceeding === true ? kept.node.number : null;
}

interface Parts {
  readonly env: NodeEnvironment;
  readonly config: NodeConfig;
  readonly membership: Membership | null;
  readonly codecs: Promise<readonly Codec[]>;
  /** Null: no kernel swaps to the node. */
  readonly swap: { readonly mode: SwapMode; readonly holding: Holding } | null;
  readonly kept: Kept | null;
}

/** Opens what the node needs from this machine. */
async function openParts(
  settings: NodeConfig,
  { clock, log, part }: { clock: Clock; log: Log; part: Part | null },
): Promise<Parts> {
  const isStandby = part === "standby";
  const advertised = await withAdvertised(settings, MACHINE_NETWORK);
  const outside = { clock, transport: new BunTransport(openDuplicate()), random: new BunRandom() };
  const { transport, random } = outside;
  const warn = (line: string): void => log.write("warn", "ramster", line);
  surviveSignals((signal) => warn(`ignored signal ${signal}: it has no meaning for a node`));
  // The process before a standby listens there.
  const findsClients = settings.clients === null && !isStandby;
  const found = findsClients ? await findClients({ transport, log }, settings.name) : [];
  const clients = settings.clients ?? found;
  const hostMemory = new LinuxMemory();
  const swap = openSwap({ log, clock }, advertised, hostMemory);
  const memory = openMemory(swap?.holding ?? null);
  const kept = openKept(advertised, memory, { random, isStandby });
  const config = { ...advertised, clients, number: kept?.number ?? advertised.number };
  if (swap !== null && !isStandby) await checkPorts(transport, config);
  // Swap mode has a check of its own for each region that it locks.
  const warning = swap === null ? checkMemoryRoom(config, hostMemory.read()) : null;
  if (warning !== null) warn(warning);
  const key = config.keyPath === null ? null : openOwnKey(config.keyPath, transport, log);
  const keyring = key === null ? null : new Keyring(key.gossipKeys, random, key.readGossipKeys);
  const limits = doorLimits(descriptorLimit());
  const bootId = kept?.node.bootId ?? null;
  const membership = openMembership({ ...outside, log, keyring, limits }, config, bootId);
  const inSwapMode = swap !== null;
  const disk = config.spillPath === null ? null : openDisk(config.spillPath, { inSwapMode, warn });
  const shell = new BunShell();
  const swapUse = () => swapUses(shell, config.nbd);
  const nbd = openKernelNbd();
  const kernel = nbd === null ? null : { nbd, adopt: transport.adopt.bind(transport) };
  const machine = {
    active: part === null ? null : openActive({ ...outside, log }, config),
    limits,
    memory,
    hostMemory,
    log,
    disk,
    swapUse,
    kernel,
    kept: kept?.node ?? null,
  };
  const codecs = openCodecs({ memory, log }, config);
  return { env: { ...outside, ...key, ...machine }, config, membership, codecs, swap, kept };
}

function serviceManager(): ServiceManager {
  return openServiceManager(process.env, process.pid);
}

function findClients(
  { transport, log }: { transport: Transport; log: Log },
  name: string,
): Promise<readonly Address[]> {
  return defaultClients(name, transport, (line) => log.write("warn", "ramster", line));
}

function openActive(env: { clock: Clock; transport: Transport; log: Log }, config: NodeConfig) {
  return new Active(env, { pid: process.pid, address: activeAddress(config) });
}

async function openStandby({ env, config, kept }: Parts): Promise<Standby> {
  assert(kept !== null);
  const address = activeAddress(config);
  const kill = (pid: number): void => {
    process.kill(pid, "SIGKILL");
  };
  const outside = { ...env, dialler: env.transport, kill, hasEnded, lock: () => kept.lock() };
  const standby = await Standby.connect(outside, address);
  if (standby !== null) return standby;
  const what = `Cannot stand by: no process of this node serves at ${formatAddress(address)}`;
  throw new RamsterError("ADDRESS_UNREACHABLE", what);
}

function openSwap(
  env: { log: Log; clock: Clock },
  { swap }: NodeConfig,
  hostMemory: LinuxMemory,
): Parts["swap"] {
  if (swap === "off") return null;
  const mode = new SwapMode(openProcess(), env, swap);
  mode.begin();
  return { mode, holding: new Holding(() => holdableBytes(hostMemory.read())) };
}

function rehearsalOf(
  env: NodeEnvironment,
  codecs: readonly Codec[],
  options: { config: NodeConfig; stop: AbortSignal; isStandby: boolean },
): Rehearsal {
  return (residentBytes) => {
    // The memory of the node itself would pin what is reserved.
    const scene = { ...env, memory: openMemory(), kept: null, active: null };
    return rehearse(scene, codecs, { ...options, residentBytes });
  };
}

function openLog(config: NodeConfig, who: WhoWrites, clock: Clock, output: Output): Log {
  const counters = new LogCounters();
  const form = {
    log: config.logFormat,
    isForJournal: isForJournal(STDERR, process.env.JOURNAL_STREAM),
  };
  const writer = new LogWriter(form, who, output, counters);
  const sink: LogSink = (level, area, line) => writer.write(level, area, line);
  const log = new Log(sink, { limiter: new LogLimiter(clock, sink), counters });
  log.setLevels(config.log);
  return log;
}

interface Served {
  gossip: TcpAddress | null;
  stopped: Promise<void>;
  out: Output;
  onReady: (line: string) => void;
}

/** Opens all ports, prints them, and shuts the node down once `stopped` is resolved. */
async function serve(node: Node, served: Served): Promise<ExitCode> {
  const { gossip, stopped, out, onReady } = served;
  const { listen, http, clients, nbd } = await node.start();
  const { number, name } = node.config;
  const words = [`ready node=${number} name=${name} listen=${listen}`];
  if (gossip !== null) words.push(`gossip=${formatAddress(gossip)}`);
  if (http !== null) words.push(`http=${http}`);
  if (clients.length > 0) words.push(`client=${clients.join(",")}`);
  if (nbd.length > 0) words.push(`nbd=${nbd.join(",")}`);
  out.write(words.join(" "));
  onReady(words.join(" "));
  await stopped;
  node.beginStop();
  const isEmpty = await node.drain.emptyForeign(node.config.drainTimeoutMs);
  await node.stop();
  return isEmpty ? EXIT.DONE : EXIT.FAILED;
}
