/**
 * The units in packaging/systemd/: systemd itself reads them, and their order is right for a
 * shutdown. Skipped without systemd-analyze, which is in Debian's package systemd.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "../../src/cli/args.ts";
import { EXIT } from "../../src/cli/exit.ts";
import { COMMANDS } from "../../src/commands.ts";
import { DRAIN_TIMEOUT_MS_DEFAULT } from "../../src/core/limits.ts";

const FOLDER = join(import.meta.dir, "../../packaging/systemd");
const [NODE, SWAP] = ["ramster-node@.service", "ramster-swap@.service"] as const;
const SWAP_UNITS = [NODE, SWAP] as const;
const LENDER = "ramster-server.service";
const HOME = ["ramster-sleep@.service", "ramster-soft-reboot@.service"] as const;
const ROTATION = ["ramster-swap-rotate@.service", "ramster-swap-rotate@.timer"] as const;
const UNITS = [...SWAP_UNITS, LENDER, ...HOME, ...ROTATION] as const;
/** The instance of the templates in these tests. */
const INSTANCE = "owner";
const EXAMPLES = join(import.meta.dir, "../../packaging/examples");
const PROGRAM = "/usr/bin/ramster";

function unitText(name: string): string {
  return readFileSync(join(FOLDER, name), "utf8");
}

/** The values of a key, with continued lines joined. */
function values(name: string, key: string): string[] {
  const lines = unitText(name)
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  return lines.filter((line) => line.startsWith(`${key}=`)).map((it) => it.slice(key.length + 1));
}

