import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { atEndOfBuffer, cutAt, deliver } from "../../harness/wire/deliver.ts";
import { goodFixtures } from "../../harness/wire/fixtures.ts";
import { BufferPool } from "../core/buffer-pool.ts";
import { WireError } from "../core/errors.ts";
import { HEADER_BYTES } from "../core/limits.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import { type Frame, Framer } from "./framer.ts";
import { FLAG_REPLY, writeHeader } from "./header.ts";
import { MESSAGE } from "./messages.ts";

const good = goodFixtures();
const small = good.filter(({ bytes }) => bytes.length < 300);

/** A frame whose body counts up, so that a misplaced byte is seen. */
function frameOf(bodyBytes: number, request = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + bodyBytes);
  for (let i = 0; i < bodyBytes; i += 1) bytes[HEADER_BYTES + i] = i * 7 + (i >> 8);
  writeHeader(new DataView(bytes.buffer), 0, MESSAGE.STATS, bodyBytes, request, 0, 0, 0, 0);
  return bytes;
}

/** Keeps the objects that the framer passes on. */
class Recorder {
  frame: Frame | null = null;
  readonly buffers: Uint8Array[] = [];
  readonly requests: number[] = [];
  throwAt = -1;
  readonly pool = new BufferPool();
  readonly framer = new Framer(this, new HeapMemory(), this.pool);

  onFrame(frame: Frame): void {
    this.frame = frame;
    this.buffers.push(frame.bytes);
    this.requests.push(frame.request);
    if (this.requests.length - 1 === this.throwAt) throw new RangeError("of the sink");
  }
}

function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

describe("Framer.push() gives whole frames", () => {
  for (const { name, bytes, json } of good) {
    test(`${name}, one byte at a time`, () => {
      const bytewise = [...bytes].map((byte) => atEndOfBuffer(new Uint8Array([byte])));
      expect(deliver(...bytewise)).toEqual(deliver(bytes));
      expect(deliver(bytes).frames[0]?.json).toEqual(json);
    });
  }

  test("of every field of the header, at its offset", () => {
    const recorder = new Recorder();
    const bytes = new Uint8Array(HEADER_BYTES + 5);
    writeHeader(new DataView(bytes.buffer), 0, 99, 5, 0xfedc_ba98, FLAG_REPLY, 2, 14, 4096);
    recorder.framer.push(concat(frameOf(3), bytes));
    const { frame } = recorder;
    expect(frame?.at).toBe(HEADER_BYTES + 3);
    expect(frame?.type).toBe(99);
    expect(frame?.request).toBe(0xfedc_ba98);
    expect(frame?.flags).toBe(FLAG_REPLY);
    expect(frame?.transportStatus).toBe(2);
    expect(frame?.handlerStatus).toBe(14);
    expect(frame?.count).toBe(4096);
    expect(frame?.bodyAt).toBe(2 * HEADER_BYTES + 3);
    expect(frame?.bodyBytes).toBe(5);
  });

  test("two frames, cut at any one place", () => {
    for (const [i, one] of small.entries()) {
      const two = small[(i + 1) % small.length] ?? one;
      const both = concat(one.bytes, two.bytes);
      for (let at = 0; at <= both.length; at += 1) {
        const { frames, error } = deliver(...cutAt(both, at));
        expect(error).toBeNull();
        expect(frames.map((frame) => frame.json)).toEqual([one.json, two.json]);
      }
    }
  });

  test("two frames, cut at any two places", () => {
    const both = concat(frameOf(9, 1), frameOf(0, 2), frameOf(3, 3));
    for (let first = 0; first <= both.length; first += 1) {
      for (let second = first; second <= both.length; second += 1) {
        const recorder = new Recorder();
        for (const chunk of cutAt(both, first, second)) recorder.framer.push(chunk);
        expect(recorder.requests).toEqual([1, 2, 3]);
      }
    }
  });

  test("any frames, cut anywhere", () => {
    const frames = fc.array(fc.nat(600), { maxLength: 12 });
    const pieces = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(frames, pieces, (bodies, sizes) => {
        const stream = concat(...bodies.map((bodyBytes, i) => frameOf(bodyBytes, i + 1)));
        const places: number[] = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          at += sizes[i % sizes.length] ?? 1;
          if (at < stream.length) places.push(at);
        }
        const delivery = deliver(...cutAt(stream, ...places));
        expect(delivery).toEqual(deliver(stream));
        expect(concat(...delivery.frames.map((frame) => frame.bytes))).toEqual(stream);
      }),
    );
  });
});

