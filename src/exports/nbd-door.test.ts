import { describe, expect, test } from "bun:test";
import {
  BareClient,
  type BareForm,
  type BareReply,
  BLOCK_STATUS,
  CACHE,
  FLUSH,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from "../../harness/nbd/bare-client.ts";
import {
  bytesFrom,
  DISK,
  NBD,
  read,
  DoorWorld as World,
  write,
} from "../../harness/nbd/door-world.ts";
import { SimCluster } from "../../harness/sim/cluster.ts";
import { drive } from "../../harness/sim/drive.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { STATUS } from "../core/status.ts";
import { ERRNO } from "../nbd/protocol.ts";

const MIB = 1024 * 1024;

test("pages that were never written read as zeros and cost nothing", async () => {
  const world = await World.start();
  const client = await world.connect("simple");
  const reply = await world.wait(client.ask(read(1234, 100_000)));
  expect(reply.error).toBe(0);
  expect(reply.data).toEqual(new Uint8Array(100_000));
  expect(world.door.stats()).toEqual([
    {
      name: "disk",
      latencies: {
        read: { counts: [expect.any(Number)], sum_us: expect.any(Number) },
        write: { counts: [], sum_us: 0 },
      },
      size_bytes: 16 * MIB,
      pages: 0,
      used_bytes: 0,
      swap_bytes: 0,
      stale_bytes: 0,
      connections: 1,
    },
  ]);
  await world.stop();
});

/** Random requests of any range, a few at a time, compared with plain bytes. */
async function compareWithModel(options: { form: BareForm; seed: number; steps: number }) {
  const { form, seed, steps } = options;
  const world = await World.start({}, seed);
  const random = new SeededRandom(seed);
  const clients = [await world.connect(form), await world.connect(form, "other")];
  const model = new Uint8Array(DISK.byteCount);
  for (let step = 0; step < steps; step += 1) {
    const replies: Array<Promise<void>> = [];
    // Disjoint ranges, so that the result does not depend on their order.
    let from = below(random, 20_000);
    for (const client of clients) {
      const isLong = below(random, 40) === 0;
      const length = 1 + below(random, isLong ? 3 * MIB : below(random, 2) === 0 ? 600 : 40_000);
      if (from + length > DISK.byteCount) break;
      replies.push(act(random, client, model, from, length));
      from += length + below(random, 3 * MIB);
    }
    await world.wait(Promise.all(replies));
  }
  const [client] = clients;
  if (client === undefined) throw new Error("nobody");
  for (let at = 0; at < DISK.byteCount; at += MIB) {
    const reply = await world.wait(client.ask(read(at, MIB)));
    expect(Buffer.compare(reply.data, model.subarray(at, at + MIB))).toBe(0);
  }
  const { counters } = world.sim.node(0);
  expect(counters.remote_pers_pages_succ_get).toBeGreaterThan(0);
  expect(world.door.counters.nbd_requests_waited).toBeGreaterThan(0);
  expect(world.door.waitingCount).toBe(0);
  await world.stop();
}

async function act(
  random: SeededRandom,
  client: BareClient,
  model: Uint8Array,
  offset: number,
  length: number,
): Promise<void> {
  const dice = below(random, 10);
  if (dice < 5) {
    const data = bytesFrom(random, length);
    model.set(data, offset);
    expect((await client.ask(write(offset, data))).error).toBe(0);
  } else if (dice < 6) {
    const type = below(random, 2) === 0 ? TRIM : WRITE_ZEROES;
    // TRIM frees only whole pages.
    const start = type === TRIM ? Math.ceil(offset / PAGE_BYTES) * PAGE_BYTES : offset;
    const stop = offset + length - (type === TRIM ? (offset + length) % PAGE_BYTES : 0);
    if (start < stop) model.fill(0, start, stop);
    const flags = type === WRITE_ZEROES ? (below(random, 2) === 0 ? 2 : 16) : 0;
    expect((await client.ask({ type, flags, offset, length })).error).toBe(0);
  } else if (dice < 7) {
    expect((await client.ask({ type: CACHE, offset, length })).error).toBe(0);
    expect((await client.ask({ type: FLUSH, offset: 0, length: 0 })).error).toBe(0);
  } else {
    const expected = model.slice(offset, offset + length);
    const { error, data } = await client.ask(read(offset, length));
    expect(error).toBe(0);
    expect(Buffer.compare(data, expected)).toBe(0);
  }
}

describe("any range, with pages here and away, is as plain memory", () => {
  test.each([1, 2, 3, 4])("structured replies, seed %d", async (seed) => {
    await compareWithModel({ form: "structured", seed, steps: 150 });
  });

  test.each([5, 6])("simple replies, seed %d", async (seed) => {
    await compareWithModel({ form: "simple", seed, steps: 150 });
  });

  test.each([7, 8])("extended headers, seed %d", async (seed) => {
    await compareWithModel({ form: "extended", seed, steps: 150 });
  });
});

/** Fills the export, so that most of it is away. */
test("overlapping writes from two connections never mix within a page", async () => {
  const world = await World.start();
  const clients = [await world.connect(), await world.connect("structured", "other")];
  await world.fill(clients[0] as BareClient);
  const random = new SeededRandom(8);
  for (let round = 0; round < 30; round += 1) {
    const offset = below(random, DISK.byteCount - 8 * PAGE_BYTES);
    const pending = clients.flatMap((client, who) => {
      return [0, 1, 2].map((i) => {
        const data = new Uint8Array(4 * PAGE_BYTES).fill(1 + who * 3 + i);
        return client.ask(write(offset + (i - 1) * 100, data));
      });
    });
    const replies = await world.wait(Promise.all(pending));
    expect(replies.map(({ error }) => error)).toEqual([0, 0, 0, 0, 0, 0]);
    // Each page that all of them wrote comes from exactly one of them.
    const first = Math.ceil((offset + 100) / PAGE_BYTES) * PAGE_BYTES;
    const { data } = await world.wait((clients[0] as BareClient).ask(read(first, 2 * PAGE_BYTES)));
    for (const at of [0, PAGE_BYTES]) {
      expect(new Set(data.subarray(at, at + PAGE_BYTES)).size).toBe(1);
      expect(data[at]).toBeLessThanOrEqual(6);
    }
  }
  await world.stop();
});

test("small writes to one page that is away are all applied", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  const pending: Array<Promise<BareReply>> = [];
  for (let i = 0; i < PAGE_BYTES; i += 16) {
    pending.push(client.ask(write(i, new Uint8Array(16).fill(i / 16))));
  }
  await world.wait(Promise.all(pending));
  const { data } = await world.wait(client.ask(read(0, PAGE_BYTES)));
  expect(data).toEqual(new Uint8Array(PAGE_BYTES).map((_, i) => Math.floor(i / 16)));
  expect(world.door.counters.nbd_requests_waited).toBeGreaterThan(200);
  await world.stop();
});

