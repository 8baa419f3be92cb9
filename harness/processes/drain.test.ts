/**
 * Real processes that are drained, stopped, or lend less: what they print, how they exit, and
 * whether all pages can still be read afterwards.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Client } from "../../src/client/client.ts";
import type { NodeProcess } from "./node-process.ts";
import {
  counter,
  countRight,
  ended,
  fill,
  keys,
  logged,
  ProcessWorld,
  pageOf,
  until,
} from "./process-world.ts";

const TEST_MS = 30_000;
/** Three times as many pages as a node with 1 MiB keeps. */
const PAGES = 1500;
const GOSSIP = ["--gossip=127.0.0.1:0", "--network=local"];

/** Two servers, and a node that keeps one copy of each page at one of them. */
async function cluster(world: ProcessWorld, flags: readonly string[] = []) {
  const first = await world.start("server", 0, [...GOSSIP, "--memory=32MiB", ...flags]);
  const join = [...GOSSIP, `--join=${first.gossip}`];
  const second = await world.start("server", 1, [...join, "--memory=32MiB"]);
  const small = ["--memory=1MiB", "--selfshrink=off", "--replicas=1"];
  const node = await world.start("node", 2, [...join, ...small]);
  const [client, atFirst] = [await world.connect(node), await world.connect(first)];
  await until("all know all", async () => (await client.stats()).peers.length === 2);
  const pool = await client.newPool({ persistent: true });
  return { first, second, node, client, atFirst, pool };
}

/** One server, and a full node: nobody else can take the pages of the server. */
async function stranded(world: ProcessWorld, flags: readonly string[] = []) {
  const server = await world.start("server", 0, ["--memory=32MiB", ...flags]);
  const wires = [`--peers=0@${server.listen}`, "--target=0", "--selfshrink=off"];
  const node = await world.start("node", 1, ["--memory=1MiB", ...wires]);
  const client = await world.connect(node);
  const pool = await client.newPool({ persistent: true });
  expect(await fill(pool, PAGES)).toBe(PAGES);
  const atServer = await world.connect(server);
  await settled(client);
  return { server, node, client, atServer, pool };
}

async function settled(client: Client): Promise<void> {
  await until("nothing is on its way", async () => {
    const { frames_in_flight, fetches_in_flight } = (await client.stats()).counters;
    return frames_in_flight === 0 && fetches_in_flight === 0;
  });
}

function drain(world: ProcessWorld, node: NodeProcess, ...flags: string[]) {
  return world.run(["drain", "--client", node.client, ...flags]);
}

