import { expect, test } from "bun:test";
import { BarePeer, frameBytes } from "../../harness/sim/channel-pair.ts";
import { fillTestPage, SimCluster } from "../../harness/sim/cluster.ts";
import { drive } from "../../harness/sim/drive.ts";
import type { Client } from "../client/client.ts";
import type { PageError } from "../client/errors.ts";
import { connect } from "../client/on-bun.ts";
import type { Pool } from "../client/pool.ts";
import { HANDSHAKES_MAX } from "../core/admission-limits.ts";
import type { Oid } from "../core/handle.ts";
import { CLIENT_BUFFERS_BYTES_MAX, CLIENT_GET_COUNT_MAX, PAGE_BYTES } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { type Address, formatAddress } from "../net/address.ts";
import type { NodeConfig } from "../node/config.ts";
import { PAGE_GET_ENTRY_BYTES } from "../wire/client-entries.ts";
import { clientHello, encodeHello, HELLO_BYTES_MAX, ROLE } from "../wire/handshake.ts";
import { MESSAGE } from "../wire/messages.ts";

const MIB = 1024 * 1024;
const DOOR: Address = { kind: "tcp", host: "10.0.0.0", port: 7778 };
const OID: Oid = [1n, 2n, 3n];

interface World {
  sim: SimCluster;
  client: Client;
  /** Waits for a promise of the client. */
  wait<T>(promise: Promise<T>): Promise<T>;
}

async function world(settings: Partial<NodeConfig> = {}): Promise<World> {
  const sim = new SimCluster(3);
  const owner = { clients: [DOOR], target: 1, lendBytes: 0, ...settings };
  await sim.start([owner, { lendBytes: 64 * MIB }]);
  const wait = <T>(promise: Promise<T>): Promise<T> => drive(sim.clock, promise);
  return { sim, client: await wait(newClient(sim)), wait };
}

function newClient(sim: SimCluster, host = "program"): Promise<Client> {
  const transport = sim.network.transport(host);
  const environment = {
    clock: sim.clock,
    transport,
    memory: new HeapMemory(),
    random: new SeededRandom(1),
  };
  return connect(`tcp:${formatAddress(DOOR)}`, {}, environment);
}

function pageOf(number: number, generation = 1): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  fillTestPage(page, 0, 0, number, generation);
  return page;
}

/** Puts pages 0 .. count - 1 under OID. */
async function putMany(pool: Pool, count: number, generation = 1): Promise<number> {
  const entries = Array.from({ length: count }, (_, index) => {
    return { oid: OID, index, page: pageOf(index, generation) };
  });
  const results = await pool.putMany(entries);
  return results.filter((result) => result.stored).length;
}

const keys = (count: number) => Array.from({ length: count }, (_, index) => ({ oid: OID, index }));

test("a program puts, gets and flushes pages, one at a time and in batches", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  expect(await wait(pool.put(OID, 7, pageOf(7)))).toEqual({ stored: true });
  expect(await wait(pool.get(OID, 7))).toEqual(pageOf(7));
  expect(await wait(pool.get(OID, 8))).toBeNull();
  expect(await wait(pool.get(OID, 7, { remove: "always" }))).toEqual(pageOf(7));
  expect(await wait(pool.get(OID, 7))).toBeNull();
  expect(await wait(putMany(pool, 700))).toBe(700); // More than one message.
  const pages = await wait(pool.getMany(keys(701)));
  expect(pages.map((page, i) => page !== null && Buffer.compare(page, pageOf(i)) === 0)).toEqual(
    keys(701).map((_, i) => i < 700),
  );
  expect(await wait(pool.flushPage(OID, 3))).toBe(true);
  expect(await wait(pool.flushPage(OID, 3))).toBe(false);
  expect(await wait(pool.flushObject(OID))).toBe(true);
  expect(await wait(pool.get(OID, 5))).toBeNull();
  await wait(pool.put(OID, 1, pageOf(1)));
  await wait(pool.flush());
  expect(await wait(pool.get(OID, 1))).toBeNull();
  await wait(pool.destroy());
  const gone = { code: "POOL_GONE" };
  await expect(wait(pool.put(OID, 1, pageOf(1)))).rejects.toMatchObject(gone);
  await expect(wait(pool.get(OID, 1))).rejects.toMatchObject(gone);
  await expect(wait(pool.destroy())).rejects.toMatchObject(gone);
  await wait(client.close());
  await sim.stop();
});

