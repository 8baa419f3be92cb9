/**
 * The steps of `ramster swap on` and `off`, and what to do when a step fails or is interrupted.
 *
 *     on:    nbd module -> free device -> attach -> mkswap -> swapon
 *                                            ^_________|_________|   detached again on failure
 *     off:   room at home -> swapoff, which brings every page home -> detach
 *
 * The node attaches the device itself, if it is of this machine (node-devices.ts). Else nbd-client
 * does.
 *
 * The order of `off` matters. If a device were detached while the kernel swaps on it, the pages of
 * all programs there would be lost. So no device in /proc/swaps is detached. If an export were
 * attached as two devices, each would overwrite the pages of the other. So an export that holds the
 * swap of another device is not made swap again, whichever address it was reached by.
 */
import { RamsterError } from "../../core/errors.ts";
import { formatSize } from "../../core/units.ts";
import { type Address, formatAddress } from "../../net/address.ts";
import type { Progress } from "../progress.ts";
import type { Ended, ExportAt, Shell } from "./shell.ts";
import {
  describe,
  deviceOf,
  findDevice,
  type NbdDevice,
  NOTES,
  nbdDevices,
  normalize,
  removeNote,
  writeNote,
} from "./swap-devices.ts";
import { checkRoomAtHome } from "./swap-room.ts";

export interface SwapOnOptions extends ExportAt {
  /** `/dev/nbdN`. Null: any free device. */
  readonly device: string | null;
  readonly priority: number;
}

const POLL_MS = 200;
/** How long a device may take to appear. It appears at once, unless the machine is very busy. */
const ATTACH_MS = 10_000;
/** Time between two lines of progress when no terminal shows a bar. */
const LINE_MS = 5000;

/** The package of each program, by Debian's name. */
const NBD_CLIENT = "nbd-client (nbd on Fedora, Arch and openSUSE)";
const PACKAGES = {
  mkswap: "util-linux",
  swaplabel: "util-linux",
  swapon: "mount",
} as const;

const NOTHING_ON = "swap is off already: no nbd device of this machine is swap";
const CANNOT_ON = "Cannot switch swap on";
const CANNOT_OFF = "Cannot switch swap off";

/**
 * Attaches the export and swaps on it.
 *
 * @returns one line that says what is on now. Throws RamsterError NO_DEVICE or COMMAND_FAILED, also
 * when it is interrupted. Nothing is attached then, unless the error says so.
 */
export async function swapOn(
  shell: Shell,
  options: SwapOnOptions,
  stop: AbortSignal,
): Promise<string> {
  await checkRootAndLock(shell, CANNOT_ON);
  return attachAndSwapOn(shell, options, stop);
}

/** The same for a caller that has the lock. */
export async function attachAndSwapOn(
  shell: Shell,
  options: SwapOnOptions,
  stop: AbortSignal,
): Promise<string> {
  for (const [program, name] of Object.entries(PACKAGES)) {
    if (!shell.has(program)) throw noDevice(CANNOT_ON, lacks(program, name));
  }
  await loadModule(shell);
  const at = normalize(shell, options);
  const what = describe(at);
  const already = deviceOf(shell, at);
  if (already?.swap != null) throw noDevice(CANNOT_ON, `${what} is on already, as ${already.path}`);
  if (already !== null) {
    const how = `is attached as ${already.path} without swap: run ramster swap off to detach it`;
    throw noDevice(CANNOT_ON, `${what} ${how}`);
  }
  const device = chooseDevice(shell, options.device);
  await attach(shell, at, device, stop);
  try {
    checkNotStopped(stop);
    await waitForDevice(shell, device, what);
    writeNote(shell, device, at);
    await refuseSecondAttach(shell, device, what);
    checkNotStopped(stop);
    requireSuccess(await shell.run(["mkswap", device], stop), `Cannot make swap of ${device}`);
    checkNotStopped(stop);
    // With --discard the kernel tells the node about each page that is free again.
    const swapon = ["swapon", "--discard", "--priority", String(options.priority), device];
    requireSuccess(await shell.run(swapon), `Cannot swap on ${device}`);
  } catch (error) {
    throw await detachAfter(shell, device, stop.aborted ? stopped(stop) : error);
  }
  const swap = findDevice(shell, device)?.swap ?? null;
  const size = formatSize(swap?.byteCount ?? 0);
  return `swap is on: ${device}, ${size}, priority ${options.priority}, ${what}`;
}