test("a long TRIM that ends within a page that is away", async () => {
  const large = { name: "large", byteCount: 256 * MIB };
  const world = await World.start({ exports: [large], memoryBytes: MIB });
  const client = await world.connect();
  const data = bytesFrom(new SeededRandom(3), 4 * MIB);
  const from = 200 * MIB;
  for (let at = 0; at < data.length; at += MIB) {
    const piece = data.subarray(at, at + MIB);
    expect((await world.wait(client.ask(write(from + at, piece)))).error).toBe(0);
  }
  const trim = { type: TRIM, offset: 0, length: from + 512 };
  const zeroes = { type: WRITE_ZEROES, offset: 4096, length: from + 600 - 4096 };
  const [one, two] = [client.ask(trim), client.ask(zeroes)];
  expect((await world.wait(Promise.all([one, two]))).map(({ error }) => error)).toEqual([0, 0]);
  expect(world.sim.node(0).counters.remote_pers_pages_succ_get).toBe(1);
  const { data: page } = await world.wait(client.ask(read(from, PAGE_BYTES)));
  expect(page).toEqual(data.slice(0, PAGE_BYTES).fill(0, 0, 600));
  await world.stop();
});

test("TRIM of the whole export frees all pages, and BLOCK_STATUS shows what is there", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  const { sim } = world;
  expect(sim.node(1).counter("foreign_pers_pages")).toBeGreaterThan(2000);
  const status = async (offset: number, length: number, flags = 0) => {
    return (await world.wait(client.ask({ type: BLOCK_STATUS, flags, offset, length }))).extents;
  };
  expect(await status(0, 8 * PAGE_BYTES)).toEqual([[8 * PAGE_BYTES, 0]]);
  await world.wait(client.ask({ type: TRIM, offset: PAGE_BYTES + 1, length: 2 * PAGE_BYTES }));
  const expected = [
    [2 * PAGE_BYTES - 5, 0],
    [PAGE_BYTES, 3],
    [5 * PAGE_BYTES, 0],
  ];
  expect(await status(5, 8 * PAGE_BYTES - 5)).toEqual(expected as Array<[number, number]>);
  expect(await status(5, 8 * PAGE_BYTES - 5, 8)).toEqual([[2 * PAGE_BYTES - 5, 0]]);
  const trimmed = await world.wait(client.ask({ type: TRIM, offset: 0, length: 16 * MIB }));
  expect(trimmed.error).toBe(0);
  expect(world.door.stats()[0]?.pages).toBe(0);
  expect(await status(0, 16 * MIB)).toEqual([[16 * MIB, 3]]);
  expect(sim.clock.runUntil(() => sim.node(1).counter("foreign_pers_pages") === 0, 10_000)).toBe(
    true,
  );
  expect(world.door.counters.frontswap_invalidates).toBe(DISK.byteCount / PAGE_BYTES);
  await world.stop();
});

