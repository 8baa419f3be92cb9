/**
 * The contract of a Transport (src/net/transport.ts), as a suite. The real and the simulated one
 * both pass it, so tests on the simulated one count for the real one as far as this suite goes.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RamsterError } from "../../src/core/errors.ts";
import type { Address } from "../../src/net/address.ts";
import { parseAddress } from "../../src/net/address.ts";
import type { Listener, Stream, StreamEvents, Transport } from "../../src/net/transport.ts";

export interface TransportBench {
  readonly transport: Transport;
  /** A free address to listen on, a new one every time. */
  address(): Address;
  /** An address where nothing listens. */
  deadAddress(): Address;
  /** Runs the world until `condition` holds. Rejects when it never does. */
  until(condition: () => boolean): Promise<void>;
  /** Runs the world until everything in flight has arrived. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** Writes are made from this offset, so that a transport that ignores the offset fails. */
const SCRATCH_START = 3;
const SCRATCH_BYTES = 8192;

/** Not a power of two, so that a lost or doubled block is noticed. */
const PATTERN_PERIOD = 251 * 251;
const PATTERN = Uint8Array.from({ length: PATTERN_PERIOD + SCRATCH_BYTES }, (_, position) => {
  const at = position % PATTERN_PERIOD;
  return (at * 7 + Math.floor(at / 251)) % 251;
});

/** Records all events of a stream, and can keep writing a pattern. */
class Recorder implements StreamEvents {
  readonly log: string[] = [];
  stream: Stream | null = null;
  receivedBytes = 0;
  firstWrongAt = -1;
  drains = 0;
  closeReason: string | null = null;
  /** Answers incoming data with this many bytes, and then reads no more. */
  answerBytes = 0;
  private toSend = 0;
  private sent = 0;
  private readonly scratch = new Uint8Array(SCRATCH_START + SCRATCH_BYTES);

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.log.push("open");
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    // A subclass may define slice() differently: Buffer's makes no copy.
    expect(Object.getPrototypeOf(chunk)).toBe(Uint8Array.prototype);
    if (this.log.at(-1) !== "data") this.log.push("data");
    for (const byte of chunk) {
      const isRight = byte === PATTERN[this.receivedBytes % PATTERN_PERIOD];
      if (!isRight && this.firstWrongAt < 0) this.firstWrongAt = this.receivedBytes;
      this.receivedBytes += 1;
    }
    if (this.answerBytes === 0) return;
    this.send(this.answerBytes);
    this.stream?.pause();
  }

  onDrain(): void {
    this.drains += 1;
    this.pump();
  }

  onClose(_stream: Stream, reason: string): void {
    this.log.push("close");
    this.closeReason = reason;
  }

  get isOpen(): boolean {
    return this.log.includes("open");
  }

  get isClosed(): boolean {
    return this.closeReason !== null;
  }

  get takenBytes(): number {
    return this.sent;
  }

  send(byteCount: number): void {
    this.toSend += byteCount;
    this.pump();
  }

  private pump(): void {
    while (this.stream !== null && this.sent < this.toSend) {
      const count = Math.min(this.toSend - this.sent, SCRATCH_BYTES);
      const at = this.sent % PATTERN_PERIOD;
      this.scratch.set(PATTERN.subarray(at, at + count), SCRATCH_START);
      const taken = this.stream.write(this.scratch, SCRATCH_START, count);
      this.scratch.fill(0xee); // A transport that keeps the array instead of its bytes fails now.
      this.sent += taken;
      if (taken < count) return;
    }
  }
}

