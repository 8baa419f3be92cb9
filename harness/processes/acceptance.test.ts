/**
 * Scenarios 8 to 14 of docs/original.md, "topologies and scenarios", with real processes: what
 * happens to pages when a machine dies, returns, falls silent or is stopped. Tests under virtual
 * time cover the same and more: scenarios/scenarios.test.ts, scenarios/sim.test.ts.
 */
import { expect, test } from "bun:test";
import type { Client } from "../../src/client/client.ts";
import type { Pool } from "../../src/client/pool.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { loadPageClass } from "../pages/load.ts";
import { Detour } from "../stress/detour.ts";
import type { NodeProcess } from "./node-process.ts";
import {
  counter,
  countRight,
  fill,
  isPage,
  keys,
  logged,
  OID,
  ProcessWorld,
  pageOf,
  until,
} from "./process-world.ts";

const TEST_MS = 60_000;
/** Three times as many pages as a node with 1 MiB keeps. */
const PAGES = 1500;
const GOSSIP = "--gossip=127.0.0.1:0";
const LENDS = "--memory=32MiB";
const OWNS = ["--memory=1MiB", "--selfshrink=off"];

interface World {
  servers: NodeProcess[];
  node: NodeProcess;
  client: Client;
  pool: Pool;
}

/** Servers in a zone each, and a node with PAGES pages and a copy of each at every server. */
async function borrowing(
  world: ProcessWorld,
  { servers: count, replicas }: { servers: number; replicas: number },
): Promise<World> {
  const servers: NodeProcess[] = [];
  for (let number = 0; number < count; number += 1) {
    servers.push(await startServer(world, number, servers[0]));
  }
  const join = [GOSSIP, `--join=${servers[0]?.gossip}`, `--replicas=${replicas}`];
  const node = await world.start("node", count, [...OWNS, ...join]);
  const client = await world.connect(node);
  await until("it knows all servers", async () => (await client.stats()).peers.length === count);
  const pool = await client.newPool({ persistent: true });
  expect(await fill(pool, PAGES)).toBe(PAGES);
  await atRest(client);
  return { servers, node, client, pool };
}

/** `gossip`: its gossip address before it was killed. */
function startServer(world: ProcessWorld, number: number, seed?: NodeProcess, gossip = GOSSIP) {
  const join = seed === undefined ? [] : [`--join=${seed.gossip}`];
  return world.start("server", number, [gossip, LENDS, `--zone=z${number}`, ...join]);
}

/** Waits until nothing is in flight and no page lacks a copy. */
async function atRest(client: Client): Promise<void> {
  await until("nothing is on its way", async () => {
    const { counters } = await client.stats();
    const { frames_in_flight, fetches_in_flight, pages_at_risk, reclaims_pending } = counters;
    const left = [frames_in_flight, fetches_in_flight, pages_at_risk, reclaims_pending];
    return left.every((it) => it === 0);
  });
}

function first(servers: readonly NodeProcess[]): NodeProcess {
  return servers[0] as NodeProcess;
}

test(
  "scenario 8: a holder is killed, and every page is served by its other holder",
  async () => {
    await using world = new ProcessWorld();
    const { servers, node, client, pool } = await borrowing(world, { servers: 3, replicas: 2 });
    await first(servers).kill();
    expect(await countRight(pool, PAGES)).toBe(PAGES);
    // Pages that lost a copy get another one, so the next holder may die, too.
    await logged(node, /member "n0" is dead/);
    await until("copies are made", async () => (await counter(client, "copies_repaired")) > 0);
    await atRest(client);
    // Some pages have come home, where compaction has made room.
    const { counters } = await client.stats();
    expect(counters.remote_copies).toBe(2 * (counters.remote_pers_pages ?? 0));
    expect(counters.remote_pers_pages).toBeGreaterThan(1000);
    await servers[1]?.kill();
    expect(await countRight(pool, PAGES)).toBe(PAGES);
    expect(await counter(client, "remote_pers_pages_lost")).toBe(0);
    expect(await node.stop()).toBe(0);
  },
  TEST_MS,
);

test(
  "scenario 9: a holder that returns empty costs a copy, and gets its share again",
  async () => {
    await using world = new ProcessWorld();
    const { servers, client, pool } = await borrowing(world, { servers: 2, replicas: 2 });
    const killed = servers[1] as NodeProcess;
    await killed.kill();
    const back = await startServer(world, 1, first(servers), `--gossip=${killed.gossip}`);
    await until("its copies are known to be lost", async () => {
      return (await counter(client, "copies_lost")) > 1000;
    });
    expect(await countRight(pool, PAGES)).toBe(PAGES);
    const holder = await world.connect(back);
    await until("it has all of them again", async () => {
      const pages = await counter(client, "remote_pers_pages");
      return pages > 1000 && (await counter(holder, "foreign_pers_pages")) === pages;
    });
    expect(await counter(client, "remote_pers_pages_lost")).toBe(0);
  },
  TEST_MS,
);

test(
  "scenario 10: an owner is killed, and its foreign pages are purged when it returns",
  async () => {
    await using world = new ProcessWorld();
    const { servers, node } = await borrowing(world, { servers: 2, replicas: 2 });
    const holders = await Promise.all(servers.map((server) => world.connect(server)));
    for (const it of holders) expect(await counter(it, "foreign_pers_pages")).toBeGreaterThan(0);
    await node.kill();
    const join = [`--gossip=${node.gossip}`, `--join=${first(servers).gossip}`];
    const again = await world.start("node", 2, [...OWNS, ...join]);
    for (const it of holders) {
      await until("its old pages are gone", async () => {
        return (await counter(it, "foreign_pers_pages")) === 0;
      });
    }
    const pool = await (await world.connect(again)).newPool({ persistent: true });
    expect(await fill(pool, PAGES)).toBe(PAGES);
    expect(await countRight(pool, PAGES)).toBe(PAGES);
  },
  TEST_MS,
);

