/**
 * MemberlistPeer: a real member of HashiCorp's memberlist on loopback, for tests. It is the Go
 * program in harness/gossip/memberlist, built on Debian's golang-github-hashicorp-memberlist-dev.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress, type TcpAddress } from "../../src/net/address.ts";
import { which } from "../processes/tools.ts";

/** The folder of Debian's Go libraries. */
const GO_PATH = "/usr/share/gocode";
const SOURCE = join(import.meta.dir, "memberlist");

export interface PeerOptions {
  readonly label?: string;
  /** Base64. */
  readonly key?: string;
  readonly join?: string;
  readonly flags?: readonly string[];
}

/** The path of the program, which is built once. */
export class MemberlistProgram implements Disposable {
  private readonly directory = mkdtempSync(join(tmpdir(), "ramster-memberlist-"));
  private readonly path = join(this.directory, "memberlist");
  private readonly peers: MemberlistPeer[] = [];

  /** Whether this machine has Go and the library. */
  static get isAvailable(): boolean {
    return which("go") !== null && existsSync(join(GO_PATH, "src/github.com/hashicorp/memberlist"));
  }

  constructor() {
    const env = {
      ...process.env,
      GO111MODULE: "off",
      GOFLAGS: "",
      GOPATH: GO_PATH,
      GOCACHE: process.env.GOCACHE ?? join(this.directory, "cache"),
    };
    const command = ["go", "build", "-o", this.path, "."];
    const { exitCode, stderr } = Bun.spawnSync(command, { cwd: SOURCE, env });
    if (exitCode !== 0) throw new Error(`go build: ${stderr.toString()}`);
  }

  async start(name: string, options: PeerOptions = {}): Promise<MemberlistPeer> {
    const { label = "", key = "", flags = [] } = options;
    const given = [
      `-name=${name}`,
      `-label=${label}`,
      `-key=${key}`,
      `-join=${options.join ?? ""}`,
    ];
    const peer = new MemberlistPeer([this.path, ...given, ...flags]);
    this.peers.push(peer);
    await peer.ready();
    return peer;
  }

  [Symbol.dispose](): void {
    for (const peer of this.peers) peer.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export class MemberlistPeer {
  /** Its gossip address. */
  address = "";
  private readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  private readonly reader: AsyncGenerator<string>;
  private readonly lines: string[] = [];

  constructor(command: readonly string[]) {
    this.child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    this.reader = linesOf(this.child.stdout);
  }

  /** Waits for an output line that begins with `start`. @returns the rest of that line. */
  async printed(start: string): Promise<string> {
    for (;;) {
      const line = this.lines.find((it) => it.startsWith(start));
      if (line !== undefined) return line.slice(start.length).trim();
      const { value, done } = await this.reader.next();
      if (done === true) throw new Error(`The Go member ended: ${await this.child.stderr.text()}`);
      this.lines.push(value);
    }
  }

  async ready(): Promise<void> {
    this.address = await this.printed("ready");
  }

  get tcpAddress(): TcpAddress {
    return parseAddress(this.address) as TcpAddress;
  }

  /** Leaves the cluster, and announces it. */
  async leave(): Promise<void> {
    this.child.stdin.write("leave\n");
    this.child.stdin.end();
    await this.child.exited;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
