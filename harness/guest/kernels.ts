/**
 * Kernels that swap on an export of a real cluster. Guests in QEMU with a stock kernel fill more
 * memory than they have, and every word must be right when it is read back. The kernel of this
 * machine does the same with less memory. This takes minutes. `bun run guest` and .ci/run start it.
 *
 *     guest's kernel -> NBD client -> node with 32 MiB -> three lenders, two copies
 *                                                          \-- one is killed meanwhile
 *
 * Where tools are missing, tests are skipped and name them. With TOOLS=required they fail.
 */
import { expect, test } from "bun:test";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../../src/client/client.ts";
import { compiledProgram } from "../processes/compiled.ts";
import type { NodeProcess } from "../processes/node-process.ts";
import { counter, ProcessWorld, until } from "../processes/process-world.ts";
import { areToolsRequired, TOOL_ENVIRONMENT, which } from "../processes/tools.ts";
import { type ExportServer, Guest, type GuestOptions } from "./guest.ts";
import { guestImage, guestImageWith, noGuestReason, walkProgram } from "./image.ts";

/** A minute on an idle machine, and more beside other work. */
const TEST_MS = 300_000;
const EXPORT = "swap";
const GOSSIP = "--gossip=127.0.0.1:0";
const LENDERS = 3;
/** Of a node with a standby. Each one takes most of a minute: the next standby has to get ready. */
const KILLS = Number(process.env.GUEST_KILLS ?? "1");
/** How much more memory is taken there than is available. None by default: it may hang then. */
const GUEST_MIB = Number(process.env.GUEST_MIB ?? "-64");

interface Borrowing {
  readonly server: ExportServer;
  readonly lenders: readonly NodeProcess[];
  readonly client: Client;
}

/** A node with an export, and lenders in different zones. */
async function borrowing(world: ProcessWorld): Promise<Borrowing> {
  const lenders: NodeProcess[] = [];
  for (let number = 0; number < LENDERS; number += 1) {
    const flags = [GOSSIP, "--memory=256MiB", `--zone=z${number}`];
    const [seed] = lenders;
    if (seed !== undefined) flags.push(`--join=${seed.gossip}`);
    lenders.push(await world.start("server", number, flags));
  }
  const node = await world.start("node", LENDERS, [
    GOSSIP,
    `--join=${lenders[0]?.gossip}`,
    "--memory=32MiB",
    "--lend=0",
    "--replicas=2",
    "--cold-codec=zstd",
    "--nbd=127.0.0.1:0",
    `--export=${EXPORT}=512MiB`,
  ]);
  const client = await world.connect(node);
  await until(
    "the node knows all lenders",
    async () => (await client.stats()).peers.length === LENDERS,
  );
  const at = new URL(`nbd://${node.nbd}`);
  const server = { host: at.hostname, port: Number(at.port), exportName: EXPORT };
  return { server, lenders, client };
}

async function swapsRight(options: GuestOptions): Promise<void> {
  const image = await guestImage();
  await using world = new ProcessWorld();
  const { server, lenders, client } = await borrowing(world);
  await using guest = new Guest(image, server, options);
  await guest.printed(/^WALK pass 1 filled/);
  expect(await counter(client, "remote_copies")).toBeGreaterThan(1000);
  await lenders[1]?.kill();
  const { pages, pagesIn, pagesOut } = await guest.result();
  expect(pages).toBe(options.walkMib * 256);
  expect(pagesIn).toBeGreaterThan(1000);
  expect(pagesOut).toBeGreaterThan(1000);
  expect(await counter(client, "frontswap_succ_stores")).toBeGreaterThan(1000);
  expect(await counter(client, "nbd_errors")).toBe(0);
  expect(await counter(client, "cold_recompressed")).toBeGreaterThan(1000);
  expect(await counter(client, "remote_pers_pages_lost")).toBe(0);
}

const reason = noGuestReason();
const title = reason === null ? "" : ` (skipped: ${reason})`;

