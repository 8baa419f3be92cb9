/**
 * The .deb on clean Debians that systemd has booted: docs/install.md as a newcomer follows it on
 * two machines, services, sleep, upgrade and removal.
 *
 * Changes to the commands: "scp" copies a file from one machine to the other. The swap of a kernel
 * is not tested here, but in harness/guest.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { type Block, commandsOf, outputLike, readDocument } from "../checks/documents.ts";
import { areToolsRequired, which } from "../processes/tools.ts";
import { packagePath } from "./built.ts";
import { type Machine, MachineWorld, untilThere } from "./machine.ts";

const TOOLS = ["mmdebstrap", "systemd-nspawn", "ip", "dpkg-deb"];
const isMissing = TOOLS.some((tool) => which(tool) === null) || process.getuid?.() !== 0;
const BUILD_MS = 600_000;
const TEST_MS = 120_000;
const DEB = `ramster_${packageJson.version}_amd64.deb`;
/** The most commands to the first page on another machine. */
const COMMANDS_MAX = 4;

const folder = mkdtempSync(join(tmpdir(), "ramster-deb-"));
afterAll(() => rmSync(folder, { recursive: true }));
const worlds: MachineWorld[] = [];

async function boot(names: readonly string[]): Promise<MachineWorld> {
  const world = await MachineWorld.boot(names);
  worlds.push(world);
  for (const name of names) world.machine(name).take(packagePath("_amd64.deb"));
  return world;
}

async function endWorlds(): Promise<void> {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]();
}

/** The package again, with another version. */
async function otherVersion(version: string): Promise<string> {
  const tree = join(folder, version);
  const path = join(folder, `ramster_${version}_amd64.deb`);
  const run = (...argv: string[]): void => {
    const { exitCode, stderr } = Bun.spawnSync(argv);
    if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr.toString()}`);
  };
  run("dpkg-deb", "--raw-extract", packagePath("_amd64.deb"), tree);
  const control = join(tree, "DEBIAN/control");
  const text = readFileSync(control, "utf8").replace(/^Version: .*$/m, `Version: ${version}`);
  writeFileSync(control, text);
  run("dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, path);
  return path;
}

/** The blocks of one section. */
function blocksIn(title: string): Block[] {
  const { text, blocks, path } = readDocument("docs/install.md");
  const lines = text.split("\n");
  const from = lines.indexOf(`## ${title}`);
  const to = lines.findIndex((line, i) => i > from && line.startsWith("## "));
  return blocks.filter(({ at }) => {
    const line = Number(at.slice(path.length + 1));
    return line > from && line <= to;
  });
}

/** Follows a section on two machines. */
class Newcomer {
  readonly running: Bun.Subprocess[] = [];
  /** Those that were typed. */
  readonly commands: string[] = [];
  private readonly world: MachineWorld;
  private output = "";

  constructor(world: MachineWorld) {
    this.world = world;
  }

  async follow(block: Block): Promise<void> {
    const { language, how, lines } = block;
    const [name = "", more = ""] = how.split(", ");
    if (language === "text") return this.compare(block);
    const machine = this.world.machine(name);
    if (language === "toml") {
      writeFileSync(join(machine.root, more), `${lines.join("\n")}\n`);
      return;
    }
    for (const command of commandsOf(block)) {
      this.commands.push(command);
      if (more === "keeps running") await this.start(machine, command);
      else if (command.startsWith("scp ")) this.copy(command);
      else this.output = await machine.succeed(command);
    }
  }

  private async start(machine: Machine, command: string): Promise<void> {
    const child = machine.spawn(`exec ${command}`);
    this.running.push(child);
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toStartWith("ready ");
  }

  private copy(command: string): void {
    const [, from = "", to = ""] = /^scp -p (\S+) root@10\.0\.0\.2:(\S+)$/.exec(command) ?? [];
    copyFileSync(
      join(this.world.machine("lender").root, from),
      join(this.world.machine("owner").root, to),
    );
  }

  private compare({ lines }: Block): void {
    for (const line of lines) expect(this.output).toMatch(outputLike(line));
  }
}

/** Pages that came back from a lender, in a run that loads the node of the machine. */
async function remoteGets(owner: Machine): Promise<number> {
  const load = "--working-set 256MiB --duration 1s";
  const report = await owner.succeed(
    `ramster stress --connect unix:/run/ramster/owner.sock ${load}`,
  );
  expect(report).toMatch(/^PASS/m);
  return Number(/^remote gets +(\d+)/m.exec(report)?.[1]);
}

