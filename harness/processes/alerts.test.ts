/**
 * What packaging/ has for Prometheus and Grafana: each alert is fired by a real Prometheus over
 * real nodes, and both ask only for metrics that nodes have.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import dashboard from "../../packaging/grafana/ramster.json" with { type: "json" };
import { prefixed } from "../../src/core/figure.ts";
import * as FIGURES from "../../src/core/figures.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { metricName } from "../../src/doors/metrics.ts";
import { parseAddress } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { BareClient, WRITE } from "../nbd/bare-client.ts";
import { bytesFrom, read } from "../nbd/door-world.ts";
import { ProcessWorld, until } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const TEST_MS = 120_000;
const ROOT = join(import.meta.dir, "../..");
const RULES = readFileSync(join(ROOT, "packaging/prometheus/ramster.rules.yml"), "utf8");
const OPERATIONS = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
const ALERTS = [...RULES.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = ""]) => name);
const QUERIES = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
const missing = !areToolsRequired && which("prometheus") === null;

test("there are ten alerts, each with its paragraph", () => {
  expect(ALERTS).toHaveLength(10);
  for (const name of ALERTS) {
    expect(RULES).toContain(`runbook: docs/operations.md#${name.toLowerCase()}\n`);
    expect(OPERATIONS).toMatch(new RegExp(`^### ${name}\n\n[A-Z]`, "m"));
  }
});

test("alerts and dashboard ask only for metrics that there are", () => {
  const { COUNTERS, LATENCIES, PEER, EXPORT, EXPORT_LATENCIES, POOL } = FIGURES;
  const tables = [
    ...[COUNTERS, LATENCIES, prefixed("peer_", PEER), prefixed("pool_", POOL)],
    prefixed("export_", { ...EXPORT, ...EXPORT_LATENCIES }),
  ];
  const known = new Set([
    ...tables.flatMap((table) => Object.entries(table).map(([name, row]) => metricName(name, row))),
    ...["ramster_verdict", "ramster_pages", "ramster_members", "ramster_node_info"],
  ]);
  const texts = [...QUERIES, ...[...RULES.matchAll(/expr: (.*)$/gm)].map(([, expr = ""]) => expr)];
  const asked = texts.join("\n").match(/\b(?:ramster|process)_\w+/g) ?? [];
  expect(asked.length).toBeGreaterThan(30);
  const unknown = asked.filter((name) => !known.has(name.replace(/_bucket$/, "")));
  expect(unknown).toEqual([]);
});

/** A Prometheus that asks the nodes every second, and waits for no alert to last. */
class Prometheus {
  private address = "";
  private readonly world: ProcessWorld;

  constructor(world: ProcessWorld) {
    this.world = world;
  }

  async start(targets: readonly string[]): Promise<void> {
    const rules = this.world.path("rules.yml");
    await Bun.write(rules, RULES.replaceAll(/^ +for: .*\n/gm, ""));
    const config = this.world.path("prometheus.yml");
    await Bun.write(
      config,
      JSON.stringify({
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: [rules],
        scrape_configs: [{ job_name: "ramster", static_configs: [{ targets }] }],
      }),
    );
    const child = this.world.spawnCommand([
      which("prometheus") ?? "prometheus",
      `--config.file=${config}`,
      `--storage.tsdb.path=${this.world.path("tsdb")}`,
      "--web.listen-address=127.0.0.1:0",
    ]);
    const log = { text: "" };
    void (async () => {
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        log.text += chunk;
      }
    })();
    await until("Prometheus listens", () => {
      this.address = /msg="Listening on" address=(\S+)/.exec(log.text)?.[1] ?? "";
      return this.address !== "" && log.text.includes("Server is ready");
    });
  }

  private async ask(path: string) {
    const answer = await fetch(`http://${this.address}/api/v1/${path}`);
    return (await answer.json()) as { status: string; error?: string; data: never };
  }

  async firing(): Promise<Set<string>> {
    type Alert = { labels: { alertname: string }; state: string };
    const { alerts } = (await this.ask("alerts")).data as { alerts: Alert[] };
    const firing = alerts.filter(({ state }) => state === "firing");
    return new Set(firing.map(({ labels }) => labels.alertname));
  }

  /** How many series the query has now. */
  async query(query: string): Promise<number> {
    const { status, error, data } = await this.ask(`query?query=${encodeURIComponent(query)}`);
    if (status !== "success") throw new Error(`${query}: ${error}`);
    return (data as { result: unknown[] }).result.length;
  }
}

describe.skipIf(missing)(`Prometheus${missing ? " (skipped: it is not here)" : ""}`, () => {
  test(
    "fires each alert when it should, and each panel has data",
    async () => {
      await using world = new ProcessWorld();
      const key = world.path("cluster.key");
      expect(await world.run(["keygen", "--days=10", "--out", key])).toMatchObject({ code: 0 });
      const common = [`--key=${key}`, "--gossip=127.0.0.1:0", "--http=127.0.0.1:0"];
      const lends = [...common, "--memory=2MiB"];
      const first = await world.start("server", 2, [...lends, "--zone=a"]);
      const join = `--join=${first.gossip}`;
      const second = await world.start("server", 3, [...lends, "--zone=b", join]);
      const nbd = `unix:${world.path("nbd")}`;
      const disk = ["--export=disk=16MiB", `--nbd=${nbd}`, "--no-swap"];
      const flags = [...common, "--memory=1MiB", "--lend=1MiB", join, ...disk];
      const owner = await world.start("node", 1, flags);
      const prometheus = new Prometheus(world);
      await prometheus.start([owner.http, first.http, second.http]);
      const fired = new Set<string>();
      const untilFired = (...names: string[]) =>
        until(`${names} fire`, async () => {
          for (const name of await prometheus.firing()) fired.add(name);
          return names.every((name) => fired.has(name));
        });
      await untilFired("RamsterCertificateEnds");
      expect([...fired]).toEqual(["RamsterCertificateEnds"]);

      const client = new BareClient();
      new BunTransport().connect(parseAddress(nbd), client);
      await client.negotiate({ form: "simple", name: "disk" });
      const random = new SeededRandom(1);
      for (let page = 0; ; page += 1) {
        // Pages that do not compress fill the space soon.
        const data = bytesFrom(random, PAGE_BYTES);
        const at = { offset: page * PAGE_BYTES, length: PAGE_BYTES };
        const { error } = await client.ask({ type: WRITE, ...at, data });
        if (error !== 0) break;
      }
      await untilFired("RamsterFilling", "RamsterFull", "RamsterDeviceErrors");
      const empty: string[] = [];
      for (const expr of QUERIES) {
        const query = expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m");
        if ((await prometheus.query(query)) === 0) empty.push(expr);
      }
      expect(empty).toEqual([]);

      second.child.kill("SIGKILL");
      await untilFired("RamsterMemberDead", "RamsterOneCopy");
      // A read of a page that is away waits for the lender that stands still.
      first.child.kill("SIGSTOP");
      const reads = Array.from({ length: 300 }, (_, page) => {
        return client.ask(read(page * PAGE_BYTES, PAGE_BYTES));
      });
      await untilFired("RamsterPagesLost");
      first.child.kill("SIGCONT");
      await Promise.all(reads);
      await untilFired("RamsterSlowReads");
      first.child.kill("SIGKILL");
      await untilFired("RamsterNowhere");
      owner.child.kill("SIGKILL");
      await untilFired("RamsterDown");
      expect([...fired].sort()).toEqual([...ALERTS].sort());
    },
    TEST_MS,
  );
});
