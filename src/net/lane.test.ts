import { describe, expect, test } from "bun:test";
import { BufferPool } from "../core/buffer-pool.ts";
import { HEADER_BYTES, LANE_BYTES_MAX } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { writeHeader } from "../wire/header.ts";
import { Lane } from "./lane.ts";

/** Appends a frame whose body repeats the low byte of `number`. */
function append(lane: Lane, number: number, bodyBytes: number): boolean {
  if (!lane.reserve(HEADER_BYTES + bodyBytes)) return false;
  writeHeader(lane.view, lane.tail, 16, bodyBytes, number, 0, 0, 0, 0);
  const bodyAt = lane.tail + HEADER_BYTES;
  lane.bytes.fill(number & 0xff, bodyAt, bodyAt + bodyBytes);
  lane.append(HEADER_BYTES + bodyBytes);
  return true;
}

describe("Lane", () => {
  for (const seed of [1, 2, 3]) {
    test(`keeps bytes and ends of frames over any growth and any writes (seed ${seed})`, () => {
      const random = new SeededRandom(seed);
      const lane = new Lane(new BufferPool());
      const expected: number[] = []; // Where each frame ends, in bytes since the start.
      let appended = 0;
      let sent = 0;
      let number = 1;
      let refused = 0;
      for (let step = 0; step < 4000; step += 1) {
        const bodyBytes = below(random, below(random, 8) === 0 ? 300_000 : 3000);
        if (below(random, 5) < 3) {
          const fits = lane.pendingBytes + HEADER_BYTES + bodyBytes <= LANE_BYTES_MAX;
          expect(append(lane, number, bodyBytes)).toBe(fits);
          if (fits) {
            appended += HEADER_BYTES + bodyBytes;
            expected.push(appended);
            number += 1;
          } else {
            refused += 1;
          }
        } else if (lane.pendingBytes > 0) {
          const count =
            1 + below(random, Math.min(lane.pendingBytes, step % 1000 < 700 ? 30_000 : 400_000));
          lane.sent(count);
          sent += count;
        }
        expect(lane.pendingBytes).toBe(appended - sent);
        while ((expected[0] ?? Infinity) < sent) expected.shift();
        const previous = expected[0] ?? sent;
        const start = lane.frameEnd() - lane.head + sent;
        if (lane.pendingBytes > 0 && lane.frameEnd() > lane.head) expect(start).toBe(previous);
        expect(lane.bytes.byteLength).toBeLessThanOrEqual(2 * LANE_BYTES_MAX);
      }
      expect(refused).toBeGreaterThan(0);
    });
  }

  test("dropUnsent() keeps only the frame that is sent in part", () => {
    const lane = new Lane(new BufferPool());
    for (let i = 1; i <= 3; i += 1) append(lane, i, 100);
    lane.sent(HEADER_BYTES + 100 + 7);
    lane.dropUnsent();
    expect(lane.pendingBytes).toBe(HEADER_BYTES + 100 - 7);
    expect(lane.bytes[lane.head + 20]).toBe(2);
    lane.sent(lane.pendingBytes);
    append(lane, 4, 10);
    lane.dropUnsent();
    expect(lane.pendingBytes).toBe(0);
  });

  test("has a buffer only while something waits, and takes it from its pool", () => {
    const pool = new BufferPool();
    const lane = new Lane(pool);
    expect(pool.usedBytes).toBe(0);
    for (let i = 0; i < 3; i += 1) append(lane, i, 1_000_000);
    expect(lane.bytes.byteLength).toBeGreaterThan(3_000_000);
    expect(pool.usedBytes).toBe(lane.bytes.byteLength);
    lane.sent(lane.pendingBytes);
    expect([lane.bytes.byteLength, pool.usedBytes]).toEqual([0, 0]);
    append(lane, 4, 10);
    lane.close();
    expect(pool.usedBytes).toBe(0);
  });
});
