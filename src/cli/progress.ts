/**
 * Progress: a bar with the state of a run, redrawn in place. Without a terminal it shows nothing.
 */

const BAR_WIDTH = 24;

/** The part of process.stderr that Progress uses. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns: number;
  write(text: string): unknown;
}

export class Progress {
  private readonly stream: ProgressStream;
  private quiet: boolean;
  private shown = false;

  /** With `quiet` nothing is shown, since the result goes to a program. */
  constructor(stream: ProgressStream, options: { quiet: boolean }) {
    this.stream = stream;
    this.quiet = options.quiet || stream.isTTY !== true;
  }

  /** `done` is a share, 0 .. 1. */
  show(phase: string, done: number, detail: string): void {
    if (this.quiet) return;
    const filled = Math.round(Math.min(Math.max(done, 0), 1) * BAR_WIDTH);
    const bar = "#".repeat(filled).padEnd(BAR_WIDTH, ".");
    const line = `${phase.padEnd(8)} [${bar}] ${detail}`;
    this.stream.write(`\r\u001b[K${line.slice(0, Math.max(20, this.stream.columns - 1))}`);
    this.shown = true;
  }

  /** Erases the bar until it is shown again: a line that stays is written now. */
  clear(): void {
    if (this.shown) this.stream.write("\r\u001b[K");
    this.shown = false;
  }

  /** Whether the bar is shown. */
  get isShown(): boolean {
    return !this.quiet;
  }

  /** Erases the bar, and shows nothing any more: other lines follow. */
  end(): void {
    this.clear();
    this.quiet = true;
  }
}
