/**
 * `bun run soak hostile [--minutes M] [--only ATTACK] [--swap]`: a small cluster of real processes
 * under all attacks of attacks.ts at once. An owner, whose export is under load, has two lenders.
 * Halfway a lender is killed and started again. With --swap the owner is in swap mode, so all its
 * memory is locked. With `--only nothing` there is the load alone.
 *
 * Rules during the attacks: no node ends, every request to the export is answered with the right
 * bytes, no node takes more memory beside its frames than its bound, and the lender returns.
 * Rules afterwards: every link is up, every member is alive, and the memory is given back.
 *
 * Exit codes: 0 all rules held, 1 one did not, 2 bad usage.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "../../src/client/client.ts";
import { connect } from "../../src/client/on-bun.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { parseAddress, type TcpAddress } from "../../src/net/address.ts";
import { BunRandom } from "../../src/net/bun.ts";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { makeKey } from "../../src/security/make-key.ts";
import { memoryOf, type NodeProcess } from "../processes/node-process.ts";
import { ProcessWorld, until } from "../processes/process-world.ts";
import { ATTACKS, type Target } from "./attacks.ts";
import { DeviceLoad } from "./device-load.ts";

const MIB = 1024 * 1024;
/** Bound of memory beside the frames: the runtime, the program, its records and buffers. */
const BESIDE_BYTES_MAX = 96 * MIB;
/**
 * Under attack all pools may be full: 24 MiB of requests at the client door, 24 MiB of replies that
 * NBD clients and monitoring do not take, 14 MiB of TLS for unproven connections, and the garbage
 * of a second.
 */
const ATTACKED_BYTES_MAX = BESIDE_BYTES_MAX + 64 * MIB;
/**
 * In swap mode the kernel reclaims no locked memory (src/node/swap-mode.ts), so the heap stays as
 * large as the worst moments of all attacks have made it.
 */
const ATTACKED_LOCKED_BYTES_MAX = ATTACKED_BYTES_MAX + 80 * MIB;
const NOTHING = "nothing";
/** The defaults of the program, which take the most memory. Tests have others. */
const PRODUCT_CODECS = ["--codec=auto", "--cold-codec=zstd"];
const OWNER_MIB = 8;
const LENDER_MIB = 128;
const DISK_MIB = 32;
const PREY_MIB = 4;
const REPORT_MS = 10_000;
const WATCH_MS = 250;
/** A lender joins again within this time, even if the attackers have most of the machine. */
const BACK_MS = 120_000;

export interface HostileOptions {
  readonly minutes: number;
  /** Attacks to run; all of them by default. */
  readonly attacks?: readonly string[];
  /** Halfway a lender is killed and started again. */
  readonly restart: boolean;
  /** The owner is in swap mode. */
  readonly swap?: boolean;
  readonly report: (line: string) => void;
}

export interface HostileResult {
  /** Rules that did not hold, a line each. */
  readonly failures: readonly string[];
  readonly requestCount: number;
  /** The most memory that each node took beside its frames, in bytes. */
  readonly mostBytes: Readonly<Record<string, number>>;
  /** Rounds of each attack. */
  readonly rounds: Readonly<Record<string, number>>;
}

/** A node of the cluster, and a client that reads its stats. */
interface Member {
  readonly name: string;
  node: NodeProcess;
  client: Client;
  /** Memory beside its frames, as seen last. */
  besideBytes: number;
  readonly again: () => Promise<NodeProcess>;
}

class HostileSoak {
  private readonly world = new ProcessWorld();
  private readonly options: HostileOptions;
  private readonly load = new DeviceLoad(new BunRandom(), DISK_MIB * MIB);
  private readonly members: Member[] = [];
  private readonly failures: string[] = [];
  private readonly mostBytes: Record<string, number> = {};
  private isEnding = false;

  constructor(options: HostileOptions) {
    this.options = options;
  }

  async run(): Promise<HostileResult> {
    await using _ = this.world;
    const target = await this.start();
    const startMs = performance.now();
    const endMs = startMs + this.options.minutes * 60_000;
    const names = this.options.attacks ?? Object.keys(ATTACKS);
    const attackers = this.spawnAttackers(target, names);
    const halfway = this.untilTime(startMs + (endMs - startMs) / 2).then(() =>
      this.restartLender(),
    );
    await Promise.all([this.use(endMs), this.watch(startMs, endMs), halfway]);
    attackers.stdin.end();
    const rounds: Record<string, number> = JSON.parse(await attackers.stdout.text());
    await this.check();
    this.isEnding = true;
    await Promise.all(this.members.map(({ client }) => client.close()));
    const { failures, mostBytes } = this;
    return { failures, requestCount: this.load.requestCount, mostBytes, rounds };
  }

