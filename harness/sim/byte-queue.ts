/** ByteQueue: bytes of a stream, first in, first out. A byte is copied few times at any length. */
export class ByteQueue {
  private buffer = new Uint8Array(4096);
  private start = 0;
  private end = 0;

  /** All queued bytes. Valid until the next change. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(this.start, this.end);
  }

  get byteCount(): number {
    return this.end - this.start;
  }

  push(bytes: Uint8Array): void {
    const needed = this.byteCount + bytes.length;
    if (this.end + bytes.length > this.buffer.length) {
      // Twice the need, so that growing copies no more bytes than are added.
      const isLarge = 2 * needed <= this.buffer.length;
      const next = isLarge ? this.buffer : new Uint8Array(2 * needed);
      next.set(this.bytes);
      this.buffer = next;
      this.end -= this.start;
      this.start = 0;
    }
    this.buffer.set(bytes, this.end);
    this.end += bytes.length;
  }

  /** Removes the first `byteCount` bytes. */
  drop(byteCount: number): void {
    this.start += byteCount;
    if (this.start < this.end) return;
    this.start = 0;
    this.end = 0;
  }
}