test.skipIf(reason !== null && !areToolsRequired)(
  `a guest swaps on its disk, with QEMU as the NBD client${title}`,
  () => swapsRight({ client: "disk", memoryMib: 144, walkMib: 240, passes: 1 }),
  TEST_MS,
);

test.skipIf(reason !== null && !areToolsRequired)(
  `a guest swaps on an NBD device, with its own kernel as the NBD client${title}`,
  () => swapsRight({ client: "nbd", memoryMib: 128, walkMib: 208, passes: 1 }),
  TEST_MS,
);

test.skipIf(reason !== null && !areToolsRequired)(
  `a guest swaps on a node that it runs itself, with ramster swap on, rotate and off${title}`,
  async () => {
    await using world = new ProcessWorld();
    const image = await guestImageWith(compiledProgram(), world.directory);
    // The guest's node finds the lender by its address.
    const lender = await world.start("server", 2, ["--memory=256MiB"]);
    const at = new URL(`tcp://${lender.listen}`);
    const server = { host: at.hostname, port: Number(at.port), exportName: EXPORT };
    const options = { memoryMib: 896, walkMib: 100, passes: 1 } as const;
    await using guest = new Guest(image, server, { client: "program", ...options });
    const { pagesOut } = await guest.result();
    expect(pagesOut).toBeGreaterThan(1000);
    const [, away] = await guest.printed(/^GUEST away (\d+)/);
    expect(Number(away)).toBeGreaterThan(1000);
    const text = Bun.stripANSI(guest.lines.join("\n"));
    const inOrder = [
      "all threads are IO flushers",
      "the OOM killer spares this process",
      "memory is locked",
      "oom score -1000",
      "swap is on: /dev/nbd0",
      "is on already, as /dev/nbd0",
      `export "x${EXPORT}" of unix:/run/nbd.sock is not on; what is: /dev/nbd0, export "`,
      "0B of 512MiB used",
      `connected, export "${EXPORT}" of unix:/run/nbd.sock`,
      "WALK OK",
      "not rotated: ",
      "swap is on: /dev/nbd1",
      `rotated: export "${EXPORT}" of unix:/run/nbd.sock is off`,
      'connected, export "fresh" of unix:/run/nbd.sock',
      "swap is off: /dev/nbd1",
      "swap is off already: no nbd device of this machine is swap",
      "no nbd device is attached",
      "GUEST OK",
    ];
    const offsets = inOrder.map((words) => text.indexOf(words));
    expect(offsets).not.toContain(-1);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    expect(text.split("is on already, as /dev/nbd0").length - 1).toBe(3);
  },
  TEST_MS,
);

test.skipIf(reason !== null && !areToolsRequired)(
  `a guest whose memory is full swaps on a node that it runs itself${title}`,
  async () => {
    await using world = new ProcessWorld();
    const image = await guestImageWith(compiledProgram(), world.directory);
    const server = { host: "127.0.0.1", port: 1, exportName: EXPORT };
    const options = { client: "full", memoryMib: 704, walkMib: 48, passes: 1 } as const;
    await using guest = new Guest(image, server, options);
    const { pagesIn, pagesOut } = await guest.result();
    expect(pagesIn).toBeGreaterThan(10_000);
    expect(pagesOut).toBeGreaterThan(10_000);
    const text = guest.lines.join("\n");
    expect(text).toContain("its threads have real-time priority");
    expect(text).toContain("requests were rehearsed");
    expect(text).not.toMatch(/I\/O error|Out of memory/);
  },
  TEST_MS,
);

