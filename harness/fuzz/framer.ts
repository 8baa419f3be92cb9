/**
 * Framer: a stream of golden frames, some of them mutated, in chunks of any size. The result is
 * compared with a parse of the whole stream that is as simple as PROTOCOL.md's header table.
 */
import { BATCH_COUNT_MAX, BODY_BYTES_MAX, HEADER_BYTES } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { cutAt, deliver } from "../wire/deliver.ts";
import { goodFixtures } from "../wire/fixtures.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";
import { concat, mutate, randomBytes } from "./mutate.ts";

export const framer: Fuzzer = {
  name: "framer",
  about: "any bytes in any chunks, against a reading of the whole stream",
  smokeRuns: 20_000,
  open: async () => new FramerTarget(),
};

class FramerTarget implements FuzzTarget {
  private readonly frames = goodFixtures()
    .map(({ bytes }) => bytes)
    .filter((bytes) => bytes.length < 500);

  run(random: Random): void {
    const stream = this.stream(random);
    const { frames, error } = deliver(...cutAt(stream, ...places(random, stream.length)));
    const expected = readWhole(stream);
    check(frames.length === expected.ends.length, "another number of frames than in the stream");
    let at = 0;
    for (const [i, { bytes }] of frames.entries()) {
      const end = expected.ends[i] ?? 0;
      check(Buffer.from(bytes).equals(stream.subarray(at, end)), `frame ${i} has other bytes`);
      at = end;
    }
    check((error !== null) === expected.isBroken, `broken or not: ${error}`);
  }

  private stream(random: Random): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let left = below(random, 6); left >= 0; left -= 1) {
      const frame = this.frames[below(random, this.frames.length)] ?? new Uint8Array(0);
      const kind = below(random, 8);
      if (kind === 0) parts.push(mutate(random, frame));
      else if (kind === 1) parts.push(randomBytes(random, below(random, 50)));
      else parts.push(frame);
    }
    return concat(...parts);
  }
}

/** Where chunks end: few cuts or many, in rising order; the same place twice is an empty chunk. */
function places(random: Random, byteCount: number): number[] {
  const count = below(random, 4) === 0 ? below(random, byteCount + 1) : below(random, 6);
  const cuts = Array.from({ length: count }, () => below(random, byteCount + 1));
  return cuts.sort((a, b) => a - b);
}

/** Where each frame ends, and whether a header that is no header comes after them. */
function readWhole(stream: Uint8Array): { ends: number[]; isBroken: boolean } {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const ends: number[] = [];
  let at = 0;
  while (stream.length - at >= HEADER_BYTES) {
    if (!isHeader(view, at)) return { ends, isBroken: true };
    const end = at + HEADER_BYTES + view.getUint32(at + 4);
    if (end > stream.length) break;
    ends.push(end);
    at = end;
  }
  return { ends, isBroken: false };
}

function isHeader(view: DataView, at: number): boolean {
  const isReply = view.getUint8(at + 12) === 1;
  return (
    view.getUint16(at) === 0x524d &&
    view.getUint8(at + 2) === 1 &&
    view.getUint32(at + 4) <= BODY_BYTES_MAX &&
    view.getUint8(at + 12) <= 1 &&
    view.getUint8(at + 15) === 0 &&
    view.getUint32(at + 16) <= BATCH_COUNT_MAX &&
    (isReply
      ? view.getUint32(at + 8) !== 0 && view.getUint8(at + 13) <= 2
      : view.getUint16(at + 13) === 0)
  );
}
