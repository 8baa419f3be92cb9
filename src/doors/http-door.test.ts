import { describe, expect, test } from "bun:test";
import { HttpClient } from "../../harness/processes/http-client.ts";
import { SimClock } from "../../harness/sim/clock.ts";
import { SimNetwork } from "../../harness/sim/network.ts";
import { nodeStats } from "../../harness/stress/node-stats.ts";
import { Log } from "../core/log.ts";
import { HTTP_STREAMS_MAX, HTTP_TEXT_BURST_MS } from "../core/monitoring-limits.ts";
import { SeededRandom } from "../core/random.ts";
import { Live } from "../monitoring/live.ts";
import type { TcpAddress } from "../net/address.ts";
import type { Finding, Verdict } from "../wire/stats.ts";
import { HttpDoor, type StatsForDoor } from "./http-door.ts";

const DEAD = {
  state: "LOST",
  name: "out_of_reach",
  level: 2,
  reason: "3 pages (12KiB) are out of reach: reads of them fail",
  advice: 'bring "b" back',
} as const;
const DEGRADED = {
  state: "DEGRADED",
  name: "nowhere",
  level: 1,
  reason: "a reason",
  advice: "",
} as const;

const STATS = {
  verdict: "LOST" as Verdict,
  findings: [DEAD, DEGRADED] as readonly Finding[],
  node: { number: 3, name: 'a "name"', cluster: "c", version: "1.2.3" },
  counters: {
    foreign_puts: 12,
    obj_count: 4,
    frames_used: 7,
    remote_pers_pages: 0,
    pages_at_risk: 3,
    no_copy_pages: 3,
    one_copy_pages: 8,
  },
  repair: { pages_at_risk: 3, pages_per_second: null, seconds_left: null },
  nowhere: null,
  codec: null,
  cold_codec: null,
  spill: { trouble: "no space left on the device" },
  lending: { unseen: [] },
  latencies: { put: { counts: [0, 0, 5, 1], sum_us: 24 } },
  exports: [
    {
      name: "swap",
      latencies: { read: { counts: [0, 2], sum_us: 2 }, write: { counts: [], sum_us: 0 } },
      ...{ size_bytes: 8192, pages: 1, used_bytes: 4096, connections: 2 },
    },
  ],
  pools: [{ id: 0, kind: "persistent", export: "swap", pages: 1 }],
  members: [{ state: "alive" }, { state: "alive" }, { state: "dead" }],
  peers: [
    { node: 0, name: "b", connected: true, state: "up", remote_pages: 5, bytes_sent: 100 },
    { node: 9, name: "", connected: false, state: "idle", remote_pages: 0, bytes_sent: 1 },
  ],
};

const AT: TcpAddress = { kind: "tcp", host: "10.0.0.1", port: 9100 };

/** A door that listens, under virtual time. */
class DoorWorld {
  readonly clock = new SimClock();
  readonly door: HttpDoor;
  readonly live: Live;
  stats: StatsForDoor = STATS;
  /** How often the stats were read. */
  readCount = 0;
  private readonly network = new SimNetwork(this.clock, new SeededRandom(1));
  private readonly at: TcpAddress;

  private constructor(costMs: number, at: TcpAddress) {
    this.at = at;
    const transport = this.network.transport(at.host);
    const parts = { clock: this.clock, log: new Log(() => {}), transport };
    this.live = new Live(this.clock);
    this.door = new HttpDoor(parts, this.live, () => {
      this.readCount += 1;
      if (costMs > 0) this.clock.run(this.clock.now() + costMs);
      return this.stats;
    });
  }

  static async listen({ costMs = 0, at = AT } = {}): Promise<DoorWorld> {
    const world = new DoorWorld(costMs, at);
    await world.door.listen(at);
    return world;
  }