test.skipIf(reason !== null && !areToolsRequired)(
  `a guest goes on swapping when its node is killed and started again${title}`,
  async () => {
    await using world = new ProcessWorld();
    const image = await guestImageWith(compiledProgram(), world.directory);
    const server = { host: "127.0.0.1", port: 1, exportName: EXPORT };
    const options = { client: "killed", memoryMib: 896, walkMib: 64, passes: 1, kills: 2 } as const;
    await using guest = new Guest(image, server, options);
    const { pagesIn, pagesOut } = await guest.result();
    // A page whose write waits for the next node may still be in memory when it is read.
    expect(pagesIn + pagesOut).toBeGreaterThan(4000);
    expect(pagesIn).toBeGreaterThan(0);
    const text = guest.lines.join("\n");
    expect(text).toContain(`GUEST backend ramster:kept:${EXPORT}`);
    expect(text).toContain("GUEST kill 2");
    expect(text.split("attached /dev/nbd0 again").length - 1).toBe(2);
    expect(text).not.toMatch(/I\/O error|Out of memory/);
  },
  TEST_MS,
);

test.skipIf(reason !== null && !areToolsRequired)(
  `a guest goes on swapping when its node is killed and has a standby${title}`,
  async () => {
    await using world = new ProcessWorld();
    const image = await guestImageWith(compiledProgram(), world.directory);
    const server = { host: "127.0.0.1", port: 1, exportName: EXPORT };
    const memory = { memoryMib: 896, walkMib: GUEST_MIB };
    const options = { client: "standby", ...memory, passes: 1000, kills: KILLS } as const;
    await using guest = new Guest(image, server, options);
    const { pagesIn, pagesOut } = await guest.result();
    expect(pagesIn + pagesOut).toBeGreaterThan(3000 * KILLS);
    const text = guest.lines.join("\n");
    expect(text).toContain(`GUEST kill ${KILLS}`);
    expect(text.split("attached /dev/nbd0 again").length - 1).toBe(KILLS);
    expect(text).not.toMatch(/I\/O error|Out of memory/);
  },
  TEST_MS + KILLS * 60_000,
);

/** Needed to mount, and to attach loop devices and swap. */
const CAP_SYS_ADMIN = 21n;
const HOST_TOOLS = ["nbdfuse", "losetup", "mkswap", "swapon", "timeout", "gcc"];

/** Why the kernel of this machine is not tested, or null. */
function noHostReason(): string | null {
  if (!areToolsRequired && process.env.HOST_SWAP !== "1") return "needs HOST_SWAP=1";
  const missing = HOST_TOOLS.filter((it) => which(it) === null);
  if (missing.length > 0) return `missing: ${missing.join(", ")}`;
  const capabilities = /^CapEff:\s+([\da-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  if (((BigInt(`0x${capabilities?.[1] ?? 0}`) >> CAP_SYS_ADMIN) & 1n) === 0n) return "needs root";
  for (const path of ["/dev/fuse", "/dev/loop-control", "/proc/swaps"]) {
    try {
      accessSync(path, path.startsWith("/dev") ? constants.R_OK | constants.W_OK : constants.R_OK);
    } catch {
      return `${path} cannot be used`;
    }
  }
  return null;
}

const hostReason = noHostReason();

test.skipIf(hostReason !== null)(
  `this machine's kernel swaps on an export${hostReason === null ? "" : ` (skipped: ${hostReason})`}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "ramster-host-swap-"));
    await using world = new ProcessWorld();
    const { host, port, exportName } = (await borrowing(world)).server;
    const script = join(import.meta.dir, "host-swap.sh");
    const uri = `nbd://${host}:${port}/${exportName}`;
    const argv = ["sh", script, folder, uri, await walkProgram(), "24", "2"];
    const env = TOOL_ENVIRONMENT;
    const child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    // The script ends by itself. The node must run until then.
    const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ code: await child.exited, errors, text }).toMatchObject({ code: 0, errors: "" });
    expect(text).toEndWith("HOST OK\n");
    const [, pagesIn, pagesOut] = /pswpin (\d+) pswpout (\d+)/.exec(text) ?? [];
    expect(Number(pagesIn)).toBeGreaterThan(1000);
    expect(Number(pagesOut)).toBeGreaterThan(1000);
    expect(readFileSync("/proc/swaps", "utf8")).not.toContain("/dev/loop");
    rmSync(folder, { recursive: true });
  },
  TEST_MS,
);
