import { expect, test } from "bun:test";
import { NBD_LONG_BYTES_MAX } from "../core/limits.ts";
import { LongMemory } from "./long-memory.ts";

const EIGHTH = NBD_LONG_BYTES_MAX / 8;

/** Wants so many bytes, and asks again when it is told to go on. */
class Asker {
  has = false;
  private readonly memory: LongMemory;
  private readonly byteCount: number;

  constructor(memory: LongMemory, byteCount: number) {
    this.memory = memory;
    this.byteCount = byteCount;
    this.goOn();
  }

  goOn(): void {
    if (!this.has) this.has = this.memory.take(this, this.byteCount);
  }
}

test("who asked first is served first, also when less would fit", () => {
  const memory = new LongMemory();
  expect(new Asker(memory, 7 * EIGHTH).has).toBe(true);
  const large = new Asker(memory, 2 * EIGHTH);
  const small = new Asker(memory, EIGHTH);
  expect([large.has, small.has, memory.isShort]).toEqual([false, false, true]);
  memory.give(EIGHTH);
  expect([large.has, small.has]).toEqual([true, false]);
  memory.give(EIGHTH);
  expect([small.has, memory.isShort, memory.usedBytes]).toEqual([true, false, NBD_LONG_BYTES_MAX]);
});

test("what is given back is enough for several", () => {
  const memory = new LongMemory();
  new Asker(memory, 8 * EIGHTH);
  const askers = Array.from({ length: 8 }, () => new Asker(memory, EIGHTH));
  memory.give(8 * EIGHTH);
  expect(askers.every((it) => it.has)).toBe(true);
});

test("who leaves makes way for those behind", () => {
  const memory = new LongMemory();
  new Asker(memory, 7 * EIGHTH);
  const large = new Asker(memory, 2 * EIGHTH);
  const small = new Asker(memory, EIGHTH);
  memory.leave(large);
  expect([large.has, small.has]).toEqual([false, true]);
});