describe("Framer memory", () => {
  test("a frame that is whole in a chunk is passed on in that chunk, without a copy", () => {
    const recorder = new Recorder();
    const chunk = concat(frameOf(40), frameOf(0), frameOf(4096));
    recorder.framer.push(chunk);
    expect(recorder.buffers).toHaveLength(3);
    for (const buffer of recorder.buffers) expect(buffer).toBe(chunk);
  });

  test("so is a frame that follows a split one", () => {
    const recorder = new Recorder();
    const [start, rest] = cutAt(concat(frameOf(40), frameOf(50), frameOf(60)), 30);
    recorder.framer.push(start ?? new Uint8Array(0));
    recorder.framer.push(rest ?? new Uint8Array(0));
    expect(recorder.buffers[0]).not.toBe(rest);
    expect(recorder.buffers[1]).toBe(rest);
    expect(recorder.buffers[2]).toBe(rest);
  });

  test("the buffer of a split frame is given back and reused", () => {
    const recorder = new Recorder();
    for (const frame of [frameOf(4000), frameOf(3000), frameOf(3500)]) {
      const [start, rest] = cutAt(frame, 25);
      recorder.framer.push(start ?? new Uint8Array(0));
      expect(recorder.pool.usedBytes).toBeGreaterThanOrEqual(frame.byteLength);
      recorder.framer.push(rest ?? new Uint8Array(0));
      expect(recorder.pool.usedBytes).toBe(0);
    }
    expect(recorder.buffers).toHaveLength(3);
    expect(recorder.buffers[1]).toBe(recorder.buffers[0]);
    expect(recorder.buffers[2]).toBe(recorder.buffers[0]);
  });

  test("a stream that ends within a frame keeps no buffer", () => {
    const recorder = new Recorder();
    recorder.framer.push(frameOf(4000).subarray(0, 100));
    recorder.framer.close();
    expect(recorder.pool.usedBytes).toBe(0);
  });

  test("before the handshake no long message is accepted", () => {
    const recorder = new Recorder();
    recorder.framer.bodyBytesMax = 100;
    recorder.framer.push(frameOf(100));
    expect(() => recorder.framer.push(frameOf(101))).toThrow("101 bytes");
  });

  test("one frame object serves for all frames", () => {
    const recorder = new Recorder();
    recorder.framer.push(frameOf(1));
    const first = recorder.frame;
    for (const chunk of cutAt(frameOf(2), 21)) recorder.framer.push(chunk);
    expect(recorder.frame).toBe(first);
  });
});

describe("Framer errors", () => {
  test("a length of 4 GiB is refused with the header's last byte, before any memory", () => {
    const header = frameOf(0);
    new DataView(header.buffer).setUint32(4, 0xffff_ffff);
    for (const size of [1, 7, HEADER_BYTES]) {
      const recorder = new Recorder();
      const push = (from: number): void => recorder.framer.push(header.subarray(from, from + size));
      let at = 0;
      for (; at + size < HEADER_BYTES; at += size) push(at);
      expect(() => push(at)).toThrow("body of 4294967295 bytes is over 1114112");
      expect(recorder.requests).toEqual([]);
    }
  });

  test("frames before a bad one are passed on, and none after it", () => {
    const bad = frameOf(0);
    bad[0] = 0;
    const stream = concat(frameOf(4, 1), frameOf(5, 2), bad, frameOf(6, 3));
    for (let at = 0; at <= stream.length; at += 1) {
      const { frames, error } = deliver(...cutAt(stream, at));
      expect(frames).toHaveLength(2);
      expect(error).toContain("magic is 0x4d, not 0x524d");
    }
  });

  test("after an exception every push throws BAD_FRAME, whatever its bytes", () => {
    const recorder = new Recorder();
    expect(() => recorder.framer.push(new Uint8Array(HEADER_BYTES))).toThrow(WireError);
    for (const chunk of [frameOf(1), new Uint8Array(0)]) {
      const message = "Cannot read message: an earlier one was not read";
      expect(() => recorder.framer.push(chunk)).toThrow(message);
    }
    expect(recorder.requests).toEqual([]);
  });

  test("an exception of the sink passes through, and its frame is not passed on again", () => {
    const stream = concat(frameOf(8, 1), frameOf(9, 2), frameOf(0, 3));
    for (let at = 0; at <= stream.length; at += 1) {
      const recorder = new Recorder();
      recorder.throwAt = 1;
      let thrown: unknown = null;
      for (const chunk of cutAt(stream, at)) {
        try {
          recorder.framer.push(chunk);
        } catch (error) {
          thrown ??= error;
        }
      }
      expect(thrown).toBeInstanceOf(RangeError);
      expect(recorder.requests).toEqual([1, 2]);
    }
  });

  test("a sink that pushes gets an assertion", () => {
    const framer: Framer = new Framer(
      { onFrame: () => framer.push(frameOf(0)) },
      new HeapMemory(),
      new BufferPool(),
    );
    expect(() => framer.push(frameOf(0))).toThrow(WireError);
  });

  test("random bytes, with and without a good start, end in BAD_FRAME or wait for more", () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 });
    fc.assert(
      fc.property(chunks, fc.boolean(), (random, startsGood) => {
        const start = startsGood ? [frameOf(2).subarray(0, 3)] : [];
        deliver(...start, ...random); // Throws what is no WireError.
      }),
      { numRuns: 2000 },
    );
  });
});