test("pages that went to the holder come back through the door", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  expect(await wait(putMany(pool, 10))).toBe(10);
  expect((await wait(client.stats())).counters.client_puts_waited).toBe(0);
  // Eight times the memory: the puts wait and are not refused.
  expect(await wait(putMany(pool, 2000))).toBe(2000);
  const stats = await wait(client.stats());
  expect(stats.counters["remote_pers_pages"]).toBeGreaterThan(1000);
  expect(stats.peers[0]?.remote_pages).toBe(stats.counters["remote_pers_pages"] ?? -1);
  expect(stats.counters.client_puts_waited).toBeGreaterThan(0);
  const pages = await wait(pool.getMany(keys(2000)));
  for (const [i, page] of pages.entries()) {
    expect(page !== null && Buffer.compare(page, pageOf(i)) === 0).toBe(true);
  }
  await sim.stop();
});

test("a put that finds no frame waits at most put-wait and is then refused with its reason", async () => {
  const { sim, client, wait } = await world({ target: null, putWaitMs: 500 });
  const pool = await wait(client.newPool({ persistent: true }));
  const stored = await wait(putMany(pool, 2000));
  expect(stored).toBeLessThan(2000);
  const result = await wait(pool.put(OID, 5000, pageOf(5000)));
  expect(result).toEqual({ stored: false, reason: "no_room" });
  sim.node(0).verify();
  await sim.stop();
});

test("puts wait for a holder that stalls, and no longer than put-wait", async () => {
  const { sim, client, wait } = await world({ putWaitMs: 20_000 });
  expect(await wait(client.setKnob("put_wait_ms", "300"))).toBe("300");
  const pool = await wait(client.newPool({ persistent: true }));
  expect(await wait(putMany(pool, 1000))).toBe(1000);
  sim.network.block(sim.node(0).host, sim.node(1).host);
  const before = sim.clock.now();
  const stored = await wait(putMany(pool, 2000, 2));
  expect(stored).toBeLessThan(2000);
  expect(sim.clock.now() - before).toBeLessThan(8 * 300 + 2000);
  sim.node(0).verify();
  await sim.stop();
});

test("a lost page throws an error that names it and has the other pages", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  await wait(putMany(pool, 1500));
  sim.node(1).crash();
  await sim.node(1).restart();
  const error = (await wait(pool.getMany(keys(1500)).catch((e: unknown) => e))) as PageError;
  expect(error).toMatchObject({ name: "PageError", code: "LOST" });
  expect(error.message).toMatch(/^Cannot get page "0\/1\.2\.3\/\d+": it is lost$/);
  expect(error.results.length).toBe(1500);
  expect(error.results.some((result) => result instanceof Uint8Array)).toBe(true);
  await sim.stop();
});

test("a page of another size, an oid or an index out of range never leaves the program", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  const page = pageOf(1);
  const bad = { code: "BAD_CONFIG" };
  await expect(wait(pool.put(OID, 1, page.slice(1)))).rejects.toMatchObject(bad);
  await expect(wait(pool.put([1n, 2n, -3n], 1, page))).rejects.toMatchObject(bad);
  await expect(wait(pool.put([1n, 2n ** 64n, 3n], 1, page))).rejects.toMatchObject(bad);
  await expect(wait(pool.put(OID, 2 ** 32, page))).rejects.toMatchObject(bad);
  await expect(wait(pool.get(OID, 1.5))).rejects.toMatchObject(bad);
  expect(await wait(pool.put(OID, 1, page))).toEqual({ stored: true });
  await sim.stop();
});

