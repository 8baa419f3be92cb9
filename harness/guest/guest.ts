/**
 * Guest: a machine in QEMU, emulated in software. Its stock kernel swaps on an NBD export while a
 * program fills more memory than the machine has.
 *
 *     booted -> "GUEST swap on" -> "WALK pass 1 filled" -> ... -> "WALK OK" -> "GUEST OK" -> ended
 *                                                     \____________\________-> "... FAIL why"
 *
 * There are two ways to the export, with different NBD clients:
 *
 *     disk   guest's kernel -> virtio-blk -> QEMU, the client -> server
 *     nbd    guest's kernel, the client -> virtio-net -> QEMU's user network -> server
 *
 * In other ways, the guest runs a node in swap mode, and `ramster swap on` and `off`.
 *
 * It shows whether bytes come back right. It does not show how fast the server is.
 */
import type { GuestImage } from "./image.ts";

/** The address of the export's server, as seen from this machine. */
export interface ExportServer {
  readonly host: string;
  readonly port: number;
  readonly exportName: string;
}

export interface GuestOptions {
  /** The last ones: ramster in the guest attaches it, see the script of each in init.sh. */
  readonly client: "disk" | "nbd" | "program" | "full" | "killed" | "standby";
  readonly memoryMib: number;
  /** How often a process of its node is killed. */
  readonly kills?: number;
  /**
   * The memory that `walk` fills. With "full" and "standby": how much more than is available. With
   * "standby" and a negative number: the memory, as without.
   */
  readonly walkMib: number;
  readonly passes: number;
}

/** The counts of a guest that has succeeded. */
export interface WalkResult {
  readonly pages: number;
  readonly pagesIn: number;
  readonly pagesOut: number;
}

const LINES_KEPT = 300;

export class Guest implements AsyncDisposable {
  /** The latest output of the guest and its kernel. */
  readonly lines: string[] = [];
  private readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  private readonly ended: Promise<void>;
  private readonly watchers = new Set<() => void>();
  private hasEnded = false;

  /** Boots the guest. */
  constructor(image: GuestImage, server: ExportServer, options: GuestOptions) {
    const argv = qemuArguments(image, server, options);
    this.child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const streams = [this.child.stdout, this.child.stderr].map((it) => this.keepLines(it));
    this.ended = Promise.all([...streams, this.child.exited]).then(() => {
      this.hasEnded = true;
      this.wake();
    });
  }

  /** Resolves at a matching line, past or future. Rejects when the guest ends without one. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of this.lines) {
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
      if (this.hasEnded)
        throw new Error(`The guest ended without ${pattern}:\n${this.lines.join("\n")}`);
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  /** Waits for the end of the guest. Rejects when it reports a failure or no success. */
  async result(): Promise<WalkResult> {
    await this.ended;
    const failure = this.lines.find((line) => /^(GUEST|WALK) FAIL/.test(line));
    if (failure !== undefined) throw new Error(`${failure}\n${this.lines.join("\n")}`);
    await this.printed(/^GUEST OK$/);
    const walk = /^WALK OK pages (\d+) passes \d+ pswpin (\d+) pswpout (\d+)$/;
    const [, pages, pagesIn, pagesOut] = await this.printed(walk);
    return { pages: Number(pages), pagesIn: Number(pagesIn), pagesOut: Number(pagesOut) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  private wake(): void {
    for (const resolve of this.watchers) resolve();
    this.watchers.clear();
  }

  private async keepLines(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let unfinished = "";
    const keep = (lines: readonly string[]): void => {
      this.lines.push(...lines.map((line) => line.trimEnd()).filter((line) => line !== ""));
      // All output of its programs is kept, but only the last lines of its kernel.
      while (this.lines.length > LINES_KEPT) {
        const first = this.lines.findIndex((line) => !/^(GUEST|WALK)/.test(line));
        this.lines.splice(Math.max(0, first), 1);
      }
      this.wake();
    };
    for await (const chunk of stream) {
      const lines = (unfinished + decoder.decode(chunk, { stream: true })).split("\n");
      unfinished = lines.pop() ?? "";
      keep(lines);
    }
    keep([unfinished]);
  }
}

function qemuArguments(
  { kernel, initramfs }: GuestImage,
  { host, port, exportName }: ExportServer,
  { client, memoryMib, walkMib, passes, kills = 0 }: GuestOptions,
): string[] {
  const words = [
    "console=ttyS0",
    "quiet",
    "panic=-1",
    "rdinit=/init",
    `ramster.swap=${client}`,
    `ramster.port=${port}`,
    `ramster.export=${exportName}`,
    `ramster.mib=${walkMib}`,
    `ramster.passes=${passes}`,
    `ramster.kills=${kills}`,
  ];
  const drive = [
    "driver=nbd",
    "server.type=inet",
    `server.host=${host}`,
    `server.port=${port}`,
    `export=${exportName}`,
    "if=none",
    "id=d0",
    "cache=none",
    "discard=unmap",
    "reconnect-delay=30",
  ];
  const net = ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="];
  const disk = ["-drive", drive.join(","), "-device", "virtio-blk-pci,drive=d0"];
  return [
    "qemu-system-x86_64",
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-M",
    "q35",
    "-smp",
    "1",
    "-m",
    String(memoryMib),
    "-nographic",
    "-nodefaults",
    "-serial",
    "stdio",
    "-no-reboot",
    "-kernel",
    kernel,
    "-initrd",
    initramfs,
    "-append",
    words.join(" "),
    ...(client === "disk" ? disk : net),
  ];
}