/** The exposure of the lender that systemd-analyze finds, 0 (safe) to 10. */
async function exposure(name: string): Promise<number> {
  const words = ["security", "--offline=true", "--no-pager", join(FOLDER, name)];
  const child = Bun.spawn(["systemd-analyze", ...words], { stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  await child.exited;
  return Number(/exposure level for .*: (\d+\.\d)/.exec(text)?.[1] ?? Number.NaN);
}

/** What systemd-analyze prints, with an existing program in place of ours. */
async function verified(edit: (text: string) => string = (text) => text): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "ramster-units-"));
  try {
    for (const name of UNITS) {
      writeFileSync(join(folder, name), edit(unitText(name).replaceAll(PROGRAM, "/bin/true")));
    }
    const paths = UNITS.map((name) => join(folder, name.replace("@.", `@${INSTANCE}.`)));
    const child = Bun.spawn(["systemd-analyze", "verify", "--man=no", ...paths], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const lines = (await child.stderr.text()).split("\n").filter((line) => line !== "");
    const code = await child.exited;
    return [
      // Known since systemd 255; older versions warn about it without harm.
      ...lines.filter((line) => !/'SurviveFinalKillSignal'|systemd-soft-reboot/.test(line)),
      ...(code === 0 ? [] : [`it ended with ${code}`]),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(Bun.which("systemd-analyze") === null)("systemd-analyze verify", () => {
  test("finds nothing wrong with the units", async () => {
    expect(await verified()).toEqual([]);
  });

  test("finds a lender and a node well confined", async () => {
    expect(await exposure(LENDER)).toBeLessThan(3);
    expect(await exposure(NODE)).toBeLessThan(3);
  });

  test.each([
    ["a word that is none", (text: string) => text.replace("OOMScoreAdjust", "OOMScoreAdjusted")],
    [
      "a circle",
      (text: string) => text.replace("After=network", "After=ramster-swap@owner.service network"),
    ],
    ["a program that is missing", (text: string) => text.replace("/bin/true", "/nowhere/true")],
  ])("would find %s", async (_, edit) => {
    expect(await verified(edit)).not.toEqual([]);
  });
});

describe("the units", () => {
  test("swap starts after the node, ends with it, and is ordered like a network file system", () => {
    expect(values(SWAP, "After")).toContain("ramster-node@%i.service");
    expect(values(SWAP, "BindsTo")).toEqual(["ramster-node@%i.service"]);
    for (const key of ["Conflicts", "Before"]) {
      expect(values(SWAP, key)).toContain("umount.target");
    }
    expect(values(NODE, "After")).toEqual(["network-online.target"]);
  });

  test("nothing interrupts swapoff, and nothing swaps the node out or kills it for its memory", () => {
    for (const name of SWAP_UNITS) {
      expect(values(name, "TimeoutStopSec")).toEqual(["infinity"]);
      expect(values(name, "LimitMEMLOCK")).toEqual(["infinity"]);
      expect(values(name, "OOMScoreAdjust")).toEqual(["-1000"]);
    }
    expect(values(NODE, "MemorySwapMax")).toEqual(["0"]);
    expect(values(NODE, "Restart")).toEqual(["no"]);
    // The "@" lets a process live until the very end of a shutdown.
    expect(values(NODE, "ExecStart")[0]).toStartWith(`@${PROGRAM} @ramster node`);
  });

  test("a node whose seeds are late is started again before systemd gives up, and swap follows", () => {
    const one = (key: string): string => values(NODE, key).join();
    expect(one("RestartForceExitStatus")).toBe(String(EXIT.NOT_STARTED));
    expect(one("StartLimitIntervalSec")).toBe("0");
    expect(values(SWAP, "WantedBy")[0]).toContain("ramster-node@%i.service");
    const [, joinSeconds] = /--join-timeout (\d+)s/.exec(one("ExecStart")) ?? [];
    expect(Number(joinSeconds)).toBeLessThan(Number(one("TimeoutStartSec").replace("s", "")));
  });

  test("a lender has time to move the pages of others away, and is started again", () => {
    const seconds = Number(values(LENDER, "TimeoutStopSec").join().replace("s", ""));
    expect(seconds * 1000).toBeGreaterThan(DRAIN_TIMEOUT_MS_DEFAULT);
    expect(values(LENDER, "Restart")).toEqual(["on-failure"]);
  });

  test("call this program with flags that it accepts", () => {
    const examples: Record<string, string> = { "%i": "owner", server: "server" };
    const readText = (path: string): string => {
      const [, name = ""] = /^\/etc\/ramster\/(.*)\.toml$/.exec(path) ?? [];
      return readFileSync(join(EXAMPLES, `${examples[name]}.toml`), "utf8");
    };
    const machine = { hostName: "pebble", environment: {}, readText };
    const [node = ""] = values(NODE, "ExecStart");
    const words = node.split(" ").filter((word) => word !== "");
    expect(parseArgs(words.slice(2), machine, COMMANDS)).toMatchObject({
      command: "node",
      options: { swap: "strict", exports: [{ name: "swap" }], nbd: [{ kind: "unix" }] },
    });
    const [lender = ""] = values(LENDER, "ExecStart");
    expect(parseArgs(lender.split(/ +/).slice(1), machine, COMMANDS)).toMatchObject({
      command: "server",
    });
    const lines = [...SWAP_UNITS, ...HOME].flatMap((name) => [
      ...values(name, "ExecStart"),
      ...values(name, "ExecStop"),
    ]);
    const swaps = lines.flatMap((line) => /\/usr\/bin\/ramster swap [^;]*/.exec(line)?.[0] ?? []);
    expect(swaps.length).toBe(6);
    for (const line of swaps) {
      const words = line
        .slice(PROGRAM.length + 1)
        .replaceAll('"', "")
        .split(" ");
      const { command } = parseArgs(words, machine, COMMANDS);
      expect(command).toBe("swap");
    }
  });

  /** Runs the command of a key as systemd does, with `program` in place of ours. */
  async function ran(key: string, program: string) {
    const folder = mkdtempSync(join(tmpdir(), "ramster-units-"));
    try {
      const path = join(folder, "ramster");
      writeFileSync(path, `#!/bin/sh\nfolder=${folder}\n${program}\n`, { mode: 0o755 });
      const [, script = ""] = /'(.*)' sh %i$/.exec(values(NODE, key)[0] ?? "") ?? [];
      const text = script
        .replaceAll(PROGRAM, path)
        .replaceAll("$$", "$")
        .replace(/sleep \d+/, ":");
      const child = Bun.spawn(["sh", "-c", text, "sh", "owner"]);
      const code = await child.exited;
      return { code, calls: readdirSync(folder).filter((name) => name.startsWith("call.")).length };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("the node stops once swapoff succeeds, or when the active swap is another's", async () => {
    const calls = 'mktemp "$folder/call.XXXXXX" >/dev/null; ls "$folder"/call.* | wc -l';
    for (const last of [0, 3]) {
      const program = `[ "$(${calls})" -ge 3 ] && exit ${last}; exit 1`;
      expect(await ran("ExecStop", program)).toEqual({ code: 0, calls: 3 });
    }
    // No device of this machine is swap.
    expect(await ran("ExecStop", `${calls} >/dev/null; exit 137`)).toEqual({ code: 0, calls: 1 });
  });

  test("sleep and soft-reboot need swap to be off, and wait for it without a limit", () => {
    const [sleep, reboot] = HOME;
    expect(values(sleep, "RequiredBy")).toEqual(["sleep.target"]);
    expect(values(sleep, "Before")).toEqual(["sleep.target"]);
    expect(values(reboot, "RequiredBy")).toEqual(["systemd-soft-reboot.service"]);
    expect(values(reboot, "Before")).toEqual(["systemd-soft-reboot.service"]);
    expect(values(reboot, "After")).toEqual(["ramster-swap@%i.service"]);
    for (const name of HOME) {
      expect(values(name, "ExecStart")).toEqual(values(SWAP, "ExecStop"));
      expect(values(name, "TimeoutStartSec")).toEqual(["infinity"]);
      expect(values(SWAP, "Also")[0]).toContain(name.replace("@.", "@%i."));
    }
  });
});