test("exports that a node cannot hold are a warning, which says how much is too much", async () => {
  for (const [gib, more] of [
    [255, null],
    [256, "512KiB"],
  ] as const) {
    const world = await World.start({ exports: [{ ...DISK, byteCount: gib * 2 ** 30 }] });
    const lines = world.sim.node(0).log.filter((line) => line.includes("exports have"));
    const what = `exports have ${gib}GiB, ${more} more than a node can store: writes beyond`;
    expect(lines).toEqual(more === null ? [] : [expect.stringContaining(what)]);
    await world.stop();
  }
});

test("one request of more than 4 GiB, with extended headers", async () => {
  const big = { ...DISK, byteCount: 2 ** 40 };
  const world = await World.start({ exports: [big] });
  const client = await world.connect("extended");
  const status = async (offset: number, length: number) => {
    return (await world.wait(client.ask({ type: BLOCK_STATUS, offset, length }))).extents;
  };
  expect(await status(0, big.byteCount)).toEqual([[big.byteCount, 3]]);
  const far = 5 * 2 ** 30;
  const page = new Uint8Array(PAGE_BYTES).fill(1);
  for (const offset of [0, far, big.byteCount - PAGE_BYTES]) {
    expect((await world.wait(client.ask(write(offset, page)))).error).toBe(0);
  }
  // Unallocated ranges are skipped: page by page it would take many requests.
  expect(await status(0, big.byteCount)).toEqual([
    [PAGE_BYTES, 0],
    [far - PAGE_BYTES, 3],
    [PAGE_BYTES, 0],
    [big.byteCount - far - 2 * PAGE_BYTES, 3],
    [PAGE_BYTES, 0],
  ]);
  const length = far + PAGE_BYTES - 1;
  expect((await world.wait(client.ask({ type: TRIM, offset: 1, length }))).error).toBe(0);
  expect(world.door.stats()[0]?.pages).toBe(2);
  expect((await world.wait(client.ask(read(far, PAGE_BYTES)))).data).toEqual(page.fill(0));
  const zeroes = { type: WRITE_ZEROES, offset: 0, length: big.byteCount };
  expect((await world.wait(client.ask(zeroes))).error).toBe(0);
  expect(world.door.stats()[0]?.pages).toBe(0);
  await world.stop();
});