test("knobs: no name from outside means a property of every object", async () => {
  const { sim, client, wait } = await world();
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "nonsense"]) {
    const unknown = {
      code: "UNKNOWN_SETTING",
      message: expect.stringContaining(`Cannot find setting "${name}"`),
    };
    await expect(wait(client.getKnob(name))).rejects.toMatchObject(unknown);
    await expect(wait(client.setKnob(name, "1"))).rejects.toMatchObject(unknown);
  }
  await sim.stop();
});

test("a client that asks for many reports at once gets one a turn", async () => {
  const { sim, client, wait } = await world();
  const { admin } = sim.node(0).node;
  let most = 0;
  let inTurn = 0;
  const noteReport = (): void => {
    if (inTurn === 0) {
      sim.clock.soon(() => {
        inTurn = 0;
      });
    }
    inTurn += 1;
    most = Math.max(most, inTurn);
  };
  const { getKnob, statsPart } = admin;
  admin.getKnob = (name) => {
    noteReport();
    return getKnob.call(admin, name);
  };
  admin.statsPart = (from) => {
    noteReport();
    return statsPart.call(admin, from);
  };
  const pending = Array.from({ length: 40 }, (_, i) => {
    return i % 2 === 0 ? client.getKnob("replicas") : client.stats().then(() => "1");
  });
  expect(await wait(Promise.all(pending))).toHaveLength(40);
  expect(most).toBe(1);
  await sim.stop();
});

test("knobs: the target can be changed and unset; a refusal has a reason", async () => {
  const { sim, client, wait } = await world({ lendBytes: MIB });
  expect(await wait(client.getKnob("remote_target_nodenum"))).toBe("1");
  expect(await wait(client.setKnob("remote_target_nodenum", "none"))).toBe("none");
  expect(sim.node(0).node.ramster.target).toBeNull();
  for (const [name, value, why] of [
    ["remote_target_nodenum", "0", "it is this node"],
    ["remote_target_nodenum", "9", "not one of the peers"],
    ["remote_target_nodenum", "x", "it takes a node"],
    ["pers_remotify_enable", "yes", "it takes 0 or 1"],
    ["peers", "0@a:1", "node 0 is this node"],
    ["peers", "2@a", 'Cannot set "peers" to "2@a": no port, write "HOST:PORT"'],
    ["manual_node_up", "9", "not one of the peers"],
    ["remote_pers_pages", "0", "it can only be read"],
    ["high_mark_percent", "10", "it must not be below low_mark_percent, which is 80"],
    ["low_mark_percent", "95", "it must not be above high_mark_percent, which is 90"],
    ["high_mark_percent", "0", "it takes a number from 1 to 100"],
    ["quota_pages", "-1", "it takes a number"],
    ["log", "net=loud", "write LEVEL or AREA=LEVEL"],
  ] as const) {
    const message = expect.stringContaining(why);
    await expect(wait(client.setKnob(name, value))).rejects.toMatchObject({
      code: "REFUSED",
      message,
    });
  }
  await sim.stop();
});

test("knobs: those of lenders are refused with a reason on a node that lends nothing", async () => {
  const { sim, client, wait } = await world({ lendBytes: 0 });
  for (const name of ["reserve", "quota_pages"]) {
    expect(await wait(client.getKnob(name))).toBe("none");
    await expect(wait(client.setKnob(name, "none"))).rejects.toMatchObject({
      message: expect.stringContaining("this node lends no memory: it takes a server, or"),
    });
  }
  await sim.stop();
});

