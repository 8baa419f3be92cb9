/**
 * Kept memory on the heap, of which a process can be killed at any write. Words of tables change
 * with `save` (core/journal.ts), and bytes of frames with `write` and `move`. A kill in the middle
 * of these leaves a part of the bytes.
 */

import type { Kept, ReserveOptions } from "../../src/core/memory.ts";
import { below, type SeededRandom } from "../../src/core/random.ts";
import { HeapBytes, HeapMemory, HeapRegion } from "../../src/memory/heap-memory.ts";
import { type KeptBytes, KeptMemory } from "../../src/memory/kept-memory.ts";

/** The process was killed. What it had on the heap is not used any more. */
export class Killed extends Error {
  override readonly name = "Killed";
}

export class CrashingBytes implements KeptBytes {
  private readonly byName = new Map<string, HeapBytes>();
  private readonly random: SeededRandom;
  /** So many writes until the process is killed. */
  private left = Number.POSITIVE_INFINITY;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  clear(): void {
    this.byName.clear();
  }

  open(name: string, byteCount: number, _: ReserveOptions, kept: Kept | null): HeapRegion {
    const bytes = this.byName.get(name) ?? new HeapBytes(byteCount);
    this.byName.set(name, bytes);
    return new CrashingRegion(bytes, kept, this);
  }

  /** The memory of a new process, which is not killed until `killAfter`. */
  newMemory(): KeptMemory {
    this.left = Number.POSITIVE_INFINITY;
    const memory = new KeptMemory(new HeapMemory(), this);
    const { journal } = memory;
    const save = journal.save.bind(journal);
    const end = journal.end.bind(journal);
    journal.save = (region, position, value) => {
      this.tick();
      save(region, position, value);
    };
    journal.end = () => {
      this.tick();
      end();
      this.tick();
    };
    return memory;
  }

  /** Flips a bit of a word in use, which is one that is not 0. @returns where. */
  flipBit(): string {
    const { random } = this;
    const regions = [...this.byName];
    for (;;) {
      const [name, bytes] = regions[below(random, regions.length)] ?? fail();
      const [piece] = bytes.pieces;
      const words = bytes.whole ?? (piece === undefined ? [] : new Int32Array(piece.buffer));
      const used = [...words.keys()].filter((at) => words[at] !== 0);
      if (used.length === 0) continue;
      const at = used[below(random, used.length)] ?? 0;
      const bit = below(random, 32);
      words[at] = (words[at] ?? 0) ^ (1 << bit);
      return `bit ${bit} of word ${at} of ${name}`;
    }
  }

  /** The process is killed at its write after so many. */
  killAfter(writes: number): void {
    this.left = writes;
  }

  /** @returns whether a write is the last one, of which a part is done. */
  isLast(): boolean {
    this.left -= 1;
    return this.left < 0;
  }

  tick(): void {
    if (this.isLast()) throw new Killed();
  }

  /** How many bytes of a write are done. */
  partOf(byteCount: number): number {
    return below(this.random, byteCount + 1);
  }
}

class CrashingRegion extends HeapRegion {
  private readonly owner: CrashingBytes;

  constructor(bytes: HeapBytes, kept: Kept | null, owner: CrashingBytes) {
    super(bytes, kept);
    this.owner = owner;
  }

  override write(offset: number, source: Uint8Array, at: number, byteCount: number): void {
    const isLast = this.owner.isLast();
    super.write(offset, source, at, isLast ? this.owner.partOf(byteCount) : byteCount);
    if (isLast) throw new Killed();
  }

  override move(from: number, to: number, byteCount: number): void {
    const bytes = new Uint8Array(byteCount);
    this.read(from, bytes, 0, byteCount);
    this.write(to, bytes, 0, byteCount);
  }

  override release(offset: number, byteCount: number): void {
    this.owner.tick();
    super.release(offset, byteCount);
    this.owner.tick();
  }
}

function fail(): never {
  throw new Error("no region");
}
