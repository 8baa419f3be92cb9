/** `ramster top` on real nodes, in a terminal and in a pipe. */
import { expect, test } from "bun:test";
import { fill, ProcessWorld, until } from "./process-world.ts";
import { InTerminal } from "./terminal.ts";

const TEST_MS = 60_000;
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";

test(
  "top shows a node, follows keys, and leaves the terminal as it was",
  async () => {
    await using world = new ProcessWorld();
    const lender = await world.start("server", 2, ["--memory=16MiB"]);
    const flags = ["--memory=1MiB", "--target=2", `--peers=2@${lender.listen}`];
    const node = await world.start("node", 1, flags);
    await using top = new InTerminal(["top", "--interval=100ms", "--client", node.client]);
    const before = top.terminal.localFlags;
    await until("it shows the verdict", () => top.text.includes("HEALTHY: all pages are here"));
    expect(top.text).toStartWith("\u001b[?1049h");
    expect(top.plain).toContain("[members] exports pools");
    expect(top.terminal.localFlags).not.toBe(before);
    const client = await world.connect(node);
    const pool = await client.newPool({ persistent: true });
    await fill(pool, 1000);
    top.type("p");
    await until("it shows the pools", () => top.plain.includes("members exports [pools]"));
    await until("it shows the pool", () => /\d;1H {3}\d persistent -/.test(top.plain));
    await until("it shows that pages are away", () => /by copies 1: [1-9]/.test(top.plain));
    const length = top.text.length;
    top.type("\u000c");
    await until("it draws all again", () => top.text.slice(length).includes("[pools]"));
    top.type("q");
    expect(await top.child.exited).toBe(0);
    await until("the terminal is as before", () => top.text.endsWith(LEAVE));
    expect(top.terminal.localFlags).toBe(before);
  },
  TEST_MS,
);

test.each([
  ["SIGTERM", (top: InTerminal) => top.child.kill("SIGTERM")],
  ["Ctrl-C", (top: InTerminal) => top.type("\u0003")],
])(
  "top leaves the terminal as it was after %s",
  async (_name, stop) => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1);
    await using top = new InTerminal(["top", "--client", node.client]);
    const before = top.terminal.localFlags;
    await until("it shows the tables", () => top.text.includes("[members]"));
    stop(top);
    expect(await top.child.exited).toBe(0);
    await until("the terminal is as before", () => top.text.endsWith(LEAVE));
    expect(top.terminal.localFlags).toBe(before);
  },
  TEST_MS,
);

test(
  "top is stopped by Ctrl-Z with the terminal as it was, and goes on",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1);
    await using top = new InTerminal(["top", "--interval=100ms", "--client", node.client]);
    await until("it shows the tables", () => top.text.includes("[members]"));
    top.type("\u001a");
    await until("the terminal is as before", () => top.text.endsWith(LEAVE));
    top.child.kill("SIGCONT");
    const length = top.text.length;
    await until("it draws all again", () => top.text.slice(length).includes("[members]"));
    top.type("q");
    expect(await top.child.exited).toBe(0);
  },
  TEST_MS,
);

test(
  "top says when the node does not answer, and goes on when it is back",
  async () => {
    await using world = new ProcessWorld();
    const flags = ["--memory=1MiB", `--client=unix:${world.path("node.sock")}`];
    const node = await world.start("node", 1, flags);
    await using top = new InTerminal(["top", "--interval=100ms", "--client", node.client]);
    await until("it shows the node", () => top.text.includes("DEGRADED: "));
    node.child.kill("SIGKILL");
    await node.child.exited;
    await until("it says so", () => /H\S*Cannot [^\n]*; trying again/.test(top.text));
    const length = top.text.length;
    await world.start("node", 1, flags);
    await until("it shows the node again", () => top.text.slice(length).includes("DEGRADED: "));
  },
  TEST_MS,
);

test(
  "top quits while the node stands still, and leaves the terminal as it was",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1);
    await using top = new InTerminal(["top", "--interval=100ms", "--client", node.client]);
    const before = top.terminal.localFlags;
    await until("it shows the tables", () => top.text.includes("[members]"));
    node.child.kill("SIGSTOP");
    top.type("q");
    expect(await top.child.exited).toBe(0);
    await until("the terminal is as before", () => top.text.endsWith(LEAVE));
    expect(top.terminal.localFlags).toBe(before);
  },
  TEST_MS,
);

test(
  "a terminal without a cursor, a pipe and JSON get plain text",
  async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1);
    const client = await world.connect(node);
    await fill(await client.newPool({ persistent: true }), 10);
    const argv = ["top", "--interval=100ms", "--client", node.client];
    await using dumb = new InTerminal(argv, "dumb");
    await until("it printed twice", () => dumb.text.split("pages/s").length > 2);
    expect(dumb.text).not.toContain("\u001b");
    const once = await world.run([...argv, "--once"]);
    expect(once).toMatchObject({ code: 0, stderr: "" });
    expect(once.stdout).toContain("\npages/s  put 0  got 0  remotified 0  fetched 0\n");
    expect(once.stdout).toContain("\n   0 persistent -  ");
    const json = await world.run([...argv, "--once", "--json"]);
    const report = JSON.parse(json.stdout);
    expect(report).toMatchObject({ node: { name: "n1" }, machines: [{ is_self: true }] });
    expect(report.seconds).toBeGreaterThan(0);
    expect(report.pages.here).toBe(10);
    const reader = world.spawnCommand(["sh", "-c", `"$@" | head -1`, "sh", ...world.command(argv)]);
    expect(await reader.stdout.text()).toMatch(
      /^ramster {2}node 1 "n1" of cluster "ramster" .*\n$/,
    );
    expect(await reader.exited).toBe(0);
    const nobody = await world.run(["top", "--client", `unix:${world.path("nobody")}`]);
    expect([nobody.code, nobody.stdout]).toEqual([3, ""]);
  },
  TEST_MS,
);
