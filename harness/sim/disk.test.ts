import { expect, test } from "bun:test";
import type { DiskSink } from "../../src/core/disk.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { diskContract } from "../contract/disk.ts";
import { SimClock } from "./clock.ts";
import { SimDisk } from "./disk.ts";

function open() {
  const clock = new SimClock();
  const disk = new SimDisk(clock, new SeededRandom(1));
  const until = async (condition: () => boolean): Promise<void> => {
    expect(clock.runUntil(condition, 60_000)).toBe(true);
  };
  return { clock, disk, until };
}

diskContract("SimDisk", open);

test("SimDisk fails, is full and flips bits as configured", async () => {
  const { clock, disk } = open();
  const errors: Array<string | null> = [];
  const sink: DiskSink = { onDisk: (_, error) => void errors.push(error?.reason ?? null) };
  const bytes = new Uint8Array(1000).fill(1);
  disk.troubles.bytesMax = 500;
  disk.write(0, bytes, 0, 1000, sink, 0);
  clock.run(100);
  disk.troubles.writeFailPercent = 100;
  disk.write(0, bytes, 0, 10, sink, 0);
  clock.run(200);
  disk.flipBits(50);
  const read = new Uint8Array(500);
  disk.read(0, read, 0, 500, sink, 0);
  clock.run(300);
  expect(errors).toEqual(["no space left on the device", "input/output error", null]);
  expect(read.filter((byte) => byte !== 1).length).toBeGreaterThan(3);
  disk.troubles.readFailPercent = 100;
  disk.read(0, read, 0, 500, sink, 0);
  clock.run(400);
  expect(errors.at(-1)).toBe("input/output error");
});
