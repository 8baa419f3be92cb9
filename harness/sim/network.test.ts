import { describe, expect, test } from "bun:test";
import { SeededRandom } from "../../src/core/random.ts";
import type { Address } from "../../src/net/address.ts";
import type { Stream, StreamEvents } from "../../src/net/transport.ts";
import { datagramContract } from "../contract/datagrams.ts";
import { transportContract } from "../contract/transport.ts";
import { SimClock } from "./clock.ts";
import { SimNetwork } from "./network.ts";

const DEADLINE_MS = 600_000;

for (const seed of [1, 2, 3]) {
  transportContract(`SimNetwork, seed ${seed},`, async () => {
    const clock = new SimClock();
    const network = new SimNetwork(clock, new SeededRandom(seed));
    const transport = network.transport("a");
    return {
      transport,
      address: () => ({ kind: "tcp", host: "a", port: 0 }),
      deadAddress: () => ({ kind: "tcp", host: "a", port: 9 }),
      until: async (condition) => {
        if (!clock.runUntil(condition, DEADLINE_MS)) throw new Error("it never happened");
      },
      quiet: async () => clock.run(clock.now() + 1000),
      close: async () => {},
    };
  });
}

datagramContract("SimNetwork", () => {
  const clock = new SimClock();
  const network = new SimNetwork(clock, new SeededRandom(1));
  return {
    transport: network.transport("a"),
    address: { kind: "tcp", host: "10.0.0.1", port: 0 },
    until: async (condition) => {
      if (!clock.runUntil(condition, DEADLINE_MS)) throw new Error("it never happened");
    },
  };
});

class Log implements StreamEvents {
  bytes = 0;
  opened = 0;
  reason: string | null = null;
  stream: Stream | null = null;
  onOpen(stream: Stream): void {
    this.opened += 1;
    this.stream = stream;
  }
  onData(_stream: Stream, chunk: Uint8Array): void {
    this.bytes += chunk.byteLength;
  }
  onDrain(): void {}
  onClose(_stream: Stream, reason: string): void {
    this.reason = reason;
  }
}

async function twoHosts(seed: number): Promise<{
  clock: SimClock;
  network: SimNetwork;
  near: Log;
  far: Log;
  address: Address;
}> {
  const clock = new SimClock();
  const network = new SimNetwork(clock, new SeededRandom(seed), { pipeBytesMin: 8192 });
  const far = new Log();
  const near = new Log();
  const address: Address = { kind: "tcp", host: "b", port: 7777 };
  await network.transport("b").listen(address, () => far);
  network.transport("a").connect(address, near);
  clock.run(10);
  expect([near.opened, far.opened]).toEqual([1, 1]);
  return { clock, network, near, far, address };
}

const BYTES = new Uint8Array(8192);

/** Writes exactly `byteCount` bytes, for which the pipe has room, in as many writes as it takes. */
function writeAll(log: Log, byteCount: number): void {
  for (let sent = 0; sent < byteCount; ) {
    const taken = log.stream?.write(BYTES, 0, byteCount - sent) ?? 0;
    expect(taken).toBeGreaterThan(0);
    sent += taken;
  }
}

describe("SimNetwork", () => {
  test("block() holds one direction silently and unblock() loses nothing", async () => {
    const { clock, network, near, far } = await twoHosts(1);
    network.block("a", "b");
    writeAll(near, 5000);
    writeAll(far, 3000);
    clock.run(60_000);
    expect([far.bytes, near.bytes]).toEqual([0, 3000]);
    expect([near.reason, far.reason]).toEqual([null, null]);
    network.unblock("a", "b");
    clock.run(61_000);
    expect(far.bytes).toBe(5000);
  });

  test("a reset that was blocked arrives after unblock()", async () => {
    const { clock, network, near, far } = await twoHosts(2);
    network.block("a", "b");
    near.stream?.terminate();
    clock.run(60_000);
    expect(far.reason).toBeNull();
    network.unblock("a", "b");
    clock.run(61_000);
    expect(far.reason).toBe("connection reset by the other side");
  });

  for (const count of [0, 1, 19, 20, 21, 4000]) {
    test(`cutAfter() lets exactly ${count} bytes through`, async () => {
      const { clock, network, near, far } = await twoHosts(count + 3);
      network.cutAfter("a", "b", count);
      if (count === 0) clock.run(20);
      else writeAll(near, 4096);
      clock.run(1000);
      expect(far.bytes).toBe(count);
      expect(near.reason).toBe("connection reset by the other side");
      expect(far.reason).toBe("connection reset by the other side");
      expect(network.streams.size).toBe(0);
    });
  }

  test("a connect across a partition times out without an answer", async () => {
    const { clock, network, address } = await twoHosts(4);
    network.block("b", "a");
    const late = new Log();
    network.transport("a").connect(address, late);
    clock.run(120_000);
    expect([late.opened, late.reason]).toEqual([0, null]);
    clock.run(130_000);
    expect(late.reason).toBe("connection timed out");
  });

  test("crash() is silent until boot(), after which old streams are reset when used", async () => {
    const { clock, network, near, far } = await twoHosts(5);
    network.crash("b");
    writeAll(near, 100);
    clock.run(60_000);
    expect([near.reason, far.reason]).toEqual([null, null]);
    network.boot("b");
    clock.run(61_000);
    expect(near.reason).toBe("connection reset by the other side");
    expect(network.listenerCount).toBe(0);
  });

  test("the same seed gives the same run", async () => {
    const runs = [];
    for (let i = 0; i < 2; i += 1) {
      const { clock, near, far } = await twoHosts(6);
      writeAll(near, 8000);
      const steps: string[] = [];
      while (far.bytes < 8000 && clock.step()) steps.push(`${clock.now()}:${far.bytes}`);
      runs.push(steps.join(" "));
    }
    expect(runs[0]).toBe(runs[1] ?? "");
  });
});
