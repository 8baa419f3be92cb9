/**
 * The units in systemd/: systemd itself reads them, and their order is right for a shutdown.
 * Skipped without systemd-analyze, which is in Debian's package systemd.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "../../src/cli/args.ts";
import { EXIT } from "../../src/cli/exit.ts";
import { COMMANDS } from "../../src/commands.ts";
import { DRAIN_TIMEOUT_MS_DEFAULT } from "../../src/core/limits.ts";

const FOLDER = join(import.meta.dir, "../../systemd");
const SWAP_UNITS = ["ramster-node.service", "ramster-swap.service"] as const;
const LENDER = "ramster-server.service";
const ROTATION = ["ramster-swap-rotate.service", "ramster-swap-rotate.timer"] as const;
const UNITS = [...SWAP_UNITS, LENDER, ...ROTATION] as const;
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

/** What systemd-analyze prints, with an existing program in place of ours. */
async function verified(edit: (text: string) => string = (text) => text): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "ramster-units-"));
  try {
    for (const name of UNITS) {
      writeFileSync(join(folder, name), edit(unitText(name).replaceAll(PROGRAM, "/bin/true")));
    }
    const paths = UNITS.map((name) => join(folder, name));
    const child = Bun.spawn(["systemd-analyze", "verify", "--man=no", ...paths], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const lines = (await child.stderr.text()).split("\n").filter((line) => line !== "");
    const code = await child.exited;
    return [
      // Known since systemd 255; older versions warn about it without harm.
      ...lines.filter((line) => !line.includes("'SurviveFinalKillSignal'")),
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

  test.each([
    ["a word that is none", (text: string) => text.replace("OOMScoreAdjust", "OOMScoreAdjusted")],
    [
      "a circle",
      (text: string) => text.replace("After=network", "After=ramster-swap.service network"),
    ],
    ["a program that is missing", (text: string) => text.replace("/bin/true", "/nowhere/true")],
  ])("would find %s", async (_, edit) => {
    expect(await verified(edit)).not.toEqual([]);
  });
});

describe("the units", () => {
  test("swap starts after the node, ends with it, and is ordered like a network file system", () => {
    expect(values("ramster-swap.service", "After")).toContain("ramster-node.service");
    expect(values("ramster-swap.service", "BindsTo")).toEqual(["ramster-node.service"]);
    for (const key of ["Conflicts", "Before"]) {
      expect(values("ramster-swap.service", key)).toContain("umount.target");
    }
    expect(values("ramster-node.service", "After")).toEqual(["network-online.target"]);
  });

  test("nothing interrupts swapoff, and nothing swaps the node out or kills it for its memory", () => {
    for (const name of SWAP_UNITS) {
      expect(values(name, "TimeoutStopSec")).toEqual(["infinity"]);
      expect(values(name, "LimitMEMLOCK")).toEqual(["infinity"]);
      expect(values(name, "OOMScoreAdjust")).toEqual(["-1000"]);
    }
    expect(values("ramster-node.service", "MemorySwapMax")).toEqual(["0"]);
    expect(values("ramster-node.service", "Restart")).toEqual(["no"]);
    // The "@" lets a process live until the very end of a shutdown.
    expect(values("ramster-node.service", "ExecStart")[0]).toStartWith(`@${PROGRAM} @ramster node`);
  });

  test("a node whose seeds are late is started again before systemd gives up, and swap follows", () => {
    const one = (key: string): string => values("ramster-node.service", key).join();
    expect(one("RestartForceExitStatus")).toBe(String(EXIT.NOT_STARTED));
    expect(one("StartLimitIntervalSec")).toBe("0");
    expect(one("Wants")).toContain("ramster-swap.service");
    const [, joinSeconds] = /--join-timeout (\d+)s/.exec(one("ExecStart")) ?? [];
    expect(Number(joinSeconds)).toBeLessThan(Number(one("TimeoutStartSec").replace("s", "")));
  });

  test("a lender has time to move the pages of others away, and is started again", () => {
    const seconds = Number(values(LENDER, "TimeoutStopSec").join().replace("s", ""));
    expect(seconds * 1000).toBeGreaterThan(DRAIN_TIMEOUT_MS_DEFAULT);
    expect(values(LENDER, "Restart")).toEqual(["on-failure"]);
  });

  test("call this program with flags that it accepts", () => {
    const machine = { hostName: "pebble", environment: {}, readText: () => "" };
    const [node = ""] = values("ramster-node.service", "ExecStart");
    const words = node.split(" ").filter((word) => word !== "");
    expect(parseArgs(words.slice(2), machine, COMMANDS)).toMatchObject({
      command: "node",
      options: { swap: "strict", exports: [{ name: "swap" }] },
    });
    const [lender = ""] = values(LENDER, "ExecStart");
    expect(parseArgs(lender.split(/ +/).slice(1), machine, COMMANDS)).toMatchObject({
      command: "server",
    });
    const lines = SWAP_UNITS.flatMap((name) => [
      ...values(name, "ExecStart"),
      ...values(name, "ExecStop"),
    ]);
    const swaps = lines.flatMap((line) => /\/usr\/bin\/ramster swap [^;]*/.exec(line)?.[0] ?? []);
    expect(swaps.length).toBe(3);
    for (const line of swaps) {
      const { command } = parseArgs(line.slice(PROGRAM.length + 1).split(" "), machine, COMMANDS);
      expect(command).toBe("swap");
    }
  });

  /** Runs the command of a key as systemd does, with `program` in place of ours. */
  async function ran(key: string, program: string, environment: Record<string, string> = {}) {
    const folder = mkdtempSync(join(tmpdir(), "ramster-units-"));
    try {
      const path = join(folder, "ramster");
      writeFileSync(path, `#!/bin/sh\nfolder=${folder}\n${program}\n`, { mode: 0o755 });
      const [, script = ""] = /'(.*)'$/.exec(values("ramster-node.service", key)[0] ?? "") ?? [];
      const text = script
        .replaceAll(PROGRAM, path)
        .replaceAll("$$", "$")
        .replace(/sleep \d+/, ":");
      const child = Bun.spawn(["sh", "-c", text], { env: { ...process.env, ...environment } });
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
  });

  test("a node that has ended delays nothing", async () => {
    const gone = Bun.spawn(["true"]);
    await gone.exited;
    const { code } = await ran("ExecStartPost", "exit 1", { MAINPID: String(gone.pid) });
    expect(code).not.toBe(0);
  });
});
