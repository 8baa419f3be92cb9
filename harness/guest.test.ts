/**
 * A kernel that swaps on an export: a guest in QEMU with a stock kernel fills more memory than it
 * has, and every word must be right when it comes back. So does the kernel of this machine, with
 * less memory. Skipped, with what is missing, where that cannot be.
 *
 * The server is given as a function, so that any NBD server can be put behind it.
 */
import { expect, test } from "bun:test";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BunRandom, BunTransport } from "../src/net/bun.ts";
import { type ExportServer, Guest, type GuestOptions } from "./guest/guest.ts";
import { guestImage, guestImageWith, noGuestReason, walkProgram, which } from "./guest/image.ts";
import { ended, ProcessWorld } from "./process-world.ts";
import { freePort } from "./stress/free-port.ts";

/** Boot, swapping and emulation: a minute alone, more beside other tests. */
const TEST_MS = 300_000;
const EXPORT = "swap";

interface Served extends AsyncDisposable {
  readonly server: ExportServer;
}

/**
 * The reference: nbdkit's memory plugin. It ends with this process, but for a kernel that would
 * lose its swap with it.
 */
async function nbdkit(options = { exitsWithParent: true }): Promise<Served> {
  const { host, port } = await freePort(new BunTransport(), new BunRandom(), new Set());
  const flags = ["-f", "-i", host, "-p", String(port), "-e", EXPORT];
  if (options.exitsWithParent) flags.push("--exit-with-parent");
  const output = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
  const child = Bun.spawn(["nbdkit", ...flags, "memory", "512M"], output);
  await answering(host, port, child);
  return {
    server: { host, port, exportName: EXPORT },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** Waits until somebody listens there. */
async function answering(hostname: string, port: number, child: Bun.Subprocess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    try {
      const socket = await Bun.connect({ hostname, port, socket: { data: () => {} } });
      socket.end();
      return;
    } catch {
      await Bun.sleep(20); // It does not listen yet.
    }
  }
}

async function swapsRight(serve: () => Promise<Served>, options: GuestOptions): Promise<void> {
  const image = await guestImage();
  await using served = await serve();
  await using guest = new Guest(image, served.server, options);
  const { pages, pagesIn, pagesOut } = await guest.result();
  expect(pages).toBe(options.walkMib * 256);
  expect(pagesIn).toBeGreaterThan(1000);
  expect(pagesOut).toBeGreaterThan(1000);
}

const reason = noGuestReason() ?? (which("nbdkit") === null ? "apt-get install nbdkit" : null);
const title = reason === null ? "" : ` (skipped: ${reason})`;

test.skipIf(reason !== null)(
  `a guest swaps on its disk, of which QEMU is the NBD client${title}`,
  () => swapsRight(nbdkit, { client: "disk", memoryMib: 144, walkMib: 240, passes: 1 }),
  TEST_MS,
);

test.skipIf(reason !== null)(
  `a guest swaps on what its own kernel is the NBD client of${title}`,
  () => swapsRight(nbdkit, { client: "nbd", memoryMib: 128, walkMib: 208, passes: 1 }),
  TEST_MS,
);

test.skipIf(reason !== null)(
  `as root of a kernel with nbd, swap mode holds and swap is switched on and off${title}`,
  async () => {
    await using world = new ProcessWorld();
    const program = world.path("ramster");
    const build = ["build", "--compile", join(import.meta.dir, "../src/main.ts"), "--outfile"];
    const built = await ended(world.spawnCommand([process.execPath, ...build, program]));
    expect(built.code).toBe(0);
    const image = await guestImageWith(program, world.directory);
    await using served = await nbdkit();
    const options = { memoryMib: 896, walkMib: 100, passes: 1 } as const;
    await using guest = new Guest(image, served.server, { client: "program", ...options });
    const { pagesOut } = await guest.result();
    expect(pagesOut).toBeGreaterThan(1000);
    const text = Bun.stripANSI(guest.lines.join("\n"));
    const inOrder = [
      ...["all threads are IO flushers", "the OOM killer leaves it alone", "memory is locked"],
      ...["oom score -1000", "swap is on: /dev/nbd0", "is on already, as /dev/nbd0"],
      ...["0B of 512MiB used", "WALK OK", "swap is off: /dev/nbd0", "swap is off already"],
      ...["no nbd device is attached", "GUEST OK"],
    ];
    const places = inOrder.map((words) => text.indexOf(words));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  },
  TEST_MS,
);

/** Of a process: that it may mount, and attach loop devices and swap. */
const CAP_SYS_ADMIN = 21n;
const HOST_TOOLS = ["nbdfuse", "losetup", "mkswap", "swapon", "timeout", "gcc", "nbdkit"];

/** Why the kernel of this machine cannot be made to swap, or null. */
function noHostReason(): string | null {
  const missing = HOST_TOOLS.filter((it) => which(it) === null);
  if (missing.length > 0) return `there is no ${missing.join(", ")}`;
  const capabilities = /^CapEff:\s+([\da-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  if (((BigInt(`0x${capabilities?.[1] ?? 0}`) >> CAP_SYS_ADMIN) & 1n) === 0n)
    return "it takes root";
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
  `the kernel of this machine swaps${hostReason === null ? "" : ` (skipped: ${hostReason})`}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "ramster-host-swap-"));
    await using served = await nbdkit({ exitsWithParent: false });
    const { host, port, exportName } = served.server;
    const script = join(import.meta.dir, "guest/host-swap.sh");
    const uri = `nbd://${host}:${port}/${exportName}`;
    const argv = ["sh", script, folder, uri, await walkProgram(), "24", "2"];
    const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    // It ends by itself, and the server must not end before.
    const [text, said] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ code: await child.exited, said, text }).toMatchObject({ code: 0, said: "" });
    expect(text).toEndWith("HOST OK\n");
    const [, pagesIn, pagesOut] = /pswpin (\d+) pswpout (\d+)/.exec(text) ?? [];
    expect(Number(pagesIn)).toBeGreaterThan(1000);
    expect(Number(pagesOut)).toBeGreaterThan(1000);
    expect(readFileSync("/proc/swaps", "utf8")).not.toContain("/dev/loop");
    rmSync(folder, { recursive: true });
  },
  TEST_MS,
);