test("a lost page reads as EIO, never as other bytes, until it is written again", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  world.sim.node(1).crash();
  await world.sim.node(1).restart();
  let lost = -1;
  for (let page = 0; page < 200; page += 1) {
    const { error, data } = await world.wait(client.ask(read(page * PAGE_BYTES, PAGE_BYTES)));
    if (error === 0) expect(data[0]).toBe(7);
    else {
      expect(error).toBe(ERRNO.EIO);
      lost = page;
    }
  }
  expect(lost).toBeGreaterThanOrEqual(0);
  world.sim.clock.run(world.sim.clock.now() + 200);
  const lines = world.sim
    .node(0)
    .log.filter((line) => line.includes("Cannot read pages of export"));
  expect(lines[0]).toMatch(
    /doors: Cannot read pages of export "disk": \d+ are lost, no copy is left: restart the programs/,
  );
  const at = lost * PAGE_BYTES;
  expect((await world.wait(client.ask(write(at + 5, new Uint8Array(10))))).error).toBe(ERRNO.EIO);
  const page = new Uint8Array(PAGE_BYTES).fill(9);
  expect((await world.wait(client.ask(write(at, page)))).error).toBe(0);
  expect((await world.wait(client.ask(read(at, PAGE_BYTES)))).data).toEqual(page);
  expect(client.isClosed).toBe(false);
  await world.stop();
});

test("a request waits for a silent holder, at most --io-timeout", async () => {
  const world = await World.start({ ioTimeoutMs: 20_000 });
  const { sim } = world;
  const client = await world.connect();
  await world.fill(client);
  const block = (): void => sim.network.block(sim.node(1).host, sim.node(0).host);
  block();
  const before = sim.clock.now();
  const pending = Promise.all([0, 1, 2].map((i) => client.ask(read(i * PAGE_BYTES, PAGE_BYTES))));
  let isDone = false;
  pending.then(() => {
    isDone = true;
  });
  sim.clock.runUntil(() => isDone, 8000);
  sim.network.unblock(sim.node(1).host, sim.node(0).host);
  const replies = await world.wait(pending);
  expect(replies.map(({ error }) => error)).toEqual([0, 0, 0]);
  expect(sim.clock.now() - before).toBeGreaterThan(5000);
  block();
  const again = sim.clock.now();
  const last = await world.wait(client.ask(read(900 * PAGE_BYTES, 64 * PAGE_BYTES)));
  expect(last.error).toBe(ERRNO.EIO);
  expect(sim.clock.now() - again).toBeGreaterThanOrEqual(20_000);
  expect(sim.clock.now() - again).toBeLessThan(25_000);
  sim.clock.run(sim.clock.now() + 200);
  expect(sim.node(0).log.at(-1)).toEndWith(
    'doors: Cannot read pages of export "disk": 64 are out of reach after 20s (--io-timeout): ' +
      "bring back the lenders that ramster status names",
  );
  expect(client.isClosed).toBe(false);
  await world.stop();
});

test("writes fail with ENOSPC when everything is full, after a warning", async () => {
  const world = await World.start({ target: null, warnAtPercent: 50 });
  const client = await world.connect();
  const random = new SeededRandom(3);
  let refused = 0;
  const stored: number[] = [];
  for (let page = 0; page < 800; page += 1) {
    // Two compressible pages share a frame; an incompressible page needs its own.
    const data = new Uint8Array(PAGE_BYTES).map((_, at) => (at < 1500 ? random.u32() : 7));
    const { error } = await world.wait(client.ask(write(page * PAGE_BYTES, data)));
    if (error === 0) stored.push(page);
    else expect(error).toBe(ERRNO.ENOSPC);
    refused += Number(error !== 0);
  }
  expect(refused).toBeGreaterThan(100);
  // A page whose overwrite was refused is an error, never zeros.
  let lost = 0;
  for (const page of stored.slice(0, 200)) {
    const whole = new Uint8Array(PAGE_BYTES).map(() => random.u32());
    const { error } = await world.wait(client.ask(write(page * PAGE_BYTES, whole)));
    const back = await world.wait(client.ask(read(page * PAGE_BYTES, PAGE_BYTES)));
    if (error === 0) expect(back.data).toEqual(whole);
    else {
      expect(back.error).toBe(ERRNO.EIO);
      lost += 1;
    }
  }
  expect(lost).toBeGreaterThan(0);
  const log = world.sim.node(0).log.join("\n");
  expect(log.match(/Cannot store pages of NBD exports/g)?.length).toBe(1);
  expect(log.match(/% of the space for pages is used/g)?.length).toBe(1);
  expect(world.sim.node(0).node.admin.snapshot().counters).toHaveProperty("nbd_enospc");
  await world.stop();
});

