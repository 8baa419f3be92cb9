/** Greedy, slow and silent clients of the NBD door, beside others. */
import { expect, test } from "bun:test";
import {
  BareClient,
  BLOCK_STATUS,
  bytesOf,
  DISC,
  option,
  request,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from "../../harness/nbd/bare-client.ts";
import { DISK, NBD, read, DoorWorld as World } from "../../harness/nbd/door-world.ts";
import { ADMISSION_SHARE_PART, NBD_HANDSHAKES_MAX } from "../core/admission-limits.ts";
import { NBD_CONNECTIONS_MAX, NBD_RANGE_LOCKS_MAX, PAGE_BYTES } from "../core/limits.ts";

const MIB = 1024 * 1024;

test("a client with many requests leaves others their turns", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  const { counters } = world.door;
  const before = counters.nbd_requests;
  client.onData = () => {};
  const it = { type: BLOCK_STATUS, offset: 0, length: DISK.byteCount, cookie: 1n };
  client.send(bytesOf(...Array.from({ length: 200 }, () => request(it))));
  world.sim.clock.runUntil(() => counters.nbd_requests > before, 1000);
  expect(counters.nbd_requests - before).toBeLessThan(5);
  world.sim.clock.runUntil(() => counters.nbd_requests === before + 200, 1000);
  expect(counters.nbd_requests - before).toBe(200);
  await world.stop();
});

test("many large requests have their slices a few at a time", async () => {
  const world = await World.start({ exports: [{ ...DISK, byteCount: 2 ** 32 }] });
  const client = await world.connect();
  const zeroes = { type: WRITE_ZEROES, flags: 2, length: 64 * MIB, cookie: 1n };
  client.onData = () => {};
  for (let i = 0; i < 64; i += 1) client.send(request({ ...zeroes, offset: i * 64 * MIB }));
  const { counters } = world.door;
  const { clock } = world.sim;
  let [before, most] = [0, 0];
  while (counters.frontswap_succ_stores < 100_000 && clock.step()) {
    most = Math.max(most, counters.frontswap_succ_stores - before);
    before = counters.frontswap_succ_stores;
  }
  expect(world.door.waitingCount).toBeGreaterThan(20);
  expect(most).toBeLessThan(2000);
  await world.stop();
});

test("a client has one change at a time while very many changes wait for each other", async () => {
  const world = await World.start();
  const { sim } = world;
  const clients = await Promise.all(Array.from({ length: 8 }, () => world.connect()));
  const [first] = clients as [BareClient];
  await world.fill(first);
  // All wait for a change that waits for a page that is away.
  sim.network.block(sim.node(1).host, sim.node(0).host);
  const most = NBD_RANGE_LOCKS_MAX + clients.length;
  const replies = [first.ask({ type: WRITE_ZEROES, offset: 1, length: 16 * MIB - 1 })];
  sim.clock.runUntil(() => world.door.waitingCount === 1, 1000);
  for (const [i, client] of clients.entries()) {
    for (let page = 0; page < 480; page += 1) {
      const offset = (i * 480 + page) * PAGE_BYTES;
      replies.push(client.ask({ type: TRIM, offset, length: PAGE_BYTES }));
    }
  }
  sim.clock.runUntil(() => false, 1000);
  expect(world.door.waitingCount).toBeGreaterThan(NBD_RANGE_LOCKS_MAX);
  expect(world.door.waitingCount).toBeLessThanOrEqual(most);
  sim.network.unblock(sim.node(1).host, sim.node(0).host);
  const errors = (await world.wait(Promise.all(replies))).map(({ error }) => error);
  expect(errors).toEqual(replies.map(() => 0));
  await world.stop();
});

/** Connections without an export that one host may have. */
const SHARE = NBD_HANDSHAKES_MAX / ADMISSION_SHARE_PART;

test("the oldest of too many connections without an export are closed", async () => {
  const world = await World.start();
  const clients = Array.from({ length: 300 }, () => {
    const client = new BareClient();
    world.sim.network.transport("many").connect(NBD, client);
    return client;
  });
  const closed = (): number => clients.filter((it) => it.isClosed).length;
  world.sim.clock.runUntil(() => closed() >= 300 - SHARE, 5000);
  expect(closed()).toBe(300 - SHARE);
  expect(world.door.counters.nbd_connections_refused).toBe(300 - SHARE);
  const open = clients.find((it) => !it.isClosed) as BareClient;
  await world.wait(open.negotiate({ form: "structured" }));
  expect((await world.wait(open.ask(read(0, 10)))).error).toBe(0);
  await world.stop();
});

test("clients beyond the bound are refused, and the others are served", async () => {
  const world = await World.start();
  const clients: BareClient[] = [];
  for (let i = 0; i < NBD_CONNECTIONS_MAX; i += 1) clients.push(await world.connect());
  const late = new BareClient();
  world.sim.network.transport("late").connect(NBD, late);
  world.sim.clock.runUntil(() => late.isClosed, 1000);
  expect(late.isClosed).toBe(true);
  for (const it of clients.slice(-3)) expect((await world.wait(it.ask(read(0, 9)))).error).toBe(0);
  await world.stop();
});

