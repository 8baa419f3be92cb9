/**
 * Swap mode on this machine: a real node asks for it, and /proc must agree with its log. Which
 * conditions hold depends on the user and the machine: with root and all capabilities all hold.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { memoryOf } from "./node-process.ts";
import { counter, fill, logged, PROGRAM, ProcessWorld } from "./process-world.ts";

const MIB = 1024 * 1024;
const TEST_MS = 60_000;
/** PF_MEMALLOC_NOIO: what PR_SET_IO_FLUSHER sets. */
const NO_IO = 0x0008_0000;
/** SCHED_RR of sched(7). */
const ROUND_ROBIN = 2;

/** What the kernel reports about a process. */
function seen(pid: number) {
  const stats = readdirSync(`/proc/${pid}/task`).map((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  });
  const flags = stats.map((words) => Number(words[6]));
  const policies = stats.map((words) => Number(words[38]));
  return {
    ...memoryOf(pid),
    areRealTime: policies.every((it) => it === ROUND_ROBIN),
    areFlushers: flags.every((it) => (it & NO_IO) !== 0),
    oomScore: Number(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8")),
  };
}

test(
  "logs each condition of swap mode, and the kernel agrees",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, ["--swap", "--memory=32MiB"]);
    await logged(node, /swap mode: its threads /);
    const log = node.stderr.join("\n");
    const { lockedBytes, residentBytes, areFlushers, areRealTime, oomScore } = seen(node.pid);
    expect(log.includes("have real-time priority")).toBe(areRealTime);
    expect(log.includes("requests were rehearsed")).toBe(lockedBytes >= residentBytes);
    expect(log.includes("memory is locked")).toBe(lockedBytes >= residentBytes);
    expect(log.includes("all threads are IO flushers")).toBe(areFlushers);
    expect(log.includes("the OOM killer spares this process")).toBe(oomScore === -1000);
    const isLocked = log.includes("memory is locked");
    expect(log.match(/swap mode: (?!locking)/g)?.length).toBe(isLocked ? 5 : 4);
  },
  TEST_MS,
);

test(
  "its memory is locked before it joins, so that the cluster does not take it for dead",
  async () => {
    await using world = new ProcessWorld();
    const gossip = "--gossip=127.0.0.1:0";
    const seed = await world.start("server", 0, [gossip, "--memory=1MiB"]);
    const flags = [gossip, `--join=${seed.gossip}`, "--swap", "--memory=32MiB"];
    const node = await world.start("node", 1, flags);
    await logged(node, /has joined/);
    const at = (words: string) => node.stderr.findIndex((line) => line.includes(words));
    expect(at("swap mode: locking ")).toBeGreaterThan(-1);
    expect(at("swap mode: memory ")).toBeGreaterThan(at("swap mode: locking "));
    expect(at("has joined")).toBeGreaterThan(at("swap mode: memory "));
  },
  TEST_MS,
);

test("its words stay as they are when it starts once more", async () => {
  await using world = new ProcessWorld();
  const door = world.path("tür");
  const node = await world.start("node", 1, ["--swap", "--memory=1MiB", `--client=unix:${door}`]);
  const variables = readFileSync(`/proc/${node.pid}/environ`, "latin1").split("\0");
  const ofCompiler = variables.filter((it) => it.startsWith("BUN_JSC_"));
  expect(new Set(ofCompiler).size).toBe(ofCompiler.length);
  expect(ofCompiler).toContain("BUN_JSC_useFTLJIT=0");
  expect(existsSync(door)).toBe(true);
});

test("pins no more than the machine has", async () => {
  await using world = new ProcessWorld();
  const flags = ["--number=1", "--listen=127.0.0.1:0", "--gossip=none", "--memory=256GiB"];
  const { stdout, stderr, code } = await world.run(["node", ...flags, "--swap"]);
  expect(stderr).toMatch(
    /\nramster: Cannot pin another 262144MiB of memory for swap mode: \d+MiB are available/,
  );
  expect([stdout, code]).toEqual(["", 3]);
});

test("finds out that a port is taken before it locks its memory", async () => {
  await using world = new ProcessWorld();
  const first = await world.start("node", 0);
  const flags = ["--number=1", `--listen=${first.listen}`, "--gossip=none", "--memory=256GiB"];
  const { stdout, stderr, code } = await world.run(["node", ...flags, "--swap"]);
  expect(stderr).toEndWith(
    `ramster: Cannot use --listen "${first.listen}": the address is in use\n`,
  );
  expect([stdout, code]).toEqual(["", 3]);
});

test(
  "memory for its pages is resident from the start, and stays",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, ["--swap", "--memory=64MiB", "--target=none"]);
    const usual = await world.start("node", 2, ["--memory=64MiB", "--target=none"]);
    const anonymous = (pid: number) => memoryOf(pid).anonymousBytes;
    const before = anonymous(node.pid);
    expect(before).toBeGreaterThan(74 * MIB);
    expect(anonymous(usual.pid)).toBeLessThan(40 * MIB);
    // The same goes for receive buffers, where they can be kept.
    const { lockedBytes, residentBytes } = memoryOf(node.pid);
    const isLocked = lockedBytes >= residentBytes;
    if (isLocked) expect(before - anonymous(usual.pid)).toBeGreaterThan((64 + 8) * MIB);
    const client = await world.connect(node);
    const pool = await client.newPool({ persistent: true });
    expect(await fill(pool, 16_000)).toBeGreaterThan(8000);
    expect(await counter(client, "page_count")).toBeGreaterThan(8000);
    await pool.destroy();
    expect(anonymous(node.pid)).toBeGreaterThan(before - MIB);
  },
  TEST_MS,
);

test(
  "strict, starts exactly where all conditions hold",
  async () => {
    await using world = new ProcessWorld();
    const easy = await world.start("node", 1, ["--swap", "--memory=1MiB"]);
    await logged(easy, /swap mode: memory /);
    const all = !easy.stderr.some((line) => line.includes("] warn: swap mode"));
    const strict = world.startUnready("node", 2, ["--swap=strict", "--memory=1MiB"]);
    if (all) {
      await strict.ready();
      expect(await strict.stop()).toBe(0);
      return;
    }
    await expect(strict.ready()).rejects.toThrow('Cannot run with --swap "strict": ');
    expect(await strict.child.exited).toBe(3);
  },
  TEST_MS,
);

const tools = ["setpriv", "prlimit"];
const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot || tools.some((it) => Bun.which(it) === null))(
  "without the right to lock memory it logs the limit",
  async () => {
    await using world = new ProcessWorld();
    const limited = ["setpriv", "--bounding-set=-ipc_lock", "prlimit", "--memlock=65536"];
    const argv = ["node", "--number=1", "--gossip=none", "--listen=127.0.0.1:0", "--swap"];
    const node = world.spawnCommand([...limited, ...PROGRAM, ...argv]);
    const text = await readUntil(node.stderr, "memory may be swapped out");
    expect(text).toMatch(/memory may be swapped out: mlock: ENOMEM, RLIMIT_MEMLOCK is 65536\n/);
    expect(seen(node.pid).lockedBytes).toBeLessThanOrEqual(65536);
  },
  TEST_MS,
);

async function readUntil(stream: ReadableStream<Uint8Array>, word: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(word) && text.endsWith("\n")) return text;
  }
  throw new Error(`It ended without "${word}": ${text}`);
}