test("a refused overwrite is never read as zeros, even if there seemed to be room", async () => {
  const world = await World.start({ target: null }, 5, 8 * MIB);
  const client = await world.connect();
  const random = new SeededRandom(3);
  const put = async (page: number, data: Uint8Array) => {
    return (await world.wait(client.ask(write(page * PAGE_BYTES, data)))).error;
  };
  const get = (page: number) => world.wait(client.ask(read(page * PAGE_BYTES, PAGE_BYTES)));
  const any = () => new Uint8Array(PAGE_BYTES).map(() => random.u32());
  // They share a frame, so that an overwrite of one of them frees none.
  for (const page of [0, 1]) expect(await put(page, any().fill(7, 300))).toBe(0);
  const { placement } = world.sim.node(0).node.ramster.zcache;
  let page = 2;
  for (; placement.hasRoom; page += 1) expect(await put(page, any())).toBe(0);
  Object.defineProperty(placement, "hasRoom", { get: () => true });
  expect(await put(0, any())).toBe(ERRNO.ENOSPC);
  expect((await get(0)).error).toBe(ERRNO.EIO);
  // A page that was never there reads as zeros.
  expect(await put(page, any())).toBe(ERRNO.ENOSPC);
  expect(await get(page)).toMatchObject({ error: 0, data: new Uint8Array(PAGE_BYTES) });
  await world.stop();
});

test("a refused write of a part of a page leaves the page as it was", async () => {
  const world = await World.start({ memoryBytes: MIB }, 5, 8 * MIB);
  const client = await world.connect();
  const { node } = world.sim.node(0);
  const random = new SeededRandom(6); // Incompressible.
  const pages: Uint8Array[] = [];
  for (let page = 0, refused = 0; refused === 0; page += 1) {
    const data = new Uint8Array(PAGE_BYTES).map(() => random.u32());
    const { error } = await world.wait(client.ask(write(page * PAGE_BYTES, data)));
    if (error === 0) pages.push(data);
    else refused += 1;
  }
  const { remote_pers_pages } = world.sim.node(0).counters;
  expect(remote_pers_pages).toBeGreaterThan(1000);
  expect(pages.length).toBeGreaterThan(remote_pers_pages ?? 0);
  let refused = 0;
  for (const [i, page] of pages.entries()) {
    if (i % 13 !== 0) continue;
    const at = i * PAGE_BYTES + 1000;
    const part = new Uint8Array(500).fill(i);
    const type = [WRITE, WRITE_ZEROES, TRIM][i % 3] ?? WRITE;
    const request = type === WRITE ? write(at, part) : { type, offset: at, length: 500 };
    const { error } = await world.wait(client.ask(request));
    refused += Number(error !== 0);
    if (error !== 0) expect([type, error]).toEqual([type === TRIM ? 0 : type, ERRNO.ENOSPC]);
    else if (type !== TRIM) page.set(type === WRITE ? part : new Uint8Array(500), 1000);
    const { data } = await world.wait(client.ask(read(i * PAGE_BYTES, PAGE_BYTES)));
    expect(Buffer.compare(data, page)).toBe(0);
  }
  expect(refused).toBeGreaterThan(10);
  expect(node.nbdDoor.waitingCount).toBe(0);
  await world.stop();
});

