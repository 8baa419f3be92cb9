/**
 * NodeProcess: one real process of this program that runs a node or a server. It is started, read
 * until its ready line, and ended by its id.
 *
 *     spawned --ready line--> running --stop()--> shut down cleanly
 *        \______________________\______kill()---> killed
 *
 * Not here: the plan of the cluster (stress/supervisor.ts, processes.test.ts).
 */
import { readFileSync } from "node:fs";

/** From start to the ready line. Generous, because many nodes start at once on few cores. */
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const STDERR_LINES_KEPT = 200;

/** `ready node=3 name=n3 listen=127.0.0.1:41234 gossip=127.0.0.1:41235 client=unix:/tmp/a.sock` */
const READY_LINE =
  /^ready node=\d+ name=.+ listen=(\S+)(?: gossip=(\S+))?(?: http=(\S+))?(?: client=(.+?))?(?: nbd=(.+))?$/m;

/** A node ended without being asked to. */
export class NodeDiedError extends Error {
  override readonly name = "NodeDiedError";
}

/**
 * The command in front of one whose process shall end with this one, even if this one is killed
 * (PR_SET_PDEATHSIG, prctl(2)): a node that is left over would stay in its cluster. setpriv is part
 * of util-linux. Without it such a node stays. The signal comes only from a parent that dies after
 * the call, so the shell then checks that this process is still the parent.
 */
function endsWithParent(): string[] {
  if (Bun.which("setpriv") === null) return [];
  const run = '[ "$PPID" = "$0" ] && exec "$@"';
  return ["setpriv", "--pdeathsig", "TERM", "sh", "-c", run, String(process.pid)];
}

export class NodeProcess {
  readonly number: number;
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** The addresses in its ready line: for peers, gossip, monitoring and programs. */
  listen = "";
  gossip = "";
  http = "";
  client = "";
  nbd = "";
  /** Its latest log lines. */
  readonly stderr: string[] = [];
  private ending = false;
  /** Resolves at the end of stderr. */
  private readonly logEnd: Promise<void>;

  /** Starts the process. `number` names the node in errors. */
  constructor(number: number, argv: readonly string[], options: { verbose: boolean }) {
    this.number = number;
    const cmd = [...endsWithParent(), ...argv];
    this.child = Bun.spawn({ cmd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.logEnd = this.keepStderr(options.verbose);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Rejects with NodeDiedError when the process ends without being asked to. */
  get died(): Promise<never> {
    return this.child.exited.then((code) => {
      if (this.ending) return new Promise<never>(() => {});
      throw new NodeDiedError(`node ${this.number} died with exit code ${code}`);
    });
  }

  /** Reads the ready line. Rejects with NodeDiedError when the process ends without one. */
  async ready(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const reader = this.child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    const timer = setTimeout(() => this.child.kill("SIGKILL"), timeoutMs);
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
    clearTimeout(timer);
    reader.releaseLock();
    const match = READY_LINE.exec(text);
    if (match === null) {
      await this.logEnd;
      const last = this.stderr.at(-1) ?? "none";
      throw new NodeDiedError(`node ${this.number} did not start; last log line: ${last}`);
    }
    this.listen = match[1] ?? "";
    this.gossip = match[2] ?? "";
    this.http = match[3] ?? "";
    this.client = match[4] ?? "";
    this.nbd = match[5] ?? "";
  }

  /** Sends SIGTERM, then SIGKILL if that does not end it. @returns the exit code. */
  async stop(signal: "SIGTERM" | "SIGINT" | "SIGQUIT" = "SIGTERM"): Promise<number> {
    this.ending = true;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const code = await this.child.exited;
    clearTimeout(timer);
    return code;
  }

  /** Sends SIGKILL. Resolves when the process has gone. */
  async kill(): Promise<void> {
    this.ending = true;
    this.child.kill("SIGKILL");
    await this.child.exited;
  }

  private async keepStderr(verbose: boolean): Promise<void> {
    const decoder = new TextDecoder();
    let unfinished = "";
    for await (const chunk of this.child.stderr) {
      const text = decoder.decode(chunk, { stream: true });
      if (verbose) process.stderr.write(text);
      const lines = (unfinished + text).split("\n");
      unfinished = lines.pop() ?? "";
      this.stderr.push(...lines.filter((line) => line !== ""));
      this.stderr.splice(0, this.stderr.length - STDERR_LINES_KEPT);
    }
    if (unfinished !== "") this.stderr.push(unfinished);
  }
}

/** Memory of any process, from the kernel's files. */
export function memoryOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string): number => {
    return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  };
  return {
    residentBytes: bytes("VmRSS"),
    /** The part of it that is not backed by a file. */
    anonymousBytes: bytes("RssAnon"),
    lockedBytes: bytes("VmLck"),
  };
}