test("knobs: a value that is set is in force, and is read back", async () => {
  const { sim, client, wait } = await world({ lendBytes: MIB });
  const { ramster, foreign, links } = sim.node(0).node;
  for (const [name, value] of [
    ["low_mark_percent", "20"],
    ["high_mark_percent", "30"],
    ["quota_pages", "7"],
    ["log", "cluster=info,net=debug,ramster=info,doors=info"],
  ] as const) {
    expect(await wait(client.setKnob(name, value))).toBe(value);
    expect(await wait(client.getKnob(name))).toBe(value);
  }
  const { budget } = ramster.zcache;
  expect(budget.isOverHigh(Math.ceil(budget.frameCountMax * 0.31))).toBe(true);
  expect(foreign?.pagesPerOwnerMax).toBe(7);
  expect(await wait(client.setKnob("quota_pages", "none"))).toBe("none");
  links.unwant(1);
  await wait(client.setKnob("manual_node_up", "1"));
  sim.until("the link is up", () => links.channelOf(1) !== null);
  expect(await wait(client.getKnob("manual_node_up"))).toBe("1");
  expect(await wait(client.getKnob("interface_revision"))).toBe("1");
  await sim.stop();
});

test("no more programs than --max-clients are connected at once", async () => {
  const { sim, client, wait } = await world({ maxClients: 2 });
  const second = await wait(newClient(sim, "second"));
  const refused = { message: expect.stringContaining("more than 2 clients") };
  await expect(wait(newClient(sim, "third"))).rejects.toMatchObject(refused);
  expect(await wait(client.setKnob("max_clients", "3"))).toBe("3");
  const third = await wait(newClient(sim, "third"));
  // With a lower bound, connected clients stay.
  expect(await wait(client.setKnob("max-clients", "1"))).toBe("1");
  expect(await wait(third.getKnob("max_clients"))).toBe("1");
  await wait(second.close());
  await wait(third.close());
  await expect(wait(newClient(sim, "fourth"))).rejects.toMatchObject({
    message: expect.stringContaining("more than 1 clients"),
  });
  await wait(client.close());
  await wait(newClient(sim, "fourth"));
  await sim.stop();
});

/** A connection of raw bytes to the door. */
function bare(sim: SimCluster): BarePeer {
  const peer = new BarePeer();
  sim.network.transport("stranger").connect(DOOR, peer);
  sim.until("connected", () => peer.stream !== null);
  return peer;
}

function helloBytes(role: number, pageBytes = PAGE_BYTES): Uint8Array {
  const body = new Uint8Array(HELLO_BYTES_MAX);
  const hello = { ...clientHello(), role, pageBytes };
  const bodyBytes = encodeHello(hello, new DataView(body.buffer), 0);
  return frameBytes({ type: MESSAGE.HELLO, request: 1024, body: body.slice(0, bodyBytes) });
}

const HOSTILE: ReadonlyArray<readonly [string, () => Uint8Array, RegExp]> = [
  [
    "another protocol",
    () => new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    /magic/,
  ],
  [
    "another version",
    () => {
      const bytes = helloBytes(ROLE.CLIENT);
      bytes[2] = 99;
      return bytes;
    },
    /protocol version is 99/,
  ],
  [
    "a length of 4 GiB",
    () => frameBytes({ type: MESSAGE.HELLO, request: 1024, declared: 0xffff_ffff }),
    /4294967295/,
  ],
  ["another page size", () => helloBytes(ROLE.CLIENT, 16384), /page size is 16384 there/],
  ["a peer at the client door", () => helloBytes(ROLE.PEER), /for clients/],
  ["no HELLO", () => frameBytes({ type: MESSAGE.STATS, request: 1024 }), /must be HELLO/],
  [
    "a put that is cut short",
    () => {
      const body = new Uint8Array(100);
      const put = frameBytes({ type: MESSAGE.PAGE_PUT, request: 2048, count: 1, body });
      return new Uint8Array([...helloBytes(ROLE.CLIENT), ...put]);
    },
    /body of 100 bytes for 1 entries/,
  ],
];

test.each(HOSTILE)("%s closes that connection with a reason and hurts no other", async (...row) => {
  const [, bytes, reason] = row;
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  await wait(pool.put(OID, 1, pageOf(1)));
  const stranger = bare(sim);
  stranger.send(bytes());
  sim.until("closed", () => stranger.closedFor !== null);
  expect(stranger.text).toMatch(reason);
  expect(await wait(pool.get(OID, 1))).toEqual(pageOf(1));
  expect(sim.node(0).node.door.clientCount).toBe(1);
  await sim.stop();
});

