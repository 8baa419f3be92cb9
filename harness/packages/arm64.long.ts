/**
 * The program for arm64, out of its .deb, under Debian's qemu-user-static: a key, a lender, a node,
 * and a short load. Emulated, it takes a few hundred times as long to start as it would otherwise.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeProcess } from "../processes/node-process.ts";
import { ended } from "../processes/process-world.ts";
import { areToolsRequired, TOOL_ENVIRONMENT, which } from "../processes/tools.ts";
import { packagePath } from "./built.ts";

const EMULATOR = "qemu-aarch64-static";
/** The C library of Debian's package libc6-arm64-cross. */
const SYSROOT = "/usr/aarch64-linux-gnu";
const isMissing = [EMULATOR, "dpkg-deb"].some((tool) => which(tool) === null);
const TEST_MS = 600_000;
const READY_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "ramster-arm64-"));
const nodes: NodeProcess[] = [];
afterAll(async () => {
  for (const node of nodes) await node.kill();
  rmSync(folder, { recursive: true });
});

function words(...argv: string[]): string[] {
  return [EMULATOR, "-L", SYSROOT, join(folder, "tree/usr/bin/ramster"), ...argv];
}

async function run(...argv: string[]): Promise<string> {
  const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  const { stdout, stderr, code } = await ended(
    Bun.spawn(argv, { ...pipes, cwd: folder, env: TOOL_ENVIRONMENT }),
  );
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

async function start(...argv: string[]): Promise<NodeProcess> {
  const node = new NodeProcess(nodes.length, words(...argv), { verbose: false });
  nodes.push(node);
  await node.ready(READY_MS);
  return node;
}

describe.skipIf(isMissing && !areToolsRequired)("the program for arm64", () => {
  test(
    "makes a key, lends, keeps pages and gives each of them back",
    async () => {
      await run("dpkg-deb", "--extract", packagePath("_arm64.deb"), join(folder, "tree"));
      expect(await run(...words("version"))).toContain("linux arm64");
      const key = join(folder, "cluster.key");
      await run(...words("keygen", "--out", key));
      const addresses = ["--listen=127.0.0.1:0", "--gossip=127.0.0.1:0"];
      // Nothing is late that is only emulated.
      const patient = ["--request-timeout=1m", "--network=wan", "--cold-codec=none"];
      const common = [`--key=${key}`, ...addresses, ...patient.slice(0, 2)];
      const lender = await start(
        ...["server", ...common, "--name=lender", "--memory=64MiB", "--reserve=0"],
        `--client=unix:${join(folder, "lender.sock")}`,
      );
      const owner = await start(
        ...[
          "node",
          ...common,
          ...patient.slice(2),
          "--name=owner",
          "--memory=2MiB",
          `--join=${lender.gossip}`,
        ],
        `--client=unix:${join(folder, "owner.sock")}`,
      );
      const load = ["--working-set", "6MiB", "--duration", "500ms"];
      const report = await run(...words("stress", "--connect", owner.client, ...load));
      expect(report).toMatch(/^PASS/m);
      expect(Number(/^remote gets +(\d+)/m.exec(report)?.[1])).toBeGreaterThan(0);
      const status = await run(...words("stats", "--client", lender.client));
      expect(Number(/^foreign_puts +(\d+)/m.exec(status)?.[1])).toBeGreaterThan(0);
      expect(await owner.stop()).toBe(0);
      expect(await lender.stop()).toBe(0);
    },
    TEST_MS,
  );
});
