/**
 * The steps of `ramster swap on` and `off`, and what to do when one of them fails.
 *
 *     on:    nbd module -> free device -> nbd-client -> mkswap -> swapon
 *                                            ^___________|_________|   detached again on failure
 *     off:   swapoff, which brings every page home -> nbd-client -d
 *
 * The order of `off` is what matters: a device that is detached while the kernel swaps there takes
 * the pages of all programs with it. So nothing is detached that is in /proc/swaps.
 */
import { RamsterError } from "../core/errors.ts";
import { type Address, formatAddress } from "../net/address.ts";
import type { Progress } from "./progress.ts";
import type { Ended, Shell } from "./shell.ts";
import { type NbdDevice, nbdDevices, swapUuid } from "./swap-devices.ts";
import { formatSize } from "./units.ts";

/** Where an export is, and which. */
export interface ExportAt {
  readonly nbd: Address;
  readonly exportName: string;
}

export interface SwapOnOptions extends ExportAt {
  /** `/dev/nbdN`; null: one that is free. */
  readonly device: string | null;
  readonly priority: number;
}

const POLL_MS = 200;
/** A device that is attached has its size at once, unless the machine is very busy. */
const ATTACH_MS = 10_000;
/** Between two lines that say how far swapoff is, where there is no terminal to show a bar on. */
const LINE_MS = 5000;

/** The packages of Debian that have them. */
const PACKAGES = { "nbd-client": "nbd-client", mkswap: "util-linux", swapon: "mount" } as const;

/** @returns one line: what is on now. Throws RamsterError NO_DEVICE or COMMAND_FAILED. */
export async function swapOn(shell: Shell, options: SwapOnOptions): Promise<string> {
  const failing = "Cannot switch swap on";
  requireRoot(shell, failing);
  for (const [program, name] of Object.entries(PACKAGES)) {
    if (shell.has(program)) continue;
    throw lacking(failing, `there is no ${program}, which is in the package ${name}`);
  }
  await loadModule(shell, failing);
  const { nbd, exportName } = options;
  const uuid = swapUuid(formatAddress(nbd), exportName);
  const already = await deviceOf(shell, uuid);
  const what = `export "${exportName}" of ${formatAddress(nbd)}`;
  if (already !== null) throw lacking(failing, `${what} is on already, as ${already.path}`);
  const device = chooseDevice(shell, options.device, failing);
  must(await shell.run(attachCommand(options, device)), `Cannot attach ${what} as ${device}`);
  try {
    await waitForSize(shell, device, what);
    const failed = `Cannot make swap of ${device}`;
    must(await shell.run(["mkswap", "--uuid", uuid, device]), failed);
    // With --discard the node hears of every page that is free again.
    const priority = String(options.priority);
    const swapon = ["swapon", "--discard", "--priority", priority, device];
    must(await shell.run(swapon), `Cannot swap on ${device}`);
  } catch (error) {
    await shell.run(["nbd-client", "-d", device]);
    throw error;
  }
  const size = formatSize(findDevice(shell, device)?.swap?.byteCount ?? 0);
  return `swap is on: ${device}, ${size}, priority ${options.priority}, ${what}`;
}

export type SwapOffOptions = (ExportAt & { readonly device: null }) | { readonly device: string };

/**
 * Brings all pages home and detaches the device.
 *
 * @returns one line. Throws RamsterError NO_DEVICE or COMMAND_FAILED; then the device is attached
 * still, unless the line says that it is not.
 */
export async function swapOff(
  shell: Shell,
  options: SwapOffOptions,
  show: { progress: Progress; line: (text: string) => void },
): Promise<string> {
  const failing = "Cannot switch swap off";
  requireRoot(shell, failing);
  const found = await target(shell, options);
  if (found === null || found.byteCount === 0) return "swap is off already";
  const { path } = found;
  if (found.swap !== null) await emptied(shell, path, show);
  must(await shell.run(["nbd-client", "-d", path]), `Cannot detach ${path}, which is no swap now`);
  return `swap is off: ${path}`;
}

async function target(shell: Shell, options: SwapOffOptions): Promise<NbdDevice | null> {
  if (options.device !== null) return findDevice(shell, options.device);
  const { nbd, exportName } = options;
  return deviceOf(shell, swapUuid(formatAddress(nbd), exportName));
}

