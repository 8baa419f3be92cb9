/** Programs of others that watch a node, and connections that nobody uses. */
import { describe, expect, test } from "bun:test";
import { HTTP_CONNECTIONS_MAX } from "../../src/core/monitoring-limits.ts";
import { answerTo, fill, ProcessWorld, until } from "./process-world.ts";
import { areToolsRequired, TOOL_ENVIRONMENT, which } from "./tools.ts";

const TEST_MS = 60_000;

test("a health check of HAProxy is answered, and logs no line", async () => {
  await using world = new ProcessWorld();
  const node = await world.start("node", 1, ["--http=127.0.0.1:0"]);
  for (const [bytes, status] of [
    ["OPTIONS / HTTP/1.0\r\n\r\n", 405],
    ["GET /healthz HTTP/1.0\r\n\r\n", 200],
    ["GET /healthz HTTP/1.1\r\nHost: \xff\r\n\r\n", 400],
    ["\x16\x03\x01\r\n\r\n", 400],
  ] as const) {
    expect(await answerTo(node.http, Buffer.from(bytes, "latin1"))).toStartWith(
      `HTTP/1.1 ${status} `,
    );
  }
  expect(node.stderr.filter((line) => line.includes("HTTP"))).toEqual([]);
});

test("silent connections are bounded, and do not keep requests out", async () => {
  await using world = new ProcessWorld();
  const { http } = await world.start("node", 1, ["--http=127.0.0.1:0"]);
  const [hostname = "", port] = http.split(":");
  let closed = 0;
  const onClose = () => {
    closed += 1;
  };
  const socket = { data: () => {}, close: onClose };
  for (let i = 0; i < 4 * HTTP_CONNECTIONS_MAX; i += 1) {
    await Bun.connect({ hostname, port: Number(port), socket });
  }
  await until("the oldest were closed", () => closed >= 3 * HTTP_CONNECTIONS_MAX);
  const metrics = await (await fetch(`http://${http}/metrics`)).text();
  expect(metrics).toContain(`\nramster_http_connections ${HTTP_CONNECTIONS_MAX}\n`);
});

test(
  "status --check, /healthz and /readyz follow a node that is well, drained, and without its lender",
  async () => {
    await using world = new ProcessWorld();
    const lender = await world.start("server", 2, ["--memory=16MiB"]);
    const flags = ["--memory=1MiB", "--target=2", `--peers=2@${lender.listen}`];
    const node = await world.start("node", 1, [...flags, "--http=127.0.0.1:0"]);
    const client = await world.connect(node);
    const check = async () => {
      const { stdout, stderr, code } = await world.run([
        "status",
        "--check",
        "--client",
        node.client,
      ]);
      expect(stderr).toBe("");
      return { text: stdout, code };
    };
    const probe = async (path: string) => {
      const answer = await fetch(`http://${node.http}${path}`);
      return { status: answer.status, text: await answer.text() };
    };
    expect(await check()).toEqual({ text: "HEALTHY: all pages are here\n", code: 0 });
    expect(await probe("/healthz")).toEqual({ status: 200, text: "HEALTHY: all pages are here\n" });
    expect(await probe("/readyz")).toEqual({ status: 200, text: "it serves\n" });
    await client.setKnob("draining", "1");
    expect((await check()).code).toBe(1);
    expect(await probe("/readyz")).toMatchObject({ status: 503 });
    await client.setKnob("draining", "0");
    const pool = await client.newPool({ persistent: true });
    await fill(pool, 1000);
    lender.child.kill("SIGKILL");
    await until("the node knows it", async () => (await check()).code === 2);
    const { text } = await check();
    expect(text).toMatch(
      /^LOST: [\d,]+ pages \(\S+\) are out of reach: reads of them fail; bring /,
    );
    await until("it is not ready", async () => (await probe("/readyz")).status === 503);
    expect((await probe("/healthz")).text).toStartWith("LOST: ");
    node.child.kill("SIGKILL");
    await node.child.exited;
    const { code, stdout } = await world.run(["status", "--check", "--client", node.client]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  },
  TEST_MS,
);

test(
  "monitor prints events as they happen, and goes on when the node is restarted",
  async () => {
    await using world = new ProcessWorld();
    const client = `unix:${world.path("node.sock")}`;
    const flags = ["--memory=1MiB", `--client=${client}`];
    const node = await world.start("node", 1, flags);
    const monitor = world.spawn(["monitor", "--json", "--client", client]);
    const lines: string[] = [];
    const reading = (async () => {
      for await (const chunk of monitor.stdout.pipeThrough(new TextDecoderStream())) {
        lines.push(...chunk.split("\n").filter((line) => line !== ""));
      }
    })();
    const saw = (kind: string) => lines.filter((line) => JSON.parse(line).kind === kind).length;
    await until("it saw the verdict", () => saw("verdict") > 0);
    await (await world.connect(node)).setKnob("draining", "1");
    await until("it saw the drain", () => saw("drained") === 1);
    const before = saw("verdict");
    node.child.kill("SIGKILL");
    await node.child.exited;
    await world.start("node", 1, flags);
    await until("it saw the new node", () => saw("verdict") > before);
    monitor.kill("SIGINT");
    await reading;
    expect(await monitor.exited).toBe(0);
    expect(await monitor.stderr.text()).toMatch(
      /^ramster: Cannot [^\n]+; trying again until it is stopped\n$/,
    );
    const once = await world.run(["monitor", "--once", "--client", client]);
    expect(once.stdout).toMatch(/^\S+Z verdict {3}DEGRADED: pages have nowhere to go; /);
    const nobody = await world.run(["monitor", "--client", `unix:${world.path("nobody")}`]);
    expect([nobody.code, nobody.stdout]).toEqual([3, ""]);
  },
  TEST_MS,
);

const missing = !areToolsRequired && which("promtool") === null;

describe.skipIf(missing)(`promtool${missing ? " (skipped: it is not here)" : ""}`, () => {
  test(
    "accepts the metrics of a node that lends, exports and gossips",
    async () => {
      await using world = new ProcessWorld();
      const lender = await world.start("server", 2, ["--gossip=127.0.0.1:0"]);
      const flags = [
        "--http=127.0.0.1:0",
        "--gossip=127.0.0.1:0",
        `--join=${lender.gossip}`,
        "--export=disk=1MiB",
      ];
      const socket = `unix:${world.path("nbd")}`;
      const { http } = await world.start("node", 1, [...flags, `--nbd=${socket}`, "--no-swap"]);
      const metrics = await (await fetch(`http://${http}/metrics`)).text();
      const check = Bun.spawn(["promtool", "check", "metrics"], {
        env: TOOL_ENVIRONMENT,
        stdin: new Blob([metrics]),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr] = await Promise.all([check.stdout.text(), check.stderr.text()]);
      expect({ stdout, stderr, code: await check.exited }).toEqual({
        stdout: "",
        stderr: "",
        code: 0,
      });
    },
    TEST_MS,
  );
});