  /** A separate process, so that attacks slow the load down as little as possible. */
  private spawnAttackers(target: Target, names: readonly string[]) {
    const program = [process.execPath, join(import.meta.dir, "attackers.ts")];
    const argv = [...program, JSON.stringify(target), JSON.stringify(names)];
    const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
    this.world.onEnd(() => child.kill("SIGKILL"));
    return child;
  }

  // The cluster.

  private async start(): Promise<Target> {
    const { world } = this;
    const key = world.path("cluster.key");
    await world.run(["keygen", `--out=${key}`]);
    const secure = [`--key=${key}`, "--gossip=127.0.0.1:0"];
    const nbd = world.path("nbd");
    const exports = `--export=disk=${DISK_MIB}MiB,prey=${PREY_MIB}MiB`;
    const owner = await this.add("owner", "node", OWNER_MIB, [
      ...[...secure, exports, `--nbd=unix:${nbd}`, "--nbd=127.0.0.1:0"],
      this.options.swap === true ? "--swap" : "--no-swap",
      ...PRODUCT_CODECS,
      "--client=127.0.0.1:0",
      "--http=127.0.0.1:0",
    ]);
    const join = `--join=${owner.gossip}`;
    const lenders = [
      await this.add("lender1", "server", LENDER_MIB, [...secure, join, "--zone=a"]),
      await this.add("lender2", "server", LENDER_MIB, [...secure, join, "--zone=b"]),
    ];
    await this.load.start({ kind: "unix", path: nbd }, "disk");
    await this.untilCopied();
    const nodes = [owner, ...lenders];
    const tcp = (text: string): TcpAddress[] => {
      return text
        .split(",")
        .map(parseAddress)
        .filter((it): it is TcpAddress => it.kind === "tcp");
    };
    const peers = nodes.flatMap((node) => tcp(node.listen));
    const gossip = nodes.flatMap((node) => tcp(node.gossip));
    const doors = [owner.client, owner.nbd, owner.http].flatMap(tcp);
    return {
      peers,
      gossip,
      ports: [...peers, ...gossip, ...doors],
      http: tcp(owner.http),
      client: `unix:${world.path("owner")}`,
      nbd: `unix:${nbd}`,
      exportName: "prey",
      exportBytes: PREY_MIB * MIB,
      tls: parseKeyFile(readFileSync(key, "utf8"), Date.now()).tls,
      otherTls: (await makeKey({ nowMs: Date.now(), days: 1 })).tls,
    };
  }

  private async add(
    name: string,
    command: "node" | "server",
    memoryMib: number,
    flags: readonly string[],
  ): Promise<NodeProcess> {
    const number = this.members.length;
    const door = `unix:${this.world.path(name)}`;
    const own = [`--name=${name}`, `--memory=${memoryMib}MiB`, `--client=${door}`];
    const node = await this.world.start(command, number, [...flags, ...own]);
    const ports = [`--listen=${node.listen}`, `--gossip=${node.gossip}`];
    const rest = [...flags, ...own].filter((flag) => !flag.startsWith("--gossip="));
    const again = async (): Promise<NodeProcess> => {
      const next = this.world.startUnready(command, number, [...rest, ...ports]);
      await next.ready(BACK_MS);
      return next;
    };
    const client = await connect(door);
    this.members.push({ name, node, client, besideBytes: 0, again });
    this.watchEnd(name, node);
    return node;
  }

  private watchEnd(name: string, node: NodeProcess): void {
    node.died.catch((error: unknown) => {
      if (!this.isEnding) this.fail(`${name} ended: ${error}: ${node.stderr.at(-1)}`);
    });
  }

  private async restartLender(): Promise<void> {
    const member = this.members.at(-1);
    if (member === undefined || !this.options.restart || this.failures.length > 0) return;
    try {
      await this.untilCopied();
      await member.node.kill();
      await member.client.close();
      this.options.report(`${member.name} was killed, and is started again`);
      member.node = await member.again();
      member.client = await connect(member.node.client);
      this.watchEnd(member.name, member.node);
      this.options.report(`${member.name} has started`);
    } catch (error) {
      this.fail(`${member.name} did not come back under attack: ${error}`);
    }
  }

  /** Each page that is away has two copies, so that one lender may end. */
  private untilCopied(): Promise<void> {
    return until("each page has two copies", async () => {
      const { repair } = await this.owner.client.stats();
      return repair.copies_intended === 2 && repair.pages_at_risk === 0;
    });
  }

  private get owner(): Member {
    const [owner] = this.members;
    if (owner === undefined) throw new Error("no node was started");
    return owner;
  }

  // Rules during the attacks.

