/**
 * The processes of a node with `--standby`: a supervisor that this command starts as, and two
 * others that it starts with the same command line (src/standby).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BYTES_PER_MIB } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Memory, Region } from "../core/memory.ts";
import { openProcess } from "../memory/open-process.ts";
import type { UnixAddress } from "../net/address.ts";
import { BunClock, BunTransport } from "../net/bun.ts";
import type { NodeConfig } from "../node/config.ts";
import { OOM_SCORE_NEVER } from "../node/swap-mode.ts";
import { ActiveLink } from "../standby/active-link.ts";
import { type Child, type End, type Part, Supervisor } from "../standby/supervisor.ts";
import type { ExitCode } from "./exit.ts";
import { keptFolder } from "./kept.ts";
import { surviveSignals } from "./stop-signal.ts";

/** Tells a process which part of a node it is. */
const PART = "RAMSTER_PART";
const SPARE_BYTES = 4 * BYTES_PER_MIB;
/** The socket of the process that serves, in the folder of kept memory. */
const SOCKET = "active";

/** Null: it is not one of several processes. */
export function ownPart(
  environment: Readonly<Record<string, string | undefined>>,
  config: NodeConfig,
): Part | null {
  const part = wantsStandby(config) ? environment[PART] : "none";
  return part === "active" || part === "standby" ? part : null;
}

/**
 * Memory that a standby gives back as it takes over. The kernel needs some for its sockets and
 * files, and may have none left.
 */
export function spareMemory(memory: Memory): Region {
  return memory.reserve(SPARE_BYTES, { pinnedBytes: SPARE_BYTES });
}

/** Whether the settings are for a node of several processes. */
export function wantsStandby({ standby, swap, keepPath }: NodeConfig): boolean {
  if (keepPath === null || standby === "off") return false;
  return standby === "on" || swap !== "off";
}

/** Where other processes of the node find the one that serves. */
export function activeAddress(config: NodeConfig): UnixAddress {
  return { kind: "unix", path: join(keptFolder(config).path, SOCKET) };
}

/** Runs the node in other processes until it ends. @returns its exit code. */
export async function supervise(config: NodeConfig, log: Log): Promise<ExitCode> {
  // The processes that it starts are spared in the same way.
  if (config.swap !== "off") openProcess()?.setOomScore(OOM_SCORE_NEVER);
  const address = activeAddress(config);
  const transport = new BunTransport();
  const supervisor = new Supervisor({
    clock: new BunClock(),
    log,
    start,
    connect: () => ActiveLink.connect(transport, address, "supervisor"),
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT"] as const) {
    process.on(signal, () => supervisor.stop(signal));
  }
  process.on("SIGHUP", () => supervisor.signal("SIGHUP"));
  surviveSignals((signal) => log.write("warn", "ramster", `ignored signal ${signal}`));
  return (await supervisor.ended) as ExitCode;
}

/** Starts this program again, in a session of its own: the terminal's Ctrl-C comes from here. */
function start(part: Part): Child {
  const [name = "ramster", ...words] = readFileSync("/proc/self/cmdline", "utf8").split("\0");
  // A service manager that watches this process hears from the one that serves.
  const { WATCHDOG_PID: _, ...environment } = process.env;
  const child = Bun.spawn({
    // Also if the file was replaced meanwhile: a successor is of the same version.
    cmd: ["/proc/self/exe", ...words.slice(0, -1)],
    argv0: name,
    env: { ...environment, [PART]: part },
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  const ended = child.exited.then((): End => {
    const { exitCode, signalCode } = child;
    return { code: exitCode, how: String(signalCode ?? `exit code ${exitCode}`) };
  });
  return { pid: child.pid, ended, kill: (signal) => child.kill(signal) };
}
