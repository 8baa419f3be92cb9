import { expect, test } from "bun:test";
import { bytesFrom, DISK, read, DoorWorld as World, write } from "../../harness/nbd/door-world.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";

const MIB = 1024 * 1024;

test("sequential reads are prefetched, and random reads are not", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  const { counters } = world.door;
  for (let at = 0; at < 8 * MIB; at += 32 * 1024) {
    const { data } = await world.wait(client.ask(read(at, 32 * 1024)));
    const block = bytesFrom(new SeededRandom(at - (at % MIB) + 1), MIB);
    expect(Buffer.compare(data, block.subarray(at % MIB, (at % MIB) + 32 * 1024))).toBe(0);
    // A prefetched page is stale once the page is written.
    const next = at + 48 * 1024;
    const own = new Uint8Array(PAGE_BYTES).fill(3);
    if (at % (256 * 1024) !== 0) continue;
    await world.wait(client.ask(read(next, 1)));
    const before = (await world.wait(client.ask(read(next, PAGE_BYTES)))).data;
    await world.wait(client.ask(write(next, own)));
    expect((await world.wait(client.ask(read(next, PAGE_BYTES)))).data).toEqual(own);
    await world.wait(client.ask(write(next, before)));
  }
  expect(counters.nbd_prefetch_hits).toBeGreaterThan(1000);
  expect(counters.nbd_prefetch_wasted).toBeLessThan(counters.nbd_prefetch_hits / 2);
  const before = counters.nbd_prefetches;
  const random = new SeededRandom(4);
  for (let i = 0; i < 200; i += 1) {
    await world.wait(client.ask(read(below(random, 4000) * PAGE_BYTES, PAGE_BYTES)));
  }
  expect(counters.nbd_prefetches - before).toBeLessThan(250); // Left from the trend before.
  await world.stop();
});

test("a prefetched page does not count once the page was written again", async () => {
  const world = await World.start();
  const client = await world.connect();
  await world.fill(client);
  for (let at = 0; at < 40 * 8; at += 8) {
    await world.wait(client.ask(read(at * PAGE_BYTES, 8 * PAGE_BYTES)));
  }
  world.sim.clock.runUntil(() => false, 1000);
  const ahead = [...Array(100).keys()].map((i) => 40 * 8 + i);
  const own = new Uint8Array(PAGE_BYTES).fill(5);
  own.set([1, 2, 3]);
  for (const page of ahead) await world.wait(client.ask(write(page * PAGE_BYTES, own)));
  for (let at = 8 * MIB; at < DISK.byteCount; at += MIB) {
    await world.wait(client.ask(write(at, bytesFrom(new SeededRandom(at), MIB))));
  }
  const before = world.door.counters.nbd_requests_waited;
  for (const page of ahead) {
    const { data } = await world.wait(client.ask(read(page * PAGE_BYTES, PAGE_BYTES)));
    expect(Buffer.compare(data, own)).toBe(0);
  }
  expect(world.door.counters.nbd_requests_waited).toBeGreaterThan(before);
  await world.stop();
});
