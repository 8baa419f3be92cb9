/**
 * Readers of a node's log: one that stops reading, one that has gone, and none at all. None of them
 * may stop the node.
 */
import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { answerTo, ended, PROGRAM, ProcessWorld, until } from "./process-world.ts";

const TEST_MS = 30_000;
const NODE = [
  "node",
  "--name=n",
  "--number=1",
  "--gossip=none",
  "--listen=127.0.0.1:0",
  "--http=127.0.0.1:0",
  "--client=none",
];
const READY = /^ready .*listen=(\S+) http=(\S+)/;

/** A pipe with both of its ends, which are closed with the world. */
async function openPipe(world: ProcessWorld): Promise<{ reader: number; writer: number }> {
  const path = world.path("pipe");
  await ended(world.spawnCommand(["mkfifo", path]));
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  // Without O_NONBLOCK, as a shell opens it: the node must cope with that.
  const writer = openSync(path, constants.O_WRONLY);
  world.onEnd(() => {
    closeSync(writer);
  });
  return { reader, writer };
}

/** Fills the pipe, as a burst of log lines does. */
function fillPipe(writer: number): void {
  const own = openSync(`/proc/self/fd/${writer}`, constants.O_WRONLY | constants.O_NONBLOCK);
  for (const size of [4096, 1]) {
    try {
      for (;;) writeSync(own, Buffer.alloc(size, "x"));
    } catch (error) {
      expect(error).toMatchObject({ code: "EAGAIN" });
    }
  }
  closeSync(own);
}

function readAll(reader: number): string {
  let text = "";
  const bytes = Buffer.alloc(65_536);
  try {
    for (let count = 1; count > 0; ) {
      count = readSync(reader, bytes);
      text += bytes.toString("utf8", 0, count);
    }
  } catch (error) {
    expect(error).toMatchObject({ code: "EAGAIN" });
  }
  return text;
}

/** Makes the node log a line, through its port for peers. */
function say(listen: string): Promise<string> {
  return answerTo(listen, Buffer.from("GET / HTTP/1.1\r\nHost: somebody\r\n\r\n"));
}

interface Started {
  child: Bun.Subprocess;
  listen: string;
  http: string;
}

/** Starts a node that logs to `stderr`. */
async function start(world: ProcessWorld, stderr: number): Promise<Started> {
  const child = Bun.spawn([...PROGRAM, ...NODE], { stdin: "ignore", stdout: "pipe", stderr });
  world.onEnd(() => child.kill("SIGKILL"));
  const { value } = await child.stdout.getReader().read();
  const [, listen = "", http = ""] = READY.exec(Buffer.from(value ?? []).toString()) ?? [];
  return { child, listen, http };
}

async function isServing({ http }: Started): Promise<boolean> {
  const answer = await fetch(`http://${http}/healthz`);
  return answer.status === 200;
}

test(
  "a full pipe does not stop a node, and its log lines arrive when there is room",
  async () => {
    await using world = new ProcessWorld();
    const { reader, writer } = await openPipe(world);
    const node = await start(world, writer);
    fillPipe(writer);
    expect(await say(node.listen)).toContain("magic");
    expect(await isServing(node)).toBe(true);
    let text = "";
    await until("the line comes", () => {
      text += readAll(reader);
      return /^x+[\dT:.-]+Z ramster\[\S+\] net warn: Closed a connection from .*\n$/.test(text);
    });
    fillPipe(writer);
    expect(await say(node.listen)).toContain("magic");
    node.child.kill("SIGTERM");
    expect(await node.child.exited).toBe(0);
    closeSync(reader);
  },
  TEST_MS,
);

test(
  "a reader that has gone does not stop a node",
  async () => {
    await using world = new ProcessWorld();
    const { reader, writer } = await openPipe(world);
    const node = await start(world, writer);
    closeSync(reader);
    expect(await say(node.listen)).toContain("magic");
    expect(await isServing(node)).toBe(true);
    const text = await (await fetch(`http://${node.http}/metrics`)).text();
    expect(/^ramster_log_lines_dropped_total (\d+)/m.exec(text)?.[1]).toBe("1");
    node.child.kill("SIGTERM");
    expect(await node.child.exited).toBe(0);
  },
  TEST_MS,
);

test(
  "a stopped terminal does not stop a node",
  async () => {
    await using world = new ProcessWorld();
    let text = "";
    const data = (_: unknown, bytes: Uint8Array): void => {
      text += Buffer.from(bytes).toString();
    };
    const terminal = new Bun.Terminal({ cols: 500, rows: 25, data });
    const child = Bun.spawn([...PROGRAM, ...NODE], { terminal });
    world.onEnd(() => child.kill("SIGKILL"));
    await until("it is ready", () => READY.test(text));
    const [, listen = "", http = ""] = READY.exec(text) ?? [];
    const seen = (): number => text.match(/Closed a connection from /g)?.length ?? 0;
    terminal.write("\x13"); // Ctrl-S
    let logged = 0;
    await until("it stands still", async () => {
      expect(await say(listen)).toContain("magic");
      logged += 1;
      return logged - seen() > 2;
    });
    expect(await isServing({ child, listen, http })).toBe(true);
    expect(logged - seen()).toBeGreaterThan(2);
    terminal.write("\x11"); // Ctrl-Q
    await until("it goes on", () => seen() === logged);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    terminal.close();
  },
  TEST_MS,
);

test("a command whose reader stops reading exits, and one that logs to a file says why", async () => {
  await using world = new ProcessWorld();
  const { reader, writer } = await openPipe(world);
  const argv = [...PROGRAM, "node", "--no-such-flag"];
  const spawn = (stderr: number) => Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr });
  fillPipe(writer);
  const stuck = spawn(writer);
  world.onEnd(() => stuck.kill("SIGKILL"));
  expect(await stuck.exited).toBe(2);
  closeSync(reader);
  const path = world.path("log");
  const file = openSync(path, "w");
  writeSync(file, "before\n");
  expect(await spawn(file).exited).toBe(2);
  writeSync(file, "behind\n");
  closeSync(file);
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines).toEqual(["before", expect.stringContaining("--no-such-flag"), "behind", ""]);
});

test("a command whose reader closes the pipe early exits with 0", async () => {
  await using world = new ProcessWorld();
  const node = await world.start("node", 1);
  const command = `"$@" stats --client "${node.client}" | head -n 1`;
  const bash = ["bash", "-o", "pipefail", "-c", command, "bash", ...PROGRAM];
  const { stdout, stderr, code } = await ended(world.spawnCommand(bash));
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  expect(stdout).toStartWith("node 1 ");
});
