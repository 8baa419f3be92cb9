/** A machine whose kernel has nbd, for tests of `ramster swap`. */

import { exitCodeOf } from "../../src/cli/exit.ts";
import { Progress } from "../../src/cli/progress.ts";
import { type Ended, NO_NODES, type NodeDevices, type Shell } from "../../src/cli/swap/shell.ts";
import type { Change } from "../../src/cli/swap/swap-steps.ts";
import { RamsterError } from "../../src/core/errors.ts";

const MIB = 1024 * 1024;

export interface FakeDevice {
  byteCount: number;
  isConnected: boolean;
  /** The export that the device is attached to, by any address. */
  exportName: string;
  swapBytes: number | null;
  usedBytes: number;
  priority: number;
}

/** A machine whose kernel has nbd, and where any program may fail. */
export class FakeShell implements Shell {
  isRoot = true;
  nodes: NodeDevices = NO_NODES;
  readonly commands: string[] = [];
  readonly failing = new Map<string, string>();
  readonly missing = new Set<string>();
  readonly devices: FakeDevice[];
  hasModule = true;
  canLoadModule = true;
  isLocked = false;
  /** The UUID of the swap that was made of each export. */
  readonly uuids = new Map<string, string>();
  readonly files = new Map<string, string>();
  /** Called before each command. */
  onCommand: (line: string) => void = () => {};
  /** The time from attaching a device until the kernel shows its pid. */
  pollsUntilPid = 0;
  /** The bytes that swapoff brings home between two polls. */
  bytesPerPoll = 100 * MIB;
  /** The pid of the process that attached the device. */
  pid = 812;
  private time = 0;
  private readonly waiting: Array<() => void> = [];

  constructor(deviceCount = 2) {
    this.devices = Array.from({ length: deviceCount }, () => ({
      byteCount: 0,
      isConnected: false,
      exportName: "",
      swapBytes: null,
      usedBytes: 0,
      priority: 0,
    }));
  }

  has(program: string): boolean {
    return !this.missing.has(program);
  }

  async run(argv: readonly string[], stop?: AbortSignal): Promise<Ended> {
    const [program = "", first = ""] = argv;
    const line = argv.join(" ");
    const isQuestion = line.startsWith("swapon --show") || program === "swaplabel";
    if (!isQuestion) this.commands.push(line);
    this.onCommand(line);
    const lastLine = this.failing.get(
      program === "nbd-client" && first === "-d" ? "detach" : program,
    );
    if (lastLine !== undefined && program !== "swapoff") return { code: 1, stdout: "", lastLine };
    const device = this.devices[Number(/\/dev\/nbd(\d+)/.exec(line)?.[1])];
    if (line.startsWith("swapon --show")) return { code: 0, stdout: this.shown(), lastLine: "" };
    if (program === "modprobe") this.hasModule = this.canLoadModule;
    if (device === undefined) return { code: 0, stdout: "", lastLine: "" };
    if (program === "swaplabel") {
      const uuid = this.uuids.get(device.exportName);
      if (uuid === undefined)
        return { code: 1, stdout: "", lastLine: "not a valid swap partition" };
      return { code: 0, stdout: `LABEL: x\nUUID:  ${uuid}\n`, lastLine: "" };
    }
    if (program === "mkswap") this.uuids.set(device.exportName, `uuid-${this.uuids.size}`);
    if (program === "swapon") {
      device.swapBytes = device.byteCount - 4096;
      device.priority = Number(argv[3]);
    }
    if (program === "nbd-client") {
      device.isConnected = first !== "-d";
      device.byteCount = device.isConnected ? 1024 * MIB : 0;
      device.exportName = /-N (.*) -b/.exec(line)?.[1] ?? "";
      if (first === "-d" && device.swapBytes !== null) throw new Error("the kernel swaps there");
    }
    if (program === "swapoff") return this.swapoff(device, lastLine, stop);
    return { code: 0, stdout: "", lastLine: "" };
  }

  private async swapoff(
    device: FakeDevice,
    failure: string | undefined,
    stop?: AbortSignal,
  ): Promise<Ended> {
    const isStopped = (): boolean => stop?.aborted === true;
    while (device.usedBytes > 0) {
      // What is home stays there (mm/swapfile.c, try_to_unuse).
      if (isStopped()) return { code: 143, stdout: "", lastLine: "" };
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        stop?.addEventListener("abort", () => resolve());
      });
      if (isStopped()) continue;
      device.usedBytes = Math.max(0, device.usedBytes - this.bytesPerPoll);
      if (failure !== undefined) return { code: 255, stdout: "", lastLine: failure };
    }
    device.swapBytes = null;
    return { code: 0, stdout: "", lastLine: "" };
  }

  private shown(): string {
    const on = this.devices.flatMap(({ swapBytes, exportName }, i) => {
      return swapBytes === null ? [] : [`/dev/nbd${i} ${this.uuids.get(exportName) ?? ""}`];
    });
    return ["/dev/sda2 11111111-2222-3333-4444-555555555555", ...on, ""].join("\n");
  }

  read(path: string): string | null {
    if (path === "/proc/swaps") {
      const lines = this.devices.flatMap(({ swapBytes, usedBytes, priority }, i) => {
        if (swapBytes === null) return [];
        return [
          `/dev/nbd${i}\t\tpartition\t${swapBytes / 1024}\t\t${usedBytes / 1024}\t\t${priority}`,
        ];
      });
      return ["Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority", ...lines, ""].join("\n");
    }
    const device = this.devices[Number(/nbd(\d+)\/(?:size|pid)$/.exec(path)?.[1])];
    if (device === undefined) return this.files.get(path) ?? null;
    if (path.endsWith("/size")) return `${device.byteCount / 512}\n`;
    return device.isConnected && this.pollsUntilPid === 0 ? `${this.pid}\n` : null;
  }

  list(): readonly string[] {
    return this.hasModule ? ["sda", ...this.devices.map((_, i) => `nbd${i}`), "nbdx"] : ["sda"];
  }

  writeNote(path: string, text: string): void {
    this.files.set(path, text);
  }

  readNote(path: string): string | null {
    return this.files.get(path) ?? null;
  }

  removeNote(path: string): void {
    this.files.delete(path);
  }

  realPath(path: string): string {
    return path.replace(/^\/var\/run\//, "/run/").replaceAll("//", "/");
  }

  async lock(): Promise<boolean> {
    return !this.isLocked;
  }

  async pause(ms: number): Promise<void> {
    this.time += ms;
    this.pollsUntilPid = Math.max(0, this.pollsUntilPid - 1);
    for (const go of this.waiting.splice(0)) go();
    await Promise.resolve();
  }

  now(): number {
    return this.time;
  }
}

export function quiet() {
  const lines: string[] = [];
  const stream = { isTTY: false, columns: 80, write: () => true };
  const progress = new Progress(stream, { quiet: false });
  return { lines, show: { progress, line: (text: string) => lines.push(text) } };
}

export async function textOf(doing: Promise<Change>): Promise<string> {
  return (await doing).text;
}

export async function refusal(doing: Promise<unknown>): Promise<{ message: string; exit: number }> {
  try {
    await doing;
  } catch (error) {
    if (!(error instanceof RamsterError)) throw error;
    return { message: error.message, exit: exitCodeOf(error) };
  }
  throw new Error("it was not refused");
}