test("a client that vanishes in the middle of a frame loses nothing that was stored", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  const second = await wait(newClient(sim, "doomed"));
  const opened = await wait(second.openPool(pool.id, await wait(pool.token())));
  await wait(opened.put(OID, 1, pageOf(1)));
  sim.network.cutAfter("doomed", sim.node(0).host, 6000);
  const failure = await wait(putMany(opened, 10, 2).catch((error: unknown) => error));
  expect(failure).toMatchObject({ code: "CLOSED" });
  expect(await wait(pool.get(OID, 1))).toEqual(pageOf(1));
  sim.until("forgotten", () => sim.node(0).node.door.clientCount === 1);
  sim.node(0).verify();
  await sim.stop();
});

test("a client that vanishes while its pages are fetched, or its puts wait, leaves nothing behind", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  await wait(putMany(pool, 1500));
  const second = await wait(newClient(sim, "doomed"));
  const opened = await wait(second.openPool(pool.id, await wait(pool.token())));
  const pending = opened.getMany(keys(256)).catch((error: unknown) => error);
  const puts = putMany(opened, 2000, 2).catch((error: unknown) => error);
  sim.run(3);
  sim.network.crash("doomed");
  expect(await wait(pending)).toBeInstanceOf(Error);
  expect(await wait(puts)).toBeInstanceOf(Error);
  await wait(pool.flush());
  const quiet = (): boolean => sim.node(0).counter("fetches_in_flight") === 0;
  sim.until("nothing is under way", quiet);
  sim.node(0).verify();
  expect(sim.node(0).counter("frames_used")).toBe(0);
  await sim.stop();
});

test("a request does not overtake earlier ones that wait for room", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  const many = putMany(pool, 1500); // 6 MiB: more than the lane of the channel takes at once.
  const again = pool.put(OID, 1499, pageOf(1499, 2));
  expect(await wait(many)).toBe(1500);
  expect(await wait(again)).toEqual({ stored: true });
  expect(await wait(pool.get(OID, 1499))).toEqual(pageOf(1499, 2));
  await sim.stop();
});

test("close() may be called twice, and both end", async () => {
  const { sim, client, wait } = await world();
  await wait(Promise.all([client.close(), client.close()]));
  await wait(client.close());
  await sim.stop();
});

test("the next client with the token of a pool can use it", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  await wait(pool.put(OID, 1, pageOf(1)));
  const token = await wait(pool.token());
  expect(await wait(pool.token())).toBe(token);
  await wait(client.close());
  const next = await wait(newClient(sim));
  const opened = await wait(next.openPool(pool.id, token));
  expect(await wait(opened.get(OID, 1))).toEqual(pageOf(1));
  expect(await wait(opened.token())).toBe(token);
  await sim.stop();
});

test("a pool is opened by its own token and no other, and the refusal does not show one", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  const other = await wait(client.newPool({ persistent: true }));
  const [token, another] = [await wait(pool.token()), await wait(other.token())];
  expect(another).not.toBe(token);
  const next = await wait(newClient(sim));
  const wrong = `${token.startsWith("0") ? "1" : "0"}${token.slice(1)}`;
  for (const [id, text] of [
    [pool.id, another],
    [pool.id, wrong],
    [200, token],
    [60_000, token],
  ] as const) {
    const refused = await wait(next.openPool(id, text).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: "REFUSED" });
    expect(String(refused)).not.toContain(text);
  }
  for (const [id, text] of [
    [-1, token],
    [pool.id, "0x12"],
    [pool.id, token.slice(2)],
  ] as const) {
    const refused = await wait(next.openPool(id, text).catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: "BAD_CONFIG" });
  }
  await sim.stop();
});