  private async use(endMs: number): Promise<void> {
    while (performance.now() < endMs && this.failures.length === 0) {
      await this.load.step().catch((error: Error) => this.fail(error.message));
    }
  }

  private async watch(startMs: number, endMs: number): Promise<void> {
    let reportedMs = startMs;
    while (performance.now() < endMs && this.failures.length === 0) {
      await Bun.sleep(WATCH_MS);
      for (const member of this.members) await this.measureMemory(member);
      if (performance.now() - reportedMs < REPORT_MS) continue;
      reportedMs = performance.now();
      const beside = this.members.map((it) => `${it.name} ${inMib(it.besideBytes)}`).join(", ");
      const { requestCount, slowestMs } = this.load;
      const seconds = Math.round((reportedMs - startMs) / 1000);
      const device = `${requestCount} requests, the slowest ${Math.round(slowestMs)} ms`;
      this.options.report(`${seconds} s: ${device}; memory beside frames: ${beside}`);
    }
  }

  private async measureMemory(member: Member): Promise<void> {
    try {
      const { frames_used = 0 } = (await member.client.stats()).counters;
      const { anonymousBytes } = memoryOf(member.node.pid);
      // In swap mode all frames are resident from the start.
      const frameBytes = this.isLocked(member) ? OWNER_MIB * MIB : frames_used * PAGE_BYTES;
      member.besideBytes = anonymousBytes - frameBytes;
    } catch {
      return; // The node is being started again.
    }
    const { name, besideBytes } = member;
    this.mostBytes[name] = Math.max(this.mostBytes[name] ?? 0, besideBytes);
    if (besideBytes > this.bytesMax(member, { during: true })) {
      this.fail(`${name} takes ${inMib(besideBytes)} beside its frames`);
    }
  }

  /** `during`: while attacks go on. */
  private bytesMax(member: Member, { during }: { during: boolean }): number {
    if (this.options.attacks?.length === 0) return BESIDE_BYTES_MAX;
    if (this.isLocked(member)) return ATTACKED_LOCKED_BYTES_MAX;
    return during ? ATTACKED_BYTES_MAX : BESIDE_BYTES_MAX;
  }

  private isLocked(member: Member): boolean {
    return this.options.swap === true && member === this.owner;
  }

  private async untilTime(timeMs: number): Promise<void> {
    while (performance.now() < timeMs && this.failures.length === 0) await Bun.sleep(50);
  }

  // Afterwards.

  private async check(): Promise<void> {
    if (this.failures.length > 0) return;
    try {
      await this.load.readAll();
      const { client } = this.owner;
      await until("all members are alive and all links up", async () => {
        await this.load.step();
        const { members, peers } = await client.stats();
        const areAlive = members.every(({ state }) => state === "alive");
        return members.length === 3 && areAlive && peers.every(({ connected }) => connected);
      });
      await until("the memory of the attacks is given back", async () => {
        for (const member of this.members) await this.measureMemory(member);
        return this.members.every(
          (member) => member.besideBytes <= this.bytesMax(member, { during: false }),
        );
      });
      const left = this.members.map((it) => `${it.name} ${inMib(it.besideBytes)}`).join(", ");
      this.options.report(`afterwards, memory beside frames: ${left}`);
    } catch (error) {
      this.fail(`afterwards: ${error}`);
    }
    this.load.stop();
  }

  private fail(line: string): void {
    this.failures.push(line);
    this.options.report(`FAILED: ${line}`);
  }
}

function inMib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

export function hostile(options: HostileOptions): Promise<HostileResult> {
  return new HostileSoak(options).run();
}

/** `only`: one attack by name, or "nothing". `swap`: with an owner in swap mode. */
export async function soakHostile(
  minutes: number,
  { only, swap }: { only?: string | undefined; swap: boolean },
): Promise<number> {
  if (only !== undefined && only !== NOTHING && !(only in ATTACKS)) {
    const known = [NOTHING, ...Object.keys(ATTACKS)].join(", ");
    console.error(`Cannot soak with --only "${only}": there are ${known}`);
    return 2;
  }
  const report = (line: string): void => console.log(line);
  const all = Object.keys(ATTACKS);
  const attacks = only === undefined ? all : all.filter((name) => name === only);
  const result = await hostile({ minutes, attacks, restart: true, swap, report });
  const { failures, requestCount, mostBytes, rounds } = result;
  for (const [name, count] of Object.entries(rounds)) console.log(`${name}: ${count} rounds`);
  const most = Object.entries(mostBytes).map(([name, bytes]) => `${name} ${inMib(bytes)}`);
  console.log(`${requestCount} requests of the export; the most beside frames: ${most.join(", ")}`);
  console.log(failures.length === 0 ? "all rules held" : `${failures.length} failures`);
  return failures.length === 0 ? 0 : 1;
}
