/**
 * Holding: memory that a node under a kernel's swap pins (src/node/swap-mode.ts).
 *
 *     reserve() --> a large pinned region --> expect()     nothing is touched yet
 *     the node is built --> touch()                        slice by slice, with pauses between
 *
 * Touching 64 GiB takes many seconds. In the pauses, signals arrive and progress is logged.
 *
 * Not here: locking (linux-process.ts).
 */

/** About 20 ms of work. */
const SLICE_BYTES = 64 * 1024 * 1024;

/** A region whose first `pinnedBytes` are to become resident. */
export interface Touchable {
  readonly pinnedBytes: number;
  /** Makes a range of it resident, and keeps its contents. */
  touch(offset: number, byteCount: number): void;
}

export class Holding {
  /** Available memory: what programs can still get before the kernel swaps. */
  readonly availableBytes: () => number;
  private readonly regions: Array<{ region: Touchable; newBytes: number }> = [];
  /** Memory that touching will still take. */
  pendingBytes = 0;

  constructor(availableBytes: () => number) {
    this.availableBytes = availableBytes;
  }

  /** `newBytes`: how much memory it takes. A kept region has some already. */
  expect(region: Touchable, newBytes = region.pinnedBytes): void {
    this.regions.push({ region, newBytes });
    this.pendingBytes += newBytes;
  }

  /**
   * Touches everything that is expected. `pause` is called after each slice, and ends it with
   * false.
   */
  async touch(pause: () => Promise<boolean>): Promise<void> {
    for (const { region, newBytes } of this.regions.splice(0)) {
      let left = newBytes;
      for (let at = 0; at < region.pinnedBytes; at += SLICE_BYTES) {
        const byteCount = Math.min(SLICE_BYTES, region.pinnedBytes - at);
        region.touch(at, byteCount);
        const taken = Math.min(left, byteCount);
        left -= taken;
        this.pendingBytes -= taken;
        if (!(await pause())) return;
      }
    }
  }
}