async function attach(
  shell: Shell,
  at: ExportAt,
  device: string,
  stop: AbortSignal,
): Promise<void> {
  const why = await shell.nodes.attach(at, device);
  if (why === null) return;
  if (!shell.has("nbd-client")) {
    throw noDevice(CANNOT_ON, `${lacks("nbd-client", NBD_CLIENT)}; ${why}`);
  }
  const attached = await shell.run(attachCommand(at, device), stop);
  // When nbd-client failed, the device may belong to another program. When it was interrupted, it
  // is ours.
  if (!stop.aborted) requireSuccess(attached, `Cannot attach ${describe(at)} as ${device}`);
}

/** What a command has done, or why it did nothing. */
export interface Change {
  /** One line. */
  readonly text: string;
  readonly isChanged: boolean;
}

/** Several exports: those of them that are on. */
export type SwapOffOptions = {
  /** Whether to try it also when the memory that is available cannot hold the pages. */
  readonly force: boolean;
} & (
  | { readonly device: null; readonly nbd: Address; readonly exportNames: readonly string[] }
  | { readonly device: string }
);

/**
 * Brings all pages home and detaches the device.
 *
 * Throws RamsterError NO_DEVICE or COMMAND_FAILED, also when it is interrupted. The device is still
 * attached then, unless the error says that it is not.
 */
export async function swapOff(
  shell: Shell,
  options: SwapOffOptions,
  show: { progress: Progress; line: (text: string) => void },
  stop: AbortSignal,
): Promise<Change> {
  await checkRootAndLock(shell, CANNOT_OFF);
  const devices = devicesToDetach(shell, options).filter(({ byteCount, isConnected }) => {
    return byteCount > 0 || isConnected;
  });
  if (devices.length === 0) return { text: NOTHING_ON, isChanged: false };
  const paths = devices.map(({ path }) => path);
  if (!options.force) checkRoomAtHome(shell, paths, CANNOT_OFF);
  for (const { path, swap } of devices) {
    if (swap !== null) await runSwapoff(shell, path, show, stop);
    requireSuccess(await detach(shell, path), `Cannot detach ${path}, whose swap is off`);
    removeNote(shell, path);
  }
  return { text: `swap is off: ${paths.join(", ")}`, isChanged: true };
}

/** The devices to detach. None: no swap is on that the options could mean. */
function devicesToDetach(shell: Shell, options: SwapOffOptions): readonly NbdDevice[] {
  if (options.device !== null) {
    const device = findDevice(shell, options.device);
    if (device !== null) return [device];
    throw noDevice(CANNOT_OFF, `there is no ${options.device}`);
  }
  const { nbd, exportNames } = options;
  const ats = exportNames.map((exportName) => normalize(shell, { nbd, exportName }));
  const devices = ats.flatMap((at) => deviceOf(shell, at) ?? []);
  if (devices.length > 0) return devices;
  const others = nbdDevices(shell).filter(({ swap }) => swap !== null);
  if (others.length === 0) return [];
  const named = others.map((it) => `${it.path}${it.at === null ? "" : `, ${describe(it.at)}`}`);
  const meant = ats.map(describe).join(", ");
  throw noDevice(CANNOT_OFF, `${meant} is not on; what is: ${named.join("; ")}`);
}