test("a silent client is closed at the deadline of the handshake", async () => {
  const { sim } = await world();
  const stranger = bare(sim);
  sim.run(10_000);
  expect(stranger.text).toMatch(/no HELLO within/);
  expect(sim.node(0).node.door.clientCount).toBe(1);
  await sim.stop();
});

test("the oldest of too many silent connections are closed, and a program gets in meanwhile", async () => {
  const { sim, wait } = await world();
  const strangers = Array.from({ length: 2 * HANDSHAKES_MAX }, () => new BarePeer());
  for (const [i, it] of strangers.entries()) {
    sim.network.transport(`stranger${i}`).connect(DOOR, it);
  }
  sim.run(100);
  const open = strangers.filter((it) => it.closedFor === null);
  expect(open).toHaveLength(HANDSHAKES_MAX);
  const late = await wait(newClient(sim));
  expect((await wait(late.newPool({ persistent: true }))).id).toBe(0);
  expect(strangers.filter((it) => it.closedFor === null)).toHaveLength(HANDSHAKES_MAX - 1);
  await sim.stop();
});

test("more gets in flight than a reply lane holds are all answered, to a client that reads slowly", async () => {
  const { sim, client, wait } = await world();
  const pool = await wait(client.newPool({ persistent: true }));
  await wait(putMany(pool, 1000));
  // 40 batches of 256 pages are ten times LANE_BYTES_MAX, and more than the network's small pipes.
  const batches = Array.from({ length: 40 }, () => pool.getMany(keys(256)));
  for (const pages of await wait(Promise.all(batches))) {
    expect(pages.every((page, i) => page !== null && Buffer.compare(page, pageOf(i)) === 0)).toBe(
      true,
    );
  }
  await sim.stop();
});

/** A PAGE_GET of 256 pages of pool 0 under OID. */
function getBytes(request: number): Uint8Array {
  const body = new Uint8Array(CLIENT_GET_COUNT_MAX * PAGE_GET_ENTRY_BYTES);
  const view = new DataView(body.buffer);
  for (let index = 0; index < CLIENT_GET_COUNT_MAX; index += 1) {
    const at = index * PAGE_GET_ENTRY_BYTES;
    for (const [i, word] of OID.entries()) view.setBigUint64(at + 8 * i, word);
    view.setUint32(at + 24, index);
  }
  return frameBytes({ type: MESSAGE.PAGE_GET, request, count: CLIENT_GET_COUNT_MAX, body });
}

const HOARDERS: ReadonlyArray<readonly [string, () => Uint8Array[]]> = [
  ["take none of their replies", () => [1025, 1026, 1027].map(getBytes)],
  [
    "send the first bytes of a long request",
    () => [frameBytes({ type: MESSAGE.PAGE_PUT, request: 1025, count: 200, declared: 830_000 })],
  ],
];

test.each(HOARDERS)(
  "clients that %s take bounded memory, and others are served",
  async (...row) => {
    const [, requests] = row;
    const { sim, client, wait } = await world();
    const pool = await wait(client.newPool({ persistent: true }));
    await wait(putMany(pool, CLIENT_GET_COUNT_MAX));
    const { door } = sim.node(0).node;
    for (let i = 0; i < 200; i += 1) {
      const peer = bare(sim);
      peer.stream?.pause();
      peer.send(helloBytes(ROLE.CLIENT), ...requests());
      sim.run(20);
      expect(door.bufferBytes).toBeLessThan(2 * CLIENT_BUFFERS_BYTES_MAX + 4 * MIB);
    }
    expect(door.bufferBytes).toBeGreaterThan(CLIENT_BUFFERS_BYTES_MAX / 4);
    const pages = await wait(pool.getMany(keys(CLIENT_GET_COUNT_MAX)));
    expect(pages.every((page, i) => Buffer.compare(page ?? Buffer.of(), pageOf(i)) === 0)).toBe(
      true,
    );
    await sim.stop();
    expect(door.bufferBytes).toBe(0);
  },
);
