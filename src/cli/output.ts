/**
 * Output: a bounded queue of lines for a standard stream. A reader that does not read loses lines,
 * and delays nothing.
 *
 *     write(line) --> queue --> sink, at once
 *                       \______ sink, every OUTPUT_RETRY_MS while something waits
 *
 * A line without room in the queue is dropped, and counted by its level.
 */
import type { Clock } from "../core/clock.ts";
import {
  OUTPUT_END_MS,
  OUTPUT_QUEUE_BYTES_MAX,
  OUTPUT_QUIET_BYTES_MAX,
  OUTPUT_RETRY_MS,
} from "../core/limits.ts";
import type { LogLevel } from "../core/log-line.ts";

export interface OutputSink {
  /** The longest chunk that is written at once, unless it is one line. */
  readonly chunkBytesMax: number;
  /** Whether a write is under way. */
  readonly isBusy: boolean;
  /**
   * Writes without waiting. @returns how many bytes were taken, 0 when there is no room now, or -1
   * when the stream is closed or broken.
   */
  write(bytes: Uint8Array): number;
  /** The same as `write`, in a process that does nothing else any more. */
  writeLast(bytes: Uint8Array): number;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly level: LogLevel;
}

export class Output {
  /** Called for each line that is dropped. */
  onDrop: (level: LogLevel) => void = () => {};
  /** Called when everything is written after lines were dropped. */
  onFlow: () => void = () => {};
  private readonly open: () => OutputSink;
  private readonly clock: Clock;
  private opened: OutputSink | null = null;
  private queue: Entry[] = [];
  private queuedBytes = 0;
  /** The chunk that is being written or comes next, and the levels of its lines. */
  private chunk: Uint8Array | null = null;
  private chunkLevels: LogLevel[] = [];
  private isWaiting = false;
  private hasDropped = false;

  /** `open` is called when there is something to write for the first time. */
  constructor(open: () => OutputSink, clock: Clock) {
    this.open = open;
    this.clock = clock;
  }

  /** Queues the line and its line end. */
  write(line: string, level: LogLevel = "info"): void {
    this.enqueue(line, level);
    if (!this.isWaiting) this.flow();
  }

  /** Waits until everything is written, for at most OUTPUT_END_MS. */
  async drain(): Promise<void> {
    const endMs = this.clock.now() + OUTPUT_END_MS;
    while ((!this.isEmpty || this.opened?.isBusy === true) && this.clock.now() < endMs) {
      await new Promise<void>((resolve) => void this.clock.after(OUTPUT_RETRY_MS, resolve));
    }
  }

  /**
   * Writes what can be written, then `line`, before it returns. No other code of this process runs
   * any more.
   */
  finish(line: string | null, sleep: (delayMs: number) => void): void {
    if (line !== null) this.enqueue(line, "error");
    if (this.opened?.isBusy === true) sleep(OUTPUT_RETRY_MS); // Else its end goes unnoticed.
    const endMs = this.clock.now() + OUTPUT_END_MS;
    while (!this.isEmpty) {
      const taken = this.offer((sink, bytes) => sink.writeLast(bytes));
      if (taken < 0 || this.clock.now() > endMs) return;
      if (taken === 0) sleep(OUTPUT_RETRY_MS);
    }
    if (this.opened?.isBusy === true) sleep(OUTPUT_END_MS); // A thread writes this line, too.
  }

  private get isEmpty(): boolean {
    return this.chunk === null && this.queue.length === 0;
  }

  private enqueue(line: string, level: LogLevel): void {
    const bytes = Buffer.from(`${line}\n`);
    const isUrgent = level === "error" || level === "warn";
    const room = isUrgent ? OUTPUT_QUEUE_BYTES_MAX : OUTPUT_QUIET_BYTES_MAX;
    if (this.queuedBytes + bytes.byteLength > room) return this.drop([level]);
    this.queue.push({ bytes, level });
    this.queuedBytes += bytes.byteLength;
  }

  private flow(): void {
    while (!this.isEmpty) {
      const taken = this.offer((sink, bytes) => sink.write(bytes));
      if (taken > 0) continue;
      if (taken === 0) return this.retryLater();
      return this.forget(); // The stream has no reader now. It may get one later.
    }
    if (!this.hasDropped) return;
    this.hasDropped = false;
    this.onFlow();
  }

  private retryLater(): void {
    this.isWaiting = true;
    this.clock.after(OUTPUT_RETRY_MS, () => {
      this.isWaiting = false;
      this.flow();
    });
  }

  private offer(write: (sink: OutputSink, bytes: Uint8Array) => number): number {
    this.opened ??= this.open();
    const bytes = this.chunk ?? this.nextChunk(this.opened.chunkBytesMax);
    const taken = write(this.opened, bytes);
    const isWhole = taken >= bytes.byteLength;
    this.chunk = isWhole ? null : bytes.subarray(Math.max(taken, 0));
    this.queuedBytes -= Math.max(taken, 0);
    return taken;
  }

  /** As many whole lines as may be written at once, and at least one. */
  private nextChunk(bytesMax: number): Uint8Array {
    let count = 0;
    let byteCount = 0;
    for (const { bytes } of this.queue) {
      if (count > 0 && byteCount + bytes.byteLength > bytesMax) break;
      count += 1;
      byteCount += bytes.byteLength;
    }
    const entries = this.queue.splice(0, count);
    this.chunkLevels = entries.map((entry) => entry.level);
    return Buffer.concat(entries.map((entry) => entry.bytes));
  }

  private forget(): void {
    const levels = this.queue.map((entry) => entry.level);
    this.drop(this.chunk === null ? levels : [...this.chunkLevels, ...levels]);
    this.chunk = null;
    this.queue = [];
    this.queuedBytes = 0;
  }

  private drop(levels: readonly LogLevel[]): void {
    this.hasDropped = true;
    for (const level of levels) this.onDrop(level);
  }
}