/** swapoff, until /proc/swaps does not name the device any more. */
async function emptied(
  shell: Shell,
  path: string,
  show: { progress: Progress; line: (text: string) => void },
): Promise<void> {
  const all = Math.max(1, findDevice(shell, path)?.swap?.usedBytes ?? 0);
  const running: { ended: Ended | null } = { ended: null };
  const swapoff = shell.run(["swapoff", path]).then((ended) => {
    running.ended = ended;
  });
  let saidAt = shell.now();
  while (running.ended === null) {
    const left = findDevice(shell, path)?.swap?.usedBytes ?? 0;
    const text = `${formatSize(left)} of ${formatSize(all)} to come home`;
    show.progress.show("swapoff", 1 - left / all, text);
    if (!show.progress.isShown && shell.now() - saidAt >= LINE_MS) {
      saidAt = shell.now();
      show.line(text);
    }
    await Promise.race([swapoff, shell.pause(POLL_MS)]);
  }
  show.progress.clear();
  const left = findDevice(shell, path)?.swap ?? null;
  if (running.ended.code === 0 && left === null) return;
  const still = left === null ? "" : `, ${formatSize(left.usedBytes)} are still there`;
  const goesOn = left === null ? "" : ", the device stays attached";
  must({ ...running.ended, code: 1 }, `Cannot bring all pages of ${path} home${still}${goesOn}`);
}

/** Lines of `ramster swap status`; one that says so where there is nothing. */
export function swapStatus(shell: Shell): string[] {
  const devices = nbdDevices(shell).filter((it) => it.byteCount > 0 || it.swap !== null);
  if (devices.length === 0) return ["no nbd device is attached"];
  return devices.map(({ path, byteCount, isConnected, swap }) => {
    const connected = isConnected ? "connected" : "not connected";
    if (swap === null) return `${path}: ${formatSize(byteCount)}, ${connected}, no swap`;
    const use = `${formatSize(swap.usedBytes)} of ${formatSize(swap.byteCount)} used`;
    return `${path}: ${use}, priority ${swap.priority}, ${connected}`;
  });
}

function requireRoot(shell: Shell, failing: string): void {
  if (!shell.isRoot) throw lacking(failing, "this takes root");
}

async function loadModule(shell: Shell, failing: string): Promise<void> {
  if (nbdDevices(shell).length > 0) return;
  const { code, said } = await shell.run(["modprobe", "nbd"]);
  if (code === 0 && nbdDevices(shell).length > 0) return;
  throw lacking(failing, `this kernel has no nbd devices: ${said === "" ? "modprobe nbd" : said}`);
}

function chooseDevice(shell: Shell, wanted: string | null, failing: string): string {
  const devices = nbdDevices(shell);
  const isFree = (it: NbdDevice): boolean => {
    return it.byteCount === 0 && !it.isConnected && it.swap === null;
  };
  if (wanted === null) {
    const free = devices.find(isFree);
    if (free !== undefined) return free.path;
    throw lacking(failing, `all ${devices.length} nbd devices are in use`);
  }
  const device = devices.find(({ path }) => path === wanted);
  if (device === undefined) throw lacking(failing, `there is no ${wanted}`);
  if (device.swap !== null) throw lacking(failing, `${wanted} is swap already`);
  if (!isFree(device)) throw lacking(failing, `${wanted} is in use`);
  return wanted;
}

/** Blocks of a page, or the kernel would read and write in pieces. */
function attachCommand({ nbd, exportName }: ExportAt, device: string): string[] {
  const server = nbd.kind === "unix" ? ["-unix", nbd.path] : [nbd.host, String(nbd.port)];
  return ["nbd-client", ...server, device, "-N", exportName, "-b", "4096", "-swap", "-persist"];
}

async function waitForSize(shell: Shell, device: string, what: string): Promise<void> {
  const limit = shell.now() + ATTACH_MS;
  while ((findDevice(shell, device)?.byteCount ?? 0) === 0) {
    if (shell.now() > limit) {
      throw new RamsterError("COMMAND_FAILED", `Cannot attach ${what} as ${device}: it is empty`);
    }
    await shell.pause(POLL_MS);
  }
}

function findDevice(shell: Shell, path: string): NbdDevice | null {
  return nbdDevices(shell).find((device) => device.path === path) ?? null;
}

/** The device that is swap under this UUID, now. */
async function deviceOf(shell: Shell, uuid: string): Promise<NbdDevice | null> {
  const columns = "--show=NAME,UUID";
  const { stdout } = await shell.run(["swapon", columns, "--noheadings", "--raw"]);
  const line = stdout.split("\n").find((it) => it.split(" ")[1] === uuid);
  const path = line?.split(" ")[0];
  return path === undefined ? null : findDevice(shell, path);
}

function must(ended: Ended, failing: string): void {
  if (ended.code === 0) return;
  const said = ended.said === "" ? `it ended with ${ended.code}` : ended.said;
  throw new RamsterError("COMMAND_FAILED", `${failing}: ${said}`);
}

function lacking(failing: string, detail: string): RamsterError {
  return new RamsterError("NO_DEVICE", `${failing}: ${detail}`);
}