test("a change whose holder is away blocks only changes of the same page", async () => {
  const world = await World.start({ ioTimeoutMs: 20_000, memoryBytes: MIB });
  const { sim } = world;
  const client = await world.connect();
  await world.fill(client);
  const { ramster } = sim.node(0).node;
  sim.network.block(sim.node(1).host, sim.node(0).host);
  // All frames are being sent, so a change of a part of a page is parked at first.
  const whole = bytesFrom(new SeededRandom(4), MIB);
  const pending = [client.ask(write(8 * MIB, whole)), client.ask(write(9 * MIB, whole))];
  sim.clock.runUntil(() => !ramster.hasRoom, 1000);
  expect(ramster.hasRoom).toBe(false);
  const parts = [0, 1].map(() => client.ask(write(100, new Uint8Array(10))));
  const behind = client.ask(write(10 * MIB, whole));
  sim.network.unblock(sim.node(1).host, sim.node(0).host);
  // The frames come free, and the page stays away.
  const { get } = ramster;
  ramster.get = (handle, ...rest) => {
    const isAway = handle.index === 0 && (handle.oid0lo & 0xff) === 0;
    return isAway && rest[3] !== null ? STATUS.UNREACHABLE : get.call(ramster, handle, ...rest);
  };
  const before = sim.clock.now();
  expect((await world.wait(Promise.all([...pending, behind]))).map(({ error }) => error)).toEqual([
    0, 0, 0,
  ]);
  expect(sim.clock.now() - before).toBeLessThan(5000);
  // The second change waits for the first one, and no longer than --io-timeout.
  expect((await world.wait(Promise.all(parts))).map(({ error }) => error)).toEqual([5, 5]);
  expect(sim.clock.now() - before).toBeLessThan(21_000);
  await world.stop();
});

test("writes wait while the only lender is away, and succeed when it is back", async () => {
  const world = await World.start();
  const { sim } = world;
  const client = await world.connect();
  sim.network.block(sim.node(0).host, sim.node(1).host);
  const pending: Array<Promise<BareReply>> = [];
  for (let at = 0; at < 2 * MIB; at += 64 * 1024) {
    pending.push(client.ask(write(at, bytesFrom(new SeededRandom(at), 64 * 1024))));
  }
  const all = Promise.all(pending);
  sim.clock.runUntil(() => false, 12_000);
  expect(client.waitingCount).toBeGreaterThan(0);
  // Reads do not wait behind them.
  expect((await world.wait(client.ask(read(12 * MIB, 10)))).error).toBe(0);
  sim.network.unblock(sim.node(0).host, sim.node(1).host);
  expect((await world.wait(all)).every(({ error }) => error === 0)).toBe(true);
  await world.stop();
});

test("a client that connects again finds its data", async () => {
  const world = await World.start();
  const first = await world.connect();
  await world.fill(first);
  first.ask(write(0, new Uint8Array(3 * MIB)));
  first.ask(read(0, 3 * MIB));
  world.sim.clock.runUntil(() => false, 2);
  world.sim.network.cut("program", world.sim.node(0).host);
  const second = await world.connect("simple");
  const { data } = await world.wait(second.ask(read(4 * MIB, MIB)));
  expect(data).toEqual(bytesFrom(new SeededRandom(4 * MIB + 1), MIB));
  world.sim.clock.runUntil(() => world.door.waitingCount === 0, 10_000);
  expect(world.door.waitingCount).toBe(0);
  expect(world.door.stats()[0]?.connections).toBe(1);
  await world.stop();
});

test("when the node stops, each request is answered once and the streams end", async () => {
  const world = await World.start();
  const { sim } = world;
  const client = await world.connect();
  await world.fill(client);
  sim.network.block(sim.node(1).host, sim.node(0).host);
  const pending = Array.from({ length: 200 }, (_, i) =>
    client.ask(read(i * PAGE_BYTES, PAGE_BYTES)),
  );
  sim.run(10); // All have come in.
  expect(world.door.waitingCount).toBeGreaterThan(100);
  await world.wait(world.door.stop());
  const replies = await world.wait(Promise.all(pending));
  const errors = new Set(replies.map(({ error }) => error));
  expect([...errors].every((error) => [0, ERRNO.ESHUTDOWN].includes(error as 0))).toBe(true);
  expect(errors.has(ERRNO.ESHUTDOWN)).toBe(true);
  sim.clock.runUntil(() => client.isClosed, 5000);
  expect(client.isClosed).toBe(true);
});