/** Runs swapoff until /proc/swaps no longer lists the device. */
async function runSwapoff(
  shell: Shell,
  path: string,
  show: { progress: Progress; line: (text: string) => void },
  stop: AbortSignal,
): Promise<void> {
  const all = Math.max(1, findDevice(shell, path)?.swap?.usedBytes ?? 0);
  const running: { ended: Ended | null } = { ended: null };
  const swapoff = shell.run(["swapoff", path]).then((ended) => {
    running.ended = ended;
  });
  let lineAt = shell.now();
  while (running.ended === null && !stop.aborted) {
    const left = findDevice(shell, path)?.swap?.usedBytes ?? 0;
    const text = `${formatSize(left)} of ${formatSize(all)} to come home`;
    show.progress.show("swapoff", 1 - left / all, text);
    if (!show.progress.isShown && shell.now() - lineAt >= LINE_MS) {
      lineAt = shell.now();
      show.line(text);
    }
    await Promise.race([swapoff, shell.pause(POLL_MS)]);
  }
  show.progress.end();
  if (running.ended === null) {
    const then = `swapoff ${path} continues, run ramster swap off again afterwards to detach it`;
    throw failed(`${CANNOT_OFF}: stopped by ${stop.reason}, ${then}`);
  }
  const left = findDevice(shell, path)?.swap ?? null;
  if (running.ended.code === 0 && left === null) return;
  const still = left === null ? "" : `, ${formatSize(left.usedBytes)} are still there`;
  const goesOn = left === null ? "" : ", the device stays attached";
  requireSuccess(
    { ...running.ended, code: 1 },
    `Cannot bring all pages of ${path} home${still}${goesOn}`,
  );
}

/** Lines of `ramster swap status`. */
export function swapStatus(shell: Shell): string[] {
  const devices = devicesInUse(shell);
  if (devices.length === 0) return ["no nbd device is attached"];
  return devices.map(({ path, byteCount, isConnected, swap, at }) => {
    const connected = isConnected ? "connected" : "not connected";
    const what = at === null ? "" : `, ${describe(at)}`;
    if (swap === null) return `${path}: ${formatSize(byteCount)}, ${connected}, no swap${what}`;
    const use = `${formatSize(swap.usedBytes)} of ${formatSize(swap.byteCount)} used`;
    return `${path}: ${use}, priority ${swap.priority}, ${connected}${what}`;
  });
}

function devicesInUse(shell: Shell): NbdDevice[] {
  return nbdDevices(shell).filter((it) => it.byteCount > 0 || it.swap !== null);
}

/** The devices in use, for programs. */
export function swapReport(shell: Shell): readonly object[] {
  return devicesInUse(shell).map(({ path, byteCount, isConnected, swap, at }) => ({
    device: path,
    size_bytes: byteCount,
    is_connected: isConnected,
    nbd: at === null ? null : formatAddress(at.nbd),
    export: at?.exportName ?? null,
    swap:
      swap === null
        ? null
        : { size_bytes: swap.byteCount, used_bytes: swap.usedBytes, priority: swap.priority },
  }));
}

/** Two commands at once could take the same device, or attach an export twice. */
export async function checkRootAndLock(shell: Shell, failing: string): Promise<void> {
  if (!shell.isRoot) throw noDevice(failing, "this needs root");
  if (await shell.lock(`${NOTES}/lock`)) return;
  throw failed(`${failing}: another ramster swap is at work`);
}

async function loadModule(shell: Shell): Promise<void> {
  if (nbdDevices(shell).length > 0) return;
  if (!shell.has("modprobe")) throw noDevice(CANNOT_ON, lacks("modprobe", "kmod"));
  const { code, lastLine } = await shell.run(["modprobe", "nbd"]);
  if (code === 0 && nbdDevices(shell).length > 0) return;
  const why = lastLine === "" ? "modprobe nbd made no /dev/nbd0" : lastLine;
  throw noDevice(CANNOT_ON, `this kernel has no nbd devices: ${why}`);
}