const set = describe.skipIf(isMissing && !areToolsRequired);

set("two machines", () => {
  let world: MachineWorld;
  beforeAll(async () => {
    world = await boot(["lender", "owner"]);
  }, BUILD_MS);
  afterAll(endWorlds);

  test(
    "the first page is on another machine after four commands",
    async () => {
      const newcomer = new Newcomer(world);
      for (const block of blocksIn("The first page on another machine"))
        await newcomer.follow(block);
      expect(newcomer.commands.length).toBeLessThanOrEqual(COMMANDS_MAX);
      expect(newcomer.commands.length).toBeGreaterThan(1);
      await world.machine("lender").succeed("kill $(pidof ramster)");
      for (const child of newcomer.running) expect(await child.exited).toBe(0);
    },
    TEST_MS,
  );

  test(
    "a lender and a node stay as services, with a key",
    async () => {
      const newcomer = new Newcomer(world);
      for (const block of blocksIn("A lender and a node that stay")) await newcomer.follow(block);
      const owner = world.machine("owner");
      const status = await owner.succeed("ramster status --client unix:/run/ramster/owner.sock");
      expect(status).toContain("alive");
      expect(await remoteGets(owner)).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  test(
    "systemd knows when they are ready, and has little to fear from them",
    async () => {
      for (const [name, unit] of [
        ["lender", "ramster-server"],
        ["owner", "ramster-node@owner"],
      ] as const) {
        const machine = world.machine(name);
        const status = await machine.succeed(
          `systemctl show ${unit} -p ActiveState,StatusText,Type`,
        );
        expect(status).toContain("ActiveState=active");
        expect(status).toContain("Type=notify");
        expect(status).toContain("StatusText=ready node=");
        const security = await machine.succeed(`systemd-analyze security ${unit} --threshold=30`);
        expect(security).toContain("exposure level");
        await machine.succeed(`systemctl reload ${unit} && systemctl is-active ${unit}`);
        const files = "/usr/lib/systemd/system/ramster-*.service";
        await machine.succeed(`systemd-analyze verify --man=no ${files.replace("*", "server")}`);
      }
    },
    TEST_MS,
  );

  test(
    "a certificate is renewed by the commands of docs/cluster.md",
    async () => {
      const [lender, owner] = [world.machine("lender"), world.machine("owner")];
      const steps = readDocument("docs/cluster.md")
        .blocks.map(commandsOf)
        .filter((commands) => commands.some((it) => it.includes(" --renew ")));
      expect(steps.length).toBe(3);
      for (const commands of steps) {
        await lender.succeed(["cd /etc/ramster", ...commands].join(" && "));
        const seen = await lender.succeed("stat -c %U:%G:%a /etc/ramster/cluster.key");
        expect(seen).toBe("root:ramster:640\n");
        const key = "etc/ramster/cluster.key";
        copyFileSync(join(lender.root, key), join(owner.root, key));
        await owner.succeed("ramster key reload");
      }
      // A link that there was has the certificate that it began with.
      await owner.succeed("systemctl restart ramster-node@owner");
      expect(await remoteGets(owner)).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  test(
    "a key file that came by other means is read after a reload of the lender",
    async () => {
      const lender = world.machine("lender");
      await lender.succeed(
        "cd /etc/ramster && install -m 600 cluster.key other && mv other cluster.key",
      );
      expect((await lender.run("ramster key reload")).stderr).toContain(
        "this user may not access it",
      );
      await lender.succeed("systemctl reload ramster-server && ramster key reload");
    },
    TEST_MS,
  );

  test(
    "sleep waits for swap to be off, and does not come when that fails",
    async () => {
      const owner = world.machine("owner");
      // No kernel module here, and this machine must not sleep: the commands of the units are
      // others, but their order is the same.
      const replace = (unit: string, start: string, stop = ""): Promise<string> => {
        const place = `/run/systemd/system/${unit}.service.d`;
        const lines = ["[Service]", "ExecStart=", `ExecStart=${start}`, "ExecStop=", stop];
        return owner.succeed(
          `mkdir -p ${place} && printf '%s\\n' ${lines.map((it) => `'${it}'`).join(" ")} \
          > ${place}/test.conf && systemctl daemon-reload`,
        );
      };
      const note = (word: string): string => `/bin/sh -c "echo ${word} >> /run/order"`;
      await replace("ramster-swap@", "/bin/true");
      await replace("systemd-suspend", note("asleep"));
      await owner.succeed("systemctl enable --now ramster-swap@owner.service");
      await replace("ramster-sleep@", "/bin/false");
      expect((await owner.run("systemctl start systemd-suspend.service")).code).not.toBe(0);
      await owner.succeed("! test -e /run/order");
      await replace("ramster-sleep@", note("home"), `ExecStop=${note("awake")}`);
      await owner.succeed("systemctl start systemd-suspend.service");
      await untilThere("swap is on again", owner, "grep -q awake /run/order");
      expect(await owner.succeed("cat /run/order")).toBe("home\nasleep\nawake\n");
      await owner.succeed("systemctl disable --now ramster-swap@owner.service");
    },
    TEST_MS,
  );
});

set("one machine", () => {
  let machine: Machine;
  let before: string;
  /** What a package could change. */
  const STATE = [
    "cat /proc/swaps",
    "systemctl list-unit-files --state=enabled --no-legend | sort",
    "systemctl list-units --state=active,activating,failed --no-legend --plain | grep ramster",
    "pidof ramster",
    "true",
  ].join("; ");

  beforeAll(async () => {
    machine = (await boot(["lender"])).machine("lender");
    before = await machine.succeed(STATE);
    machine.take(await otherVersion("0.0.9"));
  }, BUILD_MS);
  afterAll(endWorlds);

  test(
    "installing starts nothing, enables nothing, and changes no swap",
    async () => {
      await machine.succeed("apt-get install -y ./ramster_0.0.9_amd64.deb");
      expect(await machine.succeed(STATE)).toBe(before);
      expect(await machine.succeed("stat -c %U:%G:%a /run/ramster")).toBe("root:ramster:1775\n");
      await machine.succeed("test -s /usr/share/man/man1/ramster.1.gz || ! test -d /usr/share/man");
    },
    TEST_MS,
  );

  test(
    "an upgrade leaves a running lender alone, and says so",
    async () => {
      await machine.succeed("ramster keygen --out /etc/ramster/cluster.key");
      writeFileSync(join(machine.root, "etc/ramster/server.toml"), 'memory = "16MiB"\n');
      await machine.succeed("systemctl enable --now ramster-server");
      const pid = (await machine.succeed("pidof ramster")).trim();
      const printed = await machine.succeed(`apt-get install -y ./${basename(DEB)}`);
      expect(printed).toContain(`process ${pid} runs version 0.0.9`);
      expect((await machine.succeed("pidof ramster")).trim()).toBe(pid);
      const status = "ramster status --client unix:/run/ramster/server.sock";
      expect(await machine.succeed(status)).toContain("HEALTHY");
    },
    TEST_MS,
  );

  test(
    "it is not removed while the kernel swaps on an export",
    async () => {
      await machine.succeed(
        [
          "mkdir -p /run/ramster-swap/nbd0",
          "printf 'Filename Type Size Used Priority\\n/dev/nbd0 partition 1 1 1\\n' > /run/swaps",
          "mount --bind /run/swaps /proc/swaps",
        ].join(" && "),
      );
      const { code, stdout, stderr } = await machine.run("apt-get remove -y ramster");
      await machine.succeed("umount /proc/swaps; rm -r /run/ramster-swap");
      expect(code).not.toBe(0);
      expect(stdout + stderr).toContain("ramster swap off --device /dev/nbd0");
      await machine.succeed("systemctl is-active ramster-server && ramster version");
    },
    TEST_MS,
  );

  test(
    "removed and purged, it leaves the key and nothing else",
    async () => {
      await machine.succeed("apt-get remove -y ramster");
      await machine.succeed("! pidof ramster && ! test -e /usr/bin/ramster");
      const printed = await machine.succeed("apt-get purge -y ramster");
      expect(printed).toContain("/etc/ramster stay");
      expect(await machine.succeed(STATE)).toBe(before);
      const left = "find / -xdev -name '*ramster*' -not -path '/proc/*' -not -path '/root/*'";
      const files = (await machine.succeed(`${left} -not -path '/var/log/*'`)).trim().split("\n");
      expect(files.filter((path) => !/^\/(?:etc\/ramster$|tmp\/|run\/)/.test(path))).toEqual([]);
      await machine.succeed("test -s /etc/ramster/cluster.key");
    },
    TEST_MS,
  );
});
