import { expect, test } from "bun:test";
import { SeededRandom } from "../../src/core/random.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import { SimClock } from "./clock.ts";
import { type NetworkSettings, SimNetwork } from "./network.ts";

const FAR: TcpAddress = { kind: "tcp", host: "10.0.0.2", port: 7 };

/** Sends numbered datagrams, one a millisecond. @returns those that arrive. */
async function sendMany(count: number, settings: Partial<NetworkSettings>) {
  const clock = new SimClock();
  const network = new SimNetwork(clock, new SeededRandom(1), settings);
  const seen: number[] = [];
  const far = await network.transport("far").bind(FAR, (bytes) => {
    seen.push(new DataView(bytes.buffer).getUint32(0));
  });
  const near = await network.transport("near").bind({ ...FAR, host: "10.0.0.1" }, () => {});
  const send = (from: number, to: number): void => {
    const bytes = new Uint8Array(4);
    for (let i = from; i < to; i += 1) {
      new DataView(bytes.buffer).setUint32(0, i);
      near.send(bytes, 4, far.address);
      clock.run(clock.now() + 1);
    }
  };
  send(0, count);
  clock.run(clock.now() + 1000);
  return { clock, network, seen, send };
}

test("datagrams are lost at the configured rate", async () => {
  const { seen } = await sendMany(10_000, { lossPercent: 5, twicePercent: 0 });
  expect(seen.length).toBeGreaterThan(9300);
  expect(seen.length).toBeLessThan(9700);
});

test("datagrams are duplicated and reordered at the configured rate", async () => {
  const { seen } = await sendMany(10_000, { twicePercent: 10, latencyMaxMs: 20 });
  expect(new Set(seen).size).toBe(10_000);
  expect(seen.length).toBeGreaterThan(10_700);
  expect(seen.length).toBeLessThan(11_300);
  expect(seen.some((it, i) => it < (seen[i - 1] ?? 0))).toBe(true);
});

test("datagrams across a partition, or to a host that is down, are lost for good", async () => {
  const { clock, network, seen, send } = await sendMany(10, { twicePercent: 0 });
  network.block("near", "far");
  send(10, 20);
  network.unblock("near", "far");
  clock.run(clock.now() + 1000);
  expect(seen.length).toBe(10);
  send(20, 30);
  clock.run(clock.now() + 1000);
  expect(seen.length).toBe(20);
  network.crash("far");
  network.boot("far");
  send(30, 40);
  clock.run(clock.now() + 1000);
  expect([seen.length, network.datagrams.portCount]).toEqual([20, 1]);
});