  /** Sends a request, and reads on. */
  open(path: string): HttpClient {
    const client = new HttpClient(this.network.transport("10.0.0.2"), this.at);
    client.send(`GET ${path} HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n`);
    return client;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (!this.clock.step()) throw new Error("it does not come about");
    }
  }

  async get(path: string, { method = "GET", host = "10.0.0.1" } = {}) {
    const client = new HttpClient(this.network.transport("10.0.0.2"), this.at);
    client.send(`${method} ${path} HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    while (!client.isClosed) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (!this.clock.step()) throw new Error(`no answer to ${path}`);
    }
    const [, type] = /^Content-Type: (.*)\r$/m.exec(client.text) ?? [];
    return { status: client.statuses[0], type, body: client.body };
  }
}

/** A line of the exposition format: a comment of its two kinds, or a sample. */
const LINE =
  /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="(\\.|[^"\\])*"(,[a-z]+="(\\.|[^"\\])*")*\})? -?\d+(\.\d+)?)$/;

test("/metrics is in Prometheus' format, with counters and gauges", async () => {
  const world = await DoorWorld.listen();
  const { status, type, body } = await world.get("/metrics");
  expect([status, type]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  for (const line of body.split("\n").filter((it) => it !== "")) expect(line).toMatch(LINE);
  for (const line of [
    "# TYPE ramster_foreign_puts_total counter",
    "ramster_foreign_puts_total 12",
    "# TYPE ramster_frames_used gauge",
    "ramster_frames_used 7",
    "ramster_remote_pers_pages 0",
    "# TYPE ramster_pages_at_risk gauge",
    "ramster_pages_at_risk 3",
    'ramster_node_info{number="3",name="a \\"name\\"",cluster="c"} 1',
    'ramster_verdict{state="LOST"} 1',
    'ramster_verdict{state="ONE COPY"} 0',
    'ramster_pages{copies="0"} 3',
    'ramster_pages{copies="1"} 8',
    'ramster_members{state="alive"} 2',
    "# TYPE ramster_put_seconds histogram",
    'ramster_put_seconds_bucket{le="0.000002"} 0',
    'ramster_put_seconds_bucket{le="0.000004"} 5',
    'ramster_put_seconds_bucket{le="0.000008"} 6',
    'ramster_put_seconds_bucket{le="4.194304"} 6',
    'ramster_put_seconds_bucket{le="+Inf"} 6',
    "ramster_put_seconds_sum 0.000024",
    "ramster_put_seconds_count 6",
    'ramster_members{state="left"} 0',
    'ramster_peer_remote_pages{peer="0",name="b"} 5',
    'ramster_peer_connected{peer="9",name=""} 0',
    'ramster_peer_bytes_sent_total{peer="0",name="b"} 100',
    'ramster_build_info{version="1.2.3"} 1',
    "# TYPE ramster_export_read_seconds histogram",
    'ramster_export_read_seconds_bucket{export="swap",le="0.000001"} 0',
    'ramster_export_read_seconds_bucket{export="swap",le="0.000002"} 2',
    'ramster_export_read_seconds_count{export="swap"} 2',
    'ramster_export_write_seconds_count{export="swap"} 0',
    "# TYPE ramster_export_used_bytes gauge",
    'ramster_export_used_bytes{export="swap"} 4096',
  ]) {
    expect(body.split("\n")).toContain(line);
  }
  expect((await world.get("/metrics")).body).toBe(body);
});

test("/status.json is what status --json shows", async () => {
  const world = await DoorWorld.listen();
  const { type, body } = await world.get("/status.json");
  const { counters: _, latencies: __, ...shown } = STATS;
  expect([type, JSON.parse(body)]).toEqual(["application/json", shown]);
});

test("/status.json begins with the verdict", async () => {
  const { body } = await (await DoorWorld.listen()).get("/status.json");
  expect(Object.keys(JSON.parse(body)).slice(0, 2)).toEqual(["verdict", "findings"]);
});

test("/healthz has the findings, worst first, and only the verdict for a strange host", async () => {
  const world = await DoorWorld.listen({ at: { ...AT, host: "127.0.0.1" } });
  const text = `LOST: ${DEAD.reason}; ${DEAD.advice}\nDEGRADED: a reason\n`;
  expect(await world.get("/healthz", { host: "127.0.0.1" })).toMatchObject({
    status: 200,
    body: text,
  });
  expect(await world.get("/healthz", { host: "haproxy" })).toMatchObject({
    status: 200,
    body: "LOST\n",
  });
});

test.each([
  [{ ...DEGRADED, state: "DRAINING" }, 503],
  [{ ...DEGRADED, state: "FILLING" }, 200],
  [{ ...DEGRADED, state: "FILLING", level: 2 }, 503],
  [{ ...DEGRADED, state: "ONE COPY" }, 200],
  [DEAD, 503],
] as const)("/readyz after %j is %d", async (finding, status) => {
  const world = await DoorWorld.listen();
  world.door.isReady = true;
  world.stats = { ...STATS, findings: [DEGRADED, finding] };
  const answer = await world.get("/readyz");
  expect(answer.status).toBe(status);
  if (status === 503) expect(answer.body).toContain(`${finding.state}: ${finding.reason}`);
});

test("/healthz reports that it runs, /readyz whether it serves, and other paths are not found", async () => {
  const world = await DoorWorld.listen();
  world.stats = { ...STATS, findings: [DEGRADED] };
  const statusOf = async (path: string, method = "GET") =>
    (await world.get(path, { method })).status;
  expect([await statusOf("/healthz"), await statusOf("/readyz")]).toEqual([200, 503]);
  world.door.isReady = true;
  expect(await statusOf("/readyz")).toBe(200);
  expect([await statusOf("/x"), await statusOf("/metrics", "POST")]).toEqual([404, 405]);
});

test("on loopback a web page's host name gets neither counters nor status, but a health check is answered", async () => {
  const world = await DoorWorld.listen({ at: { ...AT, host: "127.0.0.1" } });
  const statusOf = async (path: string, host: string) => (await world.get(path, { host })).status;
  for (const path of ["/metrics", "/status.json"]) {
    expect([path, await statusOf(path, "evil.example:9100")]).toEqual([path, 421]);
    expect([path, await statusOf(path, "localhost:9100")]).toEqual([path, 200]);
  }
  expect(await statusOf("/healthz", "haproxy")).toBe(200);
});

test("names that the format reserves are not used, and each metric has a help text", async () => {
  const { body } = await (await DoorWorld.listen()).get("/metrics");
  for (const [, name = "", kind] of body.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    expect(name.endsWith("_total")).toBe(kind === "counter");
    expect(name).not.toMatch(/_(count|sum|bucket|info_total)$/);
  }
  expect(body).toContain("# HELP ramster_objects Objects");
  expect(body).toContain("# HELP ramster_foreign_puts_total Pages");
});

test("a client that asks without pause gets the previous text, and a fresh one later", async () => {
  const world = await DoorWorld.listen({ costMs: HTTP_TEXT_BURST_MS / 5 });
  for (let i = 0; i < 20; i += 1) await world.get("/metrics");
  expect(world.readCount).toBeLessThan(8);
  world.clock.run(world.clock.now() + 20 * HTTP_TEXT_BURST_MS);
  const before = world.readCount;
  await world.get("/metrics");
  expect(world.readCount).toBe(before + 1);
});

describe("the page", () => {
  test("and its files have types, and headers that keep other sites out", async () => {
    const world = await DoorWorld.listen();
    const types = { "/": "text/html", "/page.js": "text/javascript", "/page.css": "text/css" };
    for (const [path, type] of Object.entries(types)) {
      const client = world.open(path);
      await world.until(() => client.statuses.length > 0);
      expect(client.statuses).toEqual([200]);
      expect(client.text).toContain(`\r\nContent-Type: ${type}; charset=utf-8\r\n`);
      expect(client.text).toContain("\r\nContent-Security-Policy: default-src 'none'; ");
      expect(client.text).toContain("\r\nX-Frame-Options: DENY\r\n");
      expect(client.text).not.toContain("Set-Cookie");
      client.end();
    }
  });

  test.each(["/", "/page.js", "/live", "/metrics", "/status.json"])(
    "%s is not for a host name on loopback",
    async (path) => {
      const world = await DoorWorld.listen({ at: { ...AT, host: "127.0.0.1" } });
      expect(await world.get(path, { host: "evil.example" })).toMatchObject({ status: 421 });
    },
  );

  test("gets the latest report at once, then each new one", async () => {
    const world = await DoorWorld.listen();
    const verdicts = ["HEALTHY", "DEGRADED"] as const;
    world.live.observe(nodeStats(1, { verdict: verdicts[0] }));
    const client = world.open("/live");
    const messages = () => {
      const lines = client.text.matchAll(/^data: (.*)\n\n/gm);
      return Array.from(lines, ([, data = ""]) => JSON.parse(data).overview.verdict);
    };
    await world.until(() => messages().length === 1);
    expect(client.text).toContain("Content-Type: text/event-stream\r\n");
    world.live.observe(nodeStats(1, { verdict: verdicts[1] }));
    await world.until(() => messages().length === 2);
    expect(messages()).toEqual([...verdicts]);
    client.end();
  });

  test("is open HTTP_STREAMS_MAX times at most", async () => {
    const world = await DoorWorld.listen();
    const clients = Array.from({ length: HTTP_STREAMS_MAX }, () => world.open("/live"));
    await world.until(() => clients.every(({ text }) => text.includes("retry: ")));
    expect(await world.get("/live")).toMatchObject({ status: 503 });
    clients.pop()?.end();
    const next = world.open("/live");
    await world.until(() => next.statuses.length > 0);
    expect(next.statuses).toEqual([200]);
    for (const client of [...clients, next]) client.end();
  });
});