function chooseDevice(shell: Shell, wanted: string | null): string {
  const devices = nbdDevices(shell);
  const isFree = (it: NbdDevice): boolean => {
    return it.byteCount === 0 && !it.isConnected && it.swap === null;
  };
  if (wanted === null) {
    const free = devices.find(isFree);
    if (free !== undefined) return free.path;
    throw noDevice(CANNOT_ON, `all ${devices.length} nbd devices are in use`);
  }
  const device = devices.find(({ path }) => path === wanted);
  if (device === undefined) throw noDevice(CANNOT_ON, `there is no ${wanted}`);
  if (device.swap !== null) throw noDevice(CANNOT_ON, `${wanted} is swap already`);
  if (!isFree(device)) throw noDevice(CANNOT_ON, `${wanted} is in use`);
  return wanted;
}

/** Blocks are one page long, or the kernel would read and write pages in parts. */
function attachCommand({ nbd, exportName }: ExportAt, device: string): string[] {
  const server = nbd.kind === "unix" ? ["-unix", nbd.path] : [nbd.host, String(nbd.port)];
  return ["nbd-client", ...server, device, "-N", exportName, "-b", "4096", "-swap", "-persist"];
}

/**
 * nbd-client may continue in the background, so this waits until the device has a size and a pid.
 */
async function waitForDevice(shell: Shell, device: string, what: string): Promise<void> {
  const limit = shell.now() + ATTACH_MS;
  for (;;) {
    const { byteCount = 0, isConnected = false } = findDevice(shell, device) ?? {};
    if (byteCount > 0 && isConnected) return;
    const why = byteCount === 0 ? "it is empty" : "it is not connected";
    if (shell.now() > limit) throw failed(`Cannot attach ${what} as ${device}: ${why}`);
    await shell.pause(POLL_MS);
  }
}

/** Refuses an export that is already swap through another address of its node. */
async function refuseSecondAttach(shell: Shell, device: string, what: string): Promise<void> {
  const { stdout: label } = await shell.run(["swaplabel", device]);
  const uuid = /^UUID:\s*(\S+)/m.exec(label)?.[1];
  if (uuid === undefined) return; // The device was never made swap.
  const columns = "--show=NAME,UUID";
  const { stdout } = await shell.run(["swapon", columns, "--noheadings", "--raw"]);
  const line = stdout.split("\n").find((it) => it.split(" ")[1] === uuid);
  if (line === undefined) return;
  throw noDevice(CANNOT_ON, `${what} is on already, as ${line.split(" ")[0]}`);
}

/** Detaches the device: the node that serves it does, else nbd-client. */
export async function detach(shell: Shell, path: string): Promise<Ended> {
  if (await shell.nodes.detach(path)) return { code: 0, stdout: "", lastLine: "" };
  return shell.run(["nbd-client", "-d", path]);
}

/** @returns `error`, or one that says that the device is still attached. */
async function detachAfter(shell: Shell, device: string, error: unknown): Promise<unknown> {
  const { code, lastLine } = await detach(shell, device);
  const { byteCount = 0, isConnected = false } = findDevice(shell, device) ?? {};
  if (byteCount === 0 && !isConnected) {
    removeNote(shell, device);
    return error;
  }
  const why = lastLine === "" ? `detaching it ended with ${code}` : lastLine;
  return failed(`${(error as Error).message}; ${device} is still attached: ${why}`);
}

function checkNotStopped(stop: AbortSignal): void {
  if (stop.aborted) throw stopped(stop);
}

function stopped(stop: AbortSignal): RamsterError {
  return failed(`${CANNOT_ON}: stopped by ${stop.reason}`);
}

function requireSuccess(ended: Ended, failing: string): void {
  if (ended.code === 0) return;
  throw failed(
    `${failing}: ${ended.lastLine === "" ? `it ended with ${ended.code}` : ended.lastLine}`,
  );
}

function failed(line: string): RamsterError {
  return new RamsterError("COMMAND_FAILED", line);
}

function lacks(program: string, name: string): string {
  return `there is no ${program}, which is in the package ${name}`;
}

function noDevice(failing: string, detail: string): RamsterError {
  return new RamsterError("NO_DEVICE", `${failing}: ${detail}`);
}