describe("ramster drain", () => {
  test(
    "of a lender under load: it ends empty, lends nothing, and every page is right",
    async () => {
      await using world = new ProcessWorld();
      const { first, client, atFirst, pool } = await cluster(world);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await counter(atFirst, "foreign_pers_pages")).toBeGreaterThan(100);
      let isDrained = false;
      const load = (async () => {
        let stored = 0;
        for (let round = 0; !isDrained; round += 1) {
          const batch = keys(100, (round % 10) * 100);
          const puts = await pool.putMany(
            batch.map((key) => ({ ...key, page: pageOf(key.index) })),
          );
          stored += puts.filter((put) => put.stored).length;
          expect(puts.every((put) => put.stored)).toBe(true);
        }
        return stored;
      })();
      const { stdout, stderr, code } = await drain(world, first);
      isDrained = true;
      expect(await load).toBeGreaterThan(0);
      expect(stdout).toMatch(/^\d+ pages of other nodes moved away, 0 of its own came home\n$/);
      expect([stderr, code]).toEqual(["", 0]);
      expect(await counter(atFirst, "foreign_pers_pages")).toBe(0);
      await until("others know that it lends nothing", async () => {
        const { members } = await client.stats();
        return members.some(({ name, lend_frames }) => name === "n0" && lend_frames === 0);
      });
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      // Again: by now it is the only node that lends nothing.
      expect(await drain(world, first)).toEqual({
        stdout: "0 pages of other nodes moved away, 0 of its own came home\n",
        stderr: "",
        code: 0,
      });
      expect(await first.stop()).toBe(0);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );

  test("of a single node has nothing to do", async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, ["--memory=1MiB", "--lend=1MiB"]);
    const pool = await (await world.connect(node)).newPool({ persistent: true });
    await fill(pool, 10);
    const { stdout, stderr, code } = await drain(world, node);
    expect(stdout).toBe("0 pages of other nodes moved away, 0 of its own came home\n");
    expect([stderr, code]).toEqual(["", 0]);
    expect(await countRight(pool, 10)).toBe(10);
  });

  test(
    "ends at its deadline, and prints what is left and that the node goes on",
    async () => {
      await using world = new ProcessWorld();
      const { server, atServer, pool } = await stranded(world);
      const { stdout, stderr, code } = await drain(world, server, "--drain-timeout=1s");
      expect(stdout).toMatch(/^\d+ pages of other nodes moved away, 0 of its own came home\n$/);
      expect(stderr).toMatch(
        /^ramster: Cannot drain all in 1s: [1-9]\d* pages of other nodes and 0 of its own are still to move; the node goes on moving them, "ramster undrain" undoes it\n$/,
      );
      expect(code).toBe(1);
      expect(await atServer.getKnob("draining")).toBe("1");
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );

  test(
    "that has nowhere to move pages to reports an error, and keeps the pages",
    async () => {
      await using world = new ProcessWorld();
      const { server, pool } = await stranded(world);
      const { stderr, code } = await drain(world, server);
      expect(stderr.trimEnd().split("\n").at(-1)).toMatch(
        /^ramster: Cannot drain all: [1-9]\d* pages of other nodes have nowhere to go, and 0 of its own have no room here; the node stays drained, "ramster undrain" undoes it$/,
      );
      expect(stderr).toMatch(/^ramster: \d+ pages of other nodes, 0 of its own are left\n/);
      expect(code).toBe(1);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );

  test(
    "that is interrupted prints that the node goes on, which it does until undrain",
    async () => {
      await using world = new ProcessWorld();
      const { server, atServer, pool } = await stranded(world);
      const command = world.spawn(["drain", "--client", server.client]);
      const end = ended(command);
      await until("it drains", async () => (await atServer.getKnob("draining")) === "1");
      command.kill("SIGINT");
      const { stderr, code } = await end;
      expect(stderr).toMatch(
        /^ramster: Cannot wait for the drain: interrupted, \d+ pages of other nodes and 0 of its own are still to move; the node goes on moving them, "ramster undrain" undoes it\n$/,
      );
      expect(code).toBe(1);
      expect(await counter(atServer, "lend_limit_frames")).toBe(0);
      const undrain = await world.run(["undrain", "--client", server.client]);
      expect(undrain).toEqual({ stdout: "the node is in use again\n", stderr: "", code: 0 });
      expect(await counter(atServer, "lend_limit_frames")).toBe(8192);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );
});

describe("a lender that is stopped", () => {
  test(
    "moves its foreign pages to another lender, exits with 0, and loses no page",
    async () => {
      await using world = new ProcessWorld();
      const { first, atFirst, pool } = await cluster(world);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await counter(atFirst, "foreign_pers_pages")).toBeGreaterThan(100);
      expect(await first.stop()).toBe(0);
      await logged(first, /all \d+ pages of other nodes have left: /);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
    },
    TEST_MS,
  );

  test(
    "and cannot move all exits with 1 at its deadline, and logs how many, why and whose",
    async () => {
      await using world = new ProcessWorld();
      const { server } = await stranded(world, ["--drain-timeout=1s"]);
      expect(await server.stop()).toBe(1);
      await logged(
        server,
        /Cannot move (\d+) of \d+ pages of other nodes away: not within 1000 ms; their owners are "n1" \(\1\)/,
      );
    },
    TEST_MS,
  );

  test.each([
    ["SIGTERM", "SIGTERM"],
    ["SIGTERM", "SIGINT"],
  ] as const)(
    "by %s exits at once on a following %s, with pages that nobody takes",
    async (one, other) => {
      await using world = new ProcessWorld();
      const { server } = await stranded(world);
      server.child.kill(one);
      await logged(server, /pages of other nodes away before this node stops/);
      server.child.kill(other);
      await server.child.exited;
      expect(server.child.signalCode).toBe(other);
    },
    TEST_MS,
  );

  test("logs how many own pages it discards, and waits for none of them", async () => {
    await using world = new ProcessWorld();
    const { node } = await stranded(world);
    expect(await node.stop()).toBe(0);
    await logged(node, new RegExp(`discarding ${PAGES} own pages`));
    expect(existsSync(world.path("1.sock"))).toBe(false);
  });
});

describe("a lender whose reserve is raised", () => {
  test(
    "gives everything back at 100%, logs that, and lends again at 0",
    async () => {
      await using world = new ProcessWorld();
      const { first, atFirst, pool } = await cluster(world);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await counter(atFirst, "foreign_pers_pages")).toBeGreaterThan(100);
      const set = await world.run(["set", "reserve", "100%", "--client", first.client]);
      expect(set).toMatchObject({ stderr: "", code: 0 });
      await until("it holds nothing", async () => {
        return (await counter(atFirst, "foreign_frames_used")) === 0;
      });
      await logged(first, /giving memory back to the machine: \d+ of \d+ MiB are available/);
      await logged(first, /gave \d+ MiB back in /);
      const { counters } = await atFirst.stats();
      expect(counters).toMatchObject({ lend_limit_frames: 0, lend_pressure_shrinks: 1 });
      expect(counters.machine_total_bytes).toBeGreaterThan(counters.machine_available_bytes ?? 0);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      expect(await atFirst.setKnob("reserve", "0")).toBe("0");
      expect(await counter(atFirst, "lend_limit_frames")).toBe(8192);
    },
    TEST_MS,
  );
});
