/**
 * LongMemory: NBD_LONG_BYTES_MAX bytes for long requests, over all connections.
 *
 * First come, first served: who asks behind others waits, also when what it wants would fit. So a
 * request of 32 MiB gets its turn among many of 2 MiB.
 */
import { assert } from "../core/assert.ts";
import { NBD_LONG_BYTES_MAX } from "../core/limits.ts";

/** Who asks; it asks again when told to go on. */
interface Asker {
  goOn(): void;
}

export class LongMemory {
  usedBytes = 0;
  private readonly waiting = new Set<Asker>();

  /** Whether somebody waits: who holds memory and makes no use of it is in the way. */
  get isShort(): boolean {
    return this.waiting.size > 0;
  }

  /** @returns whether it is taken; else `asker` is told when to ask again. */
  take(asker: Asker, byteCount: number): boolean {
    const [first = asker] = this.waiting;
    if (first !== asker || this.usedBytes + byteCount > NBD_LONG_BYTES_MAX) {
      this.waiting.add(asker);
      return false;
    }
    this.usedBytes += byteCount;
    this.leave(asker);
    return true;
  }

  give(byteCount: number): void {
    this.usedBytes -= byteCount;
    assert(this.usedBytes >= 0);
    this.goOn();
  }

  /** It asks no more. */
  leave(asker: Asker): void {
    if (this.waiting.delete(asker)) this.goOn();
  }

  private goOn(): void {
    const [first] = this.waiting;
    first?.goOn();
  }
}