export function transportContract(name: string, open: () => Promise<TransportBench>): void {
  describe(`${name} as a Transport`, () => {
    let bench: TransportBench;
    let listener: Listener | null = null;
    const accepted: Recorder[] = [];

    beforeEach(async () => {
      bench = await open();
    });

    afterEach(async () => {
      listener?.close();
      listener = null;
      accepted.length = 0;
      await bench.close();
    });

    async function listen(address = bench.address()): Promise<Address> {
      listener = await bench.transport.listen(address, () => {
        const recorder = new Recorder();
        accepted.push(recorder);
        return recorder;
      });
      return parseAddress(listener.address);
    }

    async function pair(): Promise<{ near: Recorder; far: Recorder }> {
      const near = new Recorder();
      bench.transport.connect(await listen(), near);
      await bench.until(() => near.isOpen && accepted[0]?.isOpen === true);
      const far = accepted[0] ?? new Recorder();
      return { near, far };
    }

    test("listen() reports an address that can be connected to", async () => {
      const { near, far } = await pair();
      expect(near.log).toEqual(["open"]);
      expect(far.log).toEqual(["open"]);
      expect(near.stream?.remote).toBe(listener?.address ?? "");
      expect(far.stream?.remote).not.toBe("");
    });

    test("bytes arrive whole and in order both ways, however much of each write is taken", async () => {
      const { near, far } = await pair();
      near.send(1_500_000);
      far.send(700_001);
      await bench.until(() => far.receivedBytes === 1_500_000 && near.receivedBytes === 700_001);
      expect([near.firstWrongAt, far.firstWrongAt]).toEqual([-1, -1]);
    });

    test("write() is taken in part while the other side does not read, until onDrain", async () => {
      const { near, far } = await pair();
      far.stream?.pause();
      near.send(64 * 1024 * 1024);
      await bench.quiet();
      expect(near.takenBytes).toBeLessThan(64 * 1024 * 1024);
      const receivedBytes = far.receivedBytes;
      await bench.quiet();
      expect(far.receivedBytes).toBe(receivedBytes);
      far.stream?.resume();
      await bench.until(() => near.drains > 0 && far.receivedBytes > receivedBytes + 1024 * 1024);
      expect(far.firstWrongAt).toBe(-1);
    });

    test("a long write goes on after onDrain until all of it is taken", async () => {
      const { near, far } = await pair();
      const bytes = new Uint8Array(8 * 1024 * 1024).map(
        (_, at) => PATTERN[at % PATTERN_PERIOD] ?? 0,
      );
      let taken = 0;
      const drains = near.drains;
      const goOn = (): void => {
        taken += near.stream?.write(bytes, taken, bytes.byteLength - taken) ?? 0;
      };
      goOn();
      while (taken < bytes.byteLength) {
        const seen = near.drains;
        await bench.until(() => near.drains > seen);
        goOn();
      }
      expect(near.drains).toBeGreaterThan(drains);
      await bench.until(() => far.receivedBytes === bytes.byteLength);
      expect(far.firstWrongAt).toBe(-1);
    });

    test("a paused stream gets no data until it is resumed", async () => {
      const { near, far } = await pair();
      far.stream?.pause();
      near.send(1000);
      await bench.quiet();
      expect(far.receivedBytes).toBe(0);
      far.stream?.resume();
      await bench.until(() => far.receivedBytes === 1000);
    });

    test("end() delivers all accepted bytes and then closes both sides, once each", async () => {
      const { near, far } = await pair();
      near.send(100_000);
      const taken = near.takenBytes;
      near.stream?.end();
      near.stream?.end();
      await bench.until(() => near.isClosed && far.isClosed);
      await bench.quiet();
      expect(far.receivedBytes).toBe(taken);
      expect(far.log).toEqual(["open", "data", "close"]);
      expect(near.log).toEqual(["open", "close"]);
      expect(far.closeReason).toBe("closed by the other side");
      expect(near.closeReason).toBe("closed here");
    });

    test("end() on a paused stream still comes to a close", async () => {
      const { near, far } = await pair();
      near.stream?.pause();
      far.send(1000);
      await bench.quiet();
      near.stream?.end();
      await bench.until(() => near.isClosed && far.isClosed);
    });

    test("terminate() closes both sides, once each", async () => {
      const { near, far } = await pair();
      near.send(10);
      near.stream?.terminate();
      near.stream?.terminate();
      await bench.until(() => near.isClosed && far.isClosed);
      await bench.quiet();
      expect(near.log.filter((entry) => entry === "close")).toHaveLength(1);
      expect(far.log.filter((entry) => entry === "close")).toHaveLength(1);
      expect(near.closeReason).toBe("closed here");
    });

    test("terminate() is noticed on a paused stream, at the latest when it writes", async () => {
      const { near, far } = await pair();
      far.stream?.pause();
      near.stream?.terminate();
      await bench.quiet();
      far.send(1);
      await bench.until(() => far.isClosed);
    });

    test("terminate() is noticed on a stream that is paused just after a failed write", async () => {
      const { near, far } = await pair();
      far.answerBytes = 1000;
      near.send(1000);
      near.stream?.terminate();
      await bench.until(() => far.isClosed);
    });

    test("write() takes nothing after end() and nothing once closed", async () => {
      const { near, far } = await pair();
      const bytes = new Uint8Array(10);
      near.stream?.end();
      expect(near.stream?.write(bytes, 0, 10)).toBe(0);
      await bench.until(() => near.isClosed && far.isClosed);
      expect(near.stream?.write(bytes, 0, 10)).toBe(0);
      expect(far.stream?.write(bytes, 0, 10)).toBe(0);
      near.stream?.pause();
      near.stream?.resume();
      near.stream?.end();
      near.stream?.terminate();
      expect(near.log).toEqual(["open", "close"]);
    });

    test("connect() to an address without a listener calls only onClose, with a reason", async () => {
      const near = new Recorder();
      bench.transport.connect(bench.deadAddress(), near);
      expect(near.log).toEqual([]); // Never during the call: its stream is not known yet.
      await bench.until(() => near.isClosed);
      await bench.quiet();
      expect(near.log).toEqual(["close"]);
      expect(near.closeReason).toMatch(/connection refused|no such file/);
    });

    test("terminate() gives up a connect in progress: onClose once, never onOpen", async () => {
      const near = new Recorder();
      const stream = bench.transport.connect(await listen(), near);
      expect(stream.write(new Uint8Array(1), 0, 1)).toBe(0);
      stream.terminate();
      await bench.until(() => near.isClosed);
      await bench.quiet();
      expect(near.log).toEqual(["close"]);
      await bench.until(() => accepted.every((recorder) => recorder.isClosed));
    });

    test("listen() on an address in use is refused with ADDRESS_IN_USE", async () => {
      const address = await listen();
      let caught: unknown = null;
      try {
        await bench.transport.listen(address, () => new Recorder());
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(RamsterError);
      expect((caught as RamsterError).code).toBe("ADDRESS_IN_USE");
    });

    test("Listener.close() accepts no more streams, and keeps the others open", async () => {
      const { near, far } = await pair();
      const address = parseAddress(listener?.address ?? "");
      listener?.close();
      listener?.close();
      const late = new Recorder();
      bench.transport.connect(address, late);
      await bench.until(() => late.isClosed);
      expect(late.isOpen).toBe(false);
      near.send(1000);
      await bench.until(() => far.receivedBytes === 1000);
      await listen(address); // And the address is free again.
    });
  });
}
