import { expect, test } from "bun:test";
import { HttpDoor } from "./http-door.ts";

const STATS = {
  node: { number: 3, name: 'a "name"', cluster: "c" },
  counters: { foreign_puts: 12, frames_used: 7, remote_pers_pages: 0, pages_at_risk: 3 },
  repair: { pages_at_risk: 3, pages_per_second: null, seconds_left: null },
  latencies: { put: { counts: [0, 0, 5, 1], sum_us: 24 } },
  exports: [{ name: "swap", size_bytes: 8192, pages: 1, used_bytes: 4096, connections: 2 }],
  members: [{ state: "alive" }, { state: "alive" }, { state: "dead" }],
  peers: [
    { node: 0, connected: true, state: "up", remote_pages: 5, bytes_sent: 100 },
    { node: 9, connected: false, state: "idle", remote_pages: 0, bytes_sent: 1 },
  ],
};

const door = () => new HttpDoor(() => JSON.stringify(STATS));

/** A line of the exposition format: a comment of its two kinds, or a sample. */
const LINE =
  /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="(\\.|[^"\\])*"(,[a-z]+="(\\.|[^"\\])*")*\})? -?\d+(\.\d+)?)$/;

test("/metrics is in Prometheus' format, counters and gauges told apart", async () => {
  const { status, type, body } = await door().answer("GET", "/metrics");
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
    'ramster_peer_remote_pages{peer="0"} 5',
    'ramster_peer_connected{peer="9"} 0',
    'ramster_peer_bytes_sent_total{peer="0"} 100',
    "# TYPE ramster_export_used_bytes gauge",
    'ramster_export_used_bytes{export="swap"} 4096',
  ]) {
    expect(body.split("\n")).toContain(line);
  }
  expect((await door().answer("GET", "/metrics")).body).toBe(body);
});

test("/status.json is what status --json shows", async () => {
  const { type, body } = await door().answer("GET", "/status.json");
  const { node, repair, exports, members, peers } = STATS;
  const shown = { node, repair, exports, members, peers };
  expect([type, JSON.parse(body)]).toEqual(["application/json", shown]);
});

test("/healthz says that it runs, /readyz whether it serves, and others that they are not there", async () => {
  const http = door();
  const statusOf = async (method: string, path: string) => (await http.answer(method, path)).status;
  expect([await statusOf("GET", "/healthz"), await statusOf("GET", "/readyz")]).toEqual([200, 503]);
  http.isReady = true;
  expect(await statusOf("GET", "/readyz")).toBe(200);
  expect([await statusOf("GET", "/"), await statusOf("POST", "/metrics")]).toEqual([404, 405]);
});