test("clients that stop within a large write do not keep its memory for ever", async () => {
  const world = await World.start({ exports: [{ ...DISK, byteCount: 64 * MIB }] });
  const stopped = await Promise.all(Array.from({ length: 8 }, () => world.connect()));
  const long = { type: WRITE, offset: 0, length: 32 * MIB, cookie: 1n };
  for (const client of stopped) client.send(bytesOf(request(long), new Uint8Array(MIB)));
  const client = await world.connect();
  const reply = await world.wait(client.ask(read(0, 2 * MIB)));
  expect(reply.error).toBe(0);
  expect(stopped.filter((it) => it.isClosed).length).toBeGreaterThan(0);
  expect(client.isClosed).toBe(false);
  await world.stop();
});

test("time in which the node itself did not run counts against no client", async () => {
  const world = await World.start({ exports: [{ ...DISK, byteCount: 64 * MIB }] });
  const { sim } = world;
  const client = await world.connect();
  await world.fill(client);
  const within = await Promise.all(Array.from({ length: 8 }, () => world.connect()));
  const long = { type: WRITE, offset: 32 * MIB, length: 32 * MIB, cookie: 1n };
  for (const it of within) it.send(bytesOf(request(long), new Uint8Array(MIB)));
  const waiting = await world.connect();
  const reply = waiting.ask(read(0, 2 * MIB));
  sim.network.block(sim.node(1).host, sim.node(0).host);
  const pages = Array.from({ length: 16 }, (_, i) => client.ask(read(i * 64 * PAGE_BYTES, 1)));
  sim.clock.runUntil(() => false, 1000);
  sim.node(0).pause(60_000);
  sim.clock.runUntil(() => false, 60_500);
  sim.network.unblock(sim.node(1).host, sim.node(0).host);
  expect(within.filter((it) => it.isClosed)).toEqual([]);
  for (const it of within) it.stream?.terminate();
  expect((await world.wait(reply)).error).toBe(0);
  const errors = (await world.wait(Promise.all(pages))).map(({ error }) => error);
  expect(errors).toEqual(pages.map(() => 0));
  await world.stop();
});

test("requests before DISC are answered, even if their holder takes seconds", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  const { sim } = world;
  sim.network.block(sim.node(1).host, sim.node(0).host);
  const pages = Array.from({ length: 64 }, (_, i) => client.ask(read(i * 64 * PAGE_BYTES, 1)));
  client.send(request({ type: DISC, cookie: 1n, offset: 0, length: 0 }));
  sim.clock.runUntil(() => false, 4000);
  sim.network.unblock(sim.node(1).host, sim.node(0).host);
  const errors = (await world.wait(Promise.all(pages))).map(({ error }) => error);
  expect(errors).toEqual(pages.map(() => 0));
  sim.clock.runUntil(() => client.isClosed, 5000);
  expect(client.isClosed).toBe(true);
  await world.stop();
});

test("silent connections are closed for a new client, connections in use are not", async () => {
  const world = await World.start();
  const client = await world.connect();
  // The oldest connection stays in the handshake, and is not silent.
  const typing = new BareClient();
  world.sim.network.transport("typing").connect(NBD, typing);
  world.sim.clock.runUntil(() => typing.received.length > 0, 1000);
  const silent = Array.from({ length: 300 }, () => new BareClient());
  for (const it of silent) world.sim.network.transport("many").connect(NBD, it);
  for (let i = 0; i < 20; i += 1) {
    typing.send(i === 0 ? bytesOf([4, 3], option(3)) : option(3));
    world.sim.clock.runUntil(() => false, 500);
  }
  expect(world.door.connectionCount).toBe(2 + SHARE);
  const others = await Promise.all(Array.from({ length: 20 }, () => world.connect()));
  for (const it of [client, ...others]) {
    expect((await world.wait(it.ask(read(0, 9)))).error).toBe(0);
  }
  expect(typing.isClosed).toBe(false);
  expect(world.door.connectionCount).toBe(2 + SHARE + 20);
  await world.stop();
});

test("a client that gets no export is counted and logged, with the reason", async () => {
  const world = await World.start();
  const refused = async (...bytes: readonly Uint8Array[]): Promise<string> => {
    const client = new BareClient();
    const { log } = world.sim.node(0);
    const { length } = log;
    world.sim.network.transport("program").connect(NBD, client);
    for (const it of bytes) client.send(it);
    const isOver = (): boolean => client.isClosed && world.door.connectionCount === 0;
    world.sim.clock.runUntil(isOver, 60_000);
    const lines = log.slice(length).filter((line) => line.includes("Refused NBD client"));
    return lines.join("\n").replace(/.*NBD client "[^"]+": /, "");
  };
  const flags = bytesOf([4, 3]);
  const abort = option(2);
  const unknown = option(7, [4, 4], "none", [2, 0]);
  expect(await refused(flags, unknown, abort)).toBe('no export "none"');
  expect(await refused(flags, option(1, "none"))).toBe('no export "none"');
  expect(await refused(flags, option(5), abort)).toBe("TLS is not available: the node has no key");
  expect(await refused(bytesOf([4, 0xff]))).toBe("not an NBD client: unknown client flags");
  expect(await refused(flags, bytesOf("GET / HTTP/1.1\r\n"))).toBe(
    "not an NBD option: wrong magic number",
  );
  expect(await refused(flags)).toBe("no export chosen in time");
  expect(world.door.counters.nbd_connections_refused).toBe(6);
  // LIST and unknown options are not refusals.
  expect(await refused(flags, option(3), option(99), abort)).toBe("");
  expect(world.door.counters.nbd_connections_refused).toBe(6);
  await world.stop();
});
