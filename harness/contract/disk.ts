/** The contract of Disk (src/core/disk.ts), as a suite for the real disk and the simulated one. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Disk, DiskError, DiskRoom, DiskSink } from "../../src/core/disk.ts";

export interface DiskBench {
  /** An empty disk. */
  readonly disk: Disk;
  /** Runs the world until `condition` holds. Rejects when it never does. */
  until(condition: () => boolean): Promise<void>;
}

/** Beyond 32 bits, signed or not. */
const FAR = 5 * 2 ** 30;

const ENDS_BEFORE: DiskError = { isFull: false, reason: "the file is too short" };

class Outcomes implements DiskSink {
  readonly errors = new Map<number, DiskError | null>();

  onDisk(token: number, error: DiskError | null): void {
    expect(this.errors.has(token)).toBe(false);
    this.errors.set(token, error);
  }
}

function pattern(byteCount: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: byteCount }, (_, i) => (i * 7 + seed * 13 + (i >> 8)) & 255);
}

export function diskContract(name: string, open: () => DiskBench): void {
  describe(`${name} keeps the contract of a disk`, () => {
    let bench: DiskBench;
    let outcomes: Outcomes;
    beforeEach(() => {
      bench = open();
      outcomes = new Outcomes();
    });
    afterEach(() => bench.disk.close());

    async function done(token: number): Promise<DiskError | null> {
      await bench.until(() => outcomes.errors.has(token));
      return outcomes.errors.get(token) ?? null;
    }

    async function read(position: number, byteCount: number): Promise<Uint8Array> {
      const target = new Uint8Array(byteCount + 2);
      bench.disk.read(position, target, 1, byteCount, outcomes, 1000);
      expect(await done(1000)).toBeNull();
      outcomes.errors.delete(1000);
      expect([target[0], target.at(-1)]).toEqual([0, 0]);
      return target.subarray(1, byteCount + 1);
    }

    test("reads what was written, at any position, and calls back only after the call", async () => {
      const bytes = pattern(20_000, 1);
      bench.disk.write(512, bytes, 5, 10_000, outcomes, 7);
      expect(outcomes.errors.size).toBe(0);
      expect(await done(7)).toBeNull();
      bench.disk.write(FAR, bytes, 0, 1000, outcomes, 8);
      expect(await done(8)).toBeNull();
      expect(await read(512, 10_000)).toEqual(bytes.subarray(5, 10_005));
      expect(await read(600, 100)).toEqual(bytes.subarray(93, 193));
      expect(await read(FAR + 10, 990)).toEqual(bytes.subarray(10, 1000));
      expect((await read(100_000, 10)).every((byte) => byte === 0)).toBe(true);
    });

    test("runs many operations at once, and calls back once for each", async () => {
      const sources = Array.from({ length: 100 }, (_, i) => pattern(4096, i));
      for (const [i, source] of sources.entries()) {
        bench.disk.write(i * 4096, source, 0, 4096, outcomes, i);
      }
      await bench.until(() => outcomes.errors.size === 100);
      expect([...outcomes.errors.values()].every((error) => error === null)).toBe(true);
      outcomes.errors.clear();
      const targets = sources.map(() => new Uint8Array(4096));
      for (const [i, target] of targets.entries()) {
        bench.disk.read(i * 4096, target, 0, 4096, outcomes, i);
      }
      await bench.until(() => outcomes.errors.size === 100);
      expect(targets).toEqual(sources);
    });

    test("reports a file that is too short", async () => {
      bench.disk.write(0, pattern(100, 1), 0, 100, outcomes, 1);
      expect(await done(1)).toBeNull();
      bench.disk.read(50, new Uint8Array(51), 0, 51, outcomes, 2);
      expect(await done(2)).toEqual(ENDS_BEFORE);
    });

    test("frees the truncated range, which reads as zeros once it exists again", async () => {
      bench.disk.write(0, pattern(5000, 1), 0, 5000, outcomes, 1);
      expect(await done(1)).toBeNull();
      bench.disk.truncate(0, outcomes, 2);
      expect(await done(2)).toBeNull();
      bench.disk.read(0, new Uint8Array(1), 0, 1, outcomes, 3);
      expect(await done(3)).toEqual(ENDS_BEFORE);
      bench.disk.write(4000, pattern(10, 2), 0, 10, outcomes, 4);
      expect(await done(4)).toBeNull();
      expect(await read(0, 4010)).toEqual(
        new Uint8Array(4010).map((_, i) => (i < 4000 ? 0 : (pattern(10, 2)[i - 4000] ?? 0))),
      );
    });

    async function readRoom(): Promise<DiskRoom | null> {
      const rooms: Array<DiskRoom | null> = [];
      bench.disk.readRoom((room) => rooms.push(room));
      expect(rooms).toEqual([]);
      await bench.until(() => rooms.length > 0);
      return rooms[0] ?? null;
    }

    test("reports the file's size and room, and calls back only after the call", async () => {
      const before = await readRoom();
      expect(before?.allocatedBytes).toBe(0);
      expect(before?.availableBytes).toBeGreaterThan(0);
      expect(before?.lengthMax).toBeGreaterThan(0);
      bench.disk.write(0, pattern(500_000, 1), 0, 500_000, outcomes, 1);
      expect(await done(1)).toBeNull();
      expect((await readRoom())?.allocatedBytes).toBeGreaterThanOrEqual(500_000);
      bench.disk.truncate(0, outcomes, 2);
      expect(await done(2)).toBeNull();
      expect((await readRoom())?.allocatedBytes).toBe(0);
    });

    test("calls back no more once it is closed, and may be closed twice", async () => {
      const other = open();
      bench.disk.write(0, pattern(100_000, 1), 0, 100_000, outcomes, 1);
      let hasRoomReport = false;
      bench.disk.readRoom(() => {
        hasRoomReport = true;
      });
      bench.disk.close();
      bench.disk.close();
      const later = new Outcomes();
      other.disk.write(0, pattern(10, 1), 0, 10, later, 1);
      await other.until(() => later.errors.size === 1);
      other.disk.close();
      expect([outcomes.errors.size, hasRoomReport]).toEqual([0, false]);
    });
  });
}
