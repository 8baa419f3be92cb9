/**
 * Machines: clean Debians that systemd has booted, each in namespaces of its own
 * (systemd-nspawn), and joined by a network that nobody else sees.
 *
 *     await using world = await MachineWorld.boot(["a", "b"]);
 *     await world.machine("a").run("apt-get install ./ramster.deb");    // at 10.0.0.1
 *
 * It needs root, and a kernel with cgroup2. At its end nothing is left: no process, no network.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { childrenOf, type Ended, ended, until } from "../processes/process-world.ts";
import { TOOL_ENVIRONMENT } from "../processes/tools.ts";
import { unpackDebian } from "./clean-debian.ts";

const BOOT_MS = 60_000;
const POLL_MS = 100;

/** systemd needs a hierarchy of its own, and this machine may have an older one. */
const OWN_CGROUPS = [
  "umount -R /sys/fs/cgroup 2>/dev/null",
  "mount -t cgroup2 none /sys/fs/cgroup",
  'exec systemd-nspawn "$@"',
].join("\n");

/** Where memory is limited by the older hierarchy, lenders look for that. */
const SHOW_MEMORY_LIMITS = [
  "! grep -q :memory: /proc/self/cgroup ||",
  "{ mkdir /run/memory-limits && mount -t cgroup -o memory none /run/memory-limits; }",
].join(" ");

export class Machine {
  readonly root: string;
  readonly address: string;
  private readonly child: Bun.Subprocess;
  /** The process that is systemd there. */
  private leader = 0;

  constructor(root: string, name: string, address: string, network: string) {
    this.root = root;
    this.address = address;
    writeFileSync(join(root, "etc/hostname"), `${name}\n`);
    const flags = ["--quiet", "--register=no", "--keep-unit", "--capability=all", "--boot"];
    const own = [`--directory=${root}`, `--hostname=${name}`];
    const nspawn = [...flags, ...own, `--network-namespace-path=/run/netns/${network}`];
    const apart = ["unshare", "--mount", "--cgroup", "--propagation", "private"];
    this.child = Bun.spawn([...apart, "sh", "-c", OWN_CGROUPS, "sh", ...nspawn], {
      env: { ...TOOL_ENVIRONMENT, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" },
      stdin: "ignore",
      stdout: Bun.file(join(root, "../", `${name}.console`)),
      stderr: Bun.file(join(root, "../", `${name}.errors`)),
    });
  }

  /** Waits until systemd has started everything. */
  async booted(): Promise<void> {
    const limit = performance.now() + BOOT_MS;
    for (;;) {
      this.leader = childrenOf(this.child.pid).find(isFirst) ?? 0;
      const state = this.leader === 0 ? null : await this.run("systemctl is-system-running");
      if (state !== null && /^(?:running|degraded)/.test(state.stdout)) break;
      if (performance.now() > limit || this.child.exitCode !== null) {
        throw new Error(`a machine does not boot: ${state?.stdout}${state?.stderr}`);
      }
      await Bun.sleep(POLL_MS);
    }
    await this.succeed(SHOW_MEMORY_LIMITS);
  }

  /** Copies a file into the folder of root there. */
  take(path: string): void {
    copyFileSync(path, join(this.root, "root", basename(path)));
  }

  /** Runs commands of a shell, in the folder of root. */
  run(script: string): Promise<Ended> {
    return ended(this.spawn(script));
  }

  /** As `run`, and throws when they fail. @returns what they printed, errors among it. */
  async succeed(script: string): Promise<string> {
    const { stdout, stderr, code } = await this.run(script);
    if (code === 0) return `${stdout}${stderr}`;
    throw new Error(`"${script}" ended with ${code}:\n${stdout}${stderr}`);
  }

  spawn(script: string): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const env = ["env", "-i", path, "HOME=/root", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"];
    const enter = ["nsenter", "--all", "--wd", "--root", `--target=${this.leader}`];
    return Bun.spawn([...enter, ...env, "sh", "-c", `cd /root\n${script}`], {
      env: TOOL_ENVIRONMENT,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** With systemd all other processes there end. */
  async end(): Promise<void> {
    if (this.leader !== 0) process.kill(this.leader, "SIGKILL");
    else this.child.kill("SIGKILL");
    await this.child.exited;
  }
}

/** Whether the process is the first one of a namespace. */
function isFirst(pid: number): boolean {
  try {
    return /^NSpid:\t\d+\t1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false; // It has ended by now.
  }
}

export class MachineWorld implements AsyncDisposable {
  private readonly folder = mkdtempSync(join(tmpdir(), "ramster-machines-"));
  private readonly machines = new Map<string, Machine>();
  private readonly networks: string[] = [];

  static async boot(names: readonly string[]): Promise<MachineWorld> {
    const world = new MachineWorld();
    try {
      for (const name of names) world.add(name);
      world.join();
      await Promise.all([...world.machines.values()].map((it) => it.booted()));
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  private add(name: string): void {
    const network = `ramster-${process.pid}-${name}`;
    ip(`netns add ${network}`);
    this.networks.push(network);
    ip(`-n ${network} link set lo up`);
    const root = join(this.folder, name);
    unpackDebian(root);
    const address = `10.0.0.${this.machines.size + 1}`;
    this.machines.set(name, new Machine(root, name, address, network));
  }

  /** Two machines have a cable. */
  private join(): void {
    const [first, second, ...more] = this.networks;
    if (first === undefined || second === undefined) return;
    if (more.length > 0) throw new Error("a cable has two ends");
    ip(`-n ${first} link add eth0 type veth peer name eth0 netns ${second}`);
    for (const [i, network] of [first, second].entries()) {
      ip(`-n ${network} address add 10.0.0.${i + 1}/24 dev eth0`);
      ip(`-n ${network} link set eth0 up`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.machines.values()].map((it) => it.end()));
    for (const network of this.networks) ip(`netns delete ${network}`);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function ip(words: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...words.split(" ")], {
    env: TOOL_ENVIRONMENT,
  });
  if (exitCode !== 0) throw new Error(`ip ${words}: ${stderr.toString()}`);
}

/** Waits for a state of a machine. */
export function untilThere(what: string, machine: Machine, script: string): Promise<void> {
  return until(what, async () => (await machine.run(script)).code === 0);
}