test("with two copies, no request fails when a lender dies", async () => {
  const sim = new SimCluster(11);
  const lender = { lendBytes: 32 * MIB };
  const owner = { nbd: [NBD], exports: [DISK], lendBytes: 0, replicas: 2 } as const;
  await sim.startGossiping([owner, lender, lender, lender]);
  sim.clock.run(sim.clock.now() + 5000);
  const client = new BareClient();
  sim.network.transport("program").connect(NBD, client);
  await drive(sim.clock, client.negotiate({ form: "structured" }));
  const random = new SeededRandom(2);
  const generations = new Uint8Array(DISK.byteCount / PAGE_BYTES);
  const put = (page: number, generation: number): Promise<void> => {
    generations[page] = generation;
    const data = bytesFrom(new SeededRandom(page * 256 + generation), PAGE_BYTES);
    return client.ask(write(page * PAGE_BYTES, data)).then(({ error }) => expect(error).toBe(0));
  };
  const get = async (page: number): Promise<void> => {
    const seed = page * 256 + (generations[page] ?? 0);
    const { error, data } = await client.ask(read(page * PAGE_BYTES, PAGE_BYTES));
    expect(error).toBe(0);
    expect(Buffer.compare(data, bytesFrom(new SeededRandom(seed), PAGE_BYTES))).toBe(0);
  };
  for (let page = 0; page < 4096; page += 64) {
    await drive(sim.clock, Promise.all([...Array(64).keys()].map((i) => put(page + i, 1))));
  }
  for (let round = 0; round < 40; round += 1) {
    if (round === 5) sim.node(2).crash();
    // Each page once a round: concurrent requests are done in any order.
    const pages = new Set(Array.from({ length: 64 }, () => below(random, 4096)));
    const pending = [...pages].map((page) => (page % 3 === 0 ? put(page, round + 2) : get(page)));
    await drive(sim.clock, Promise.all(pending));
  }
  const isMended = (): boolean => sim.node(0).counter("copies_repaired") > 0;
  expect(sim.clock.runUntil(isMended, 60_000)).toBe(true);
  expect(client.isClosed).toBe(false);
  sim.node(0).verify();
  await sim.stop();
});

test("an unused export can be removed, with all its pages", async () => {
  const world = await World.start({ exports: [DISK, { name: "b", byteCount: MIB }] });
  const { sim } = world;
  const client = await world.connect();
  await world.fill(client);
  const { admin } = sim.node(0).node;
  expect(admin.getKnob("exports")).toBe("disk,b");
  expect(() => admin.setKnob("exports", "b")).toThrow('clients of "disk" are connected');
  expect(() => admin.setKnob("exports", "b,c")).toThrow('there is no export "c"');
  sim.network.cut("program", sim.node(0).host);
  sim.clock.runUntil(() => world.door.stats()[0]?.connections === 0, 1000);
  expect(() => admin.setKnob("exports", "")).toThrow('it takes names of exports, or "none"');
  expect(admin.setKnob("exports", "b")).toBe("b");
  expect(admin.setKnob("exports", "none")).toBe("none");
  // The counters remain.
  expect(admin.snapshot().counters.nbd_requests).toBe(world.door.counters.nbd_requests);
  const isEmpty = (): boolean => sim.node(1).counter("foreign_pers_pages") === 0;
  expect(sim.clock.runUntil(isEmpty, 10_000)).toBe(true);
  expect(sim.node(0).node.ramster.pools().length).toBe(0);
  expect(admin.setKnob("io_timeout_ms", "5000")).toBe("5000");
  expect(() => admin.setKnob("warn_at_percent", "101")).toThrow("from 1 to 100");
  await world.stop();
});