test(
  "scenario 11: a node goes on while its link is down, and moves pages again once it is up",
  async () => {
    await using world = new ProcessWorld();
    const detour = new Detour(new SeededRandom(1), { loss: 0, delayMs: 0 });
    world.onEnd(() => detour.close());
    const way = await detour.addNode(0);
    const server = await world.start("server", 0, [...way.flags, LENDS]);
    const wires = [`--peers=0@${way.pages}`, "--target=0", "--request-timeout=500ms"];
    const node = await world.start("node", 1, [...OWNS, ...wires]);
    detour.pids.set(0, server.pid);
    detour.pids.set(1, node.pid);
    const client = await world.connect(node);
    const pool = await client.newPool({ persistent: true });
    expect(await fill(pool, PAGES)).toBe(PAGES);
    await atRest(client);

    detour.relay.partition([0], [1]);
    const remoted = await counter(client, "pers_pages_remoted");
    const extra = await client.newPool({ persistent: true });
    const puts = await extra.putMany(keys(200).map((key) => ({ ...key, page: pageOf(key.index) })));
    const stored = puts.filter((put) => put.stored).length;
    expect(stored).toBeGreaterThan(0);
    for (let number = 0; number < 200; number += 1) {
      if (puts[number]?.stored !== true) continue;
      expect(isPage(await extra.get(OID, number), number)).toBe(true);
    }
    await until("no frame stays a zombie", async () => {
      return (await counter(client, "pers_zombie_count")) === 0;
    });
    expect(await counter(client, "pers_pages_remoted")).toBe(remoted);

    detour.relay.heal();
    await until("pages move again", async () => {
      await fill(extra, 400);
      return (await counter(client, "pers_pages_remoted")) > remoted;
    });
    expect(await countRight(pool, PAGES)).toBe(PAGES);
  },
  TEST_MS,
);

test(
  "scenario 12: the target changes to another node, and to none, while a node runs",
  async () => {
    await using world = new ProcessWorld();
    const { servers, client, pool } = await borrowing(world, { servers: 2, replicas: 1 });
    const holders = await Promise.all(servers.map((server) => world.connect(server)));
    const foreignPages = () => Promise.all(holders.map((it) => counter(it, "foreign_pers_pages")));
    await client.setKnob("remote_target_nodenum", String(holders[1]?.nodeNumber));
    const [before = 0] = await foreignPages();
    const more = await client.newPool({ persistent: true });
    expect(await fill(more, PAGES)).toBe(PAGES);
    await atRest(client);
    const [there = 0, target = 0] = await foreignPages();
    expect(there).toBe(before);
    expect(target).toBeGreaterThan(PAGES / 2);
    expect(await client.setKnob("remote_target_nodenum", "none")).toBe("none");
    const none = await client.newPool({ persistent: true });
    await fill(none, PAGES);
    expect(await foreignPages()).toEqual([there, target]);
    await none.destroy();
    expect(await countRight(pool, PAGES)).toBe(PAGES);
    expect(await countRight(more, PAGES)).toBe(PAGES);
  },
  TEST_MS,
);

test(
  "scenario 13: pages that compress to the last bytes of a frame, or not at all, come back",
  async () => {
    await using world = new ProcessWorld();
    const server = await world.start("server", 0, [LENDS]);
    const limits = ["--pers-zpage-max=4000", "--pers-zpage-mean=4000"];
    const wires = [`--peers=0@${server.listen}`, "--target=0"];
    const node = await world.start("node", 1, [...OWNS, ...wires, ...limits]);
    const client = await world.connect(node);
    const pool = await client.newPool({ persistent: true, storeWhole: true });
    const classes = ["near-limit", "incompressible"] as const;
    const pages = Buffer.concat(classes.map((name) => loadPageClass(name).pages));
    const count = Math.floor(pages.byteLength / PAGE_BYTES);
    const pageAt = (number: number): Uint8Array => {
      const at = (number % count) * PAGE_BYTES;
      return pages.subarray(at, at + PAGE_BYTES);
    };
    const all = keys(1000);
    const puts = await pool.putMany(all.map((key) => ({ ...key, page: pageAt(key.index) })));
    expect(puts.every((put) => put.stored)).toBe(true);
    await atRest(client);
    expect(await counter(client, "remote_pers_pages")).toBeGreaterThan(500);
    const got = await pool.getMany(all);
    const right = got.filter((page, i) => page !== null && Buffer.compare(page, pageAt(i)) === 0);
    expect(right.length).toBe(1000);
  },
  TEST_MS,
);

test(
  "scenario 14: owner and holders shut down cleanly while pages are away",
  async () => {
    await using world = new ProcessWorld();
    const { servers, node, client, pool } = await borrowing(world, { servers: 3, replicas: 1 });
    expect(await first(servers).stop()).toBe(0);
    expect(first(servers).stderr.join("\n")).toMatch(/all \d+ pages of other nodes have left: /);
    expect(await countRight(pool, PAGES)).toBe(PAGES);
    expect(await counter(client, "remote_pers_pages_lost")).toBe(0);
    expect(await node.stop()).toBe(0);
    for (const server of servers.slice(1)) {
      const holder = await world.connect(server);
      await until("nothing is held for an owner that has left", async () => {
        return (await counter(holder, "foreign_pers_pages")) === 0;
      });
      expect(await server.stop()).toBe(0);
    }
  },
  TEST_MS,
);
