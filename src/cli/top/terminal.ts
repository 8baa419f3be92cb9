/**
 * Terminal: a full screen that is redrawn in place, and keys. Only lines that have changed are
 * written, and no screen while the terminal has not taken the one before: a slow line gets fewer
 * screens, not older ones.
 *
 * The sequences are those of ECMA-48, and of xterm for its second screen.
 */
import type { ReadStream, WriteStream } from "node:tty";

const ESC = "\u001b[";
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l${ESC}2J`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;

export interface TerminalEvents {
  onKeys(text: string): void;
  onResize(): void;
}

/** Whether a full screen can be shown, and keys can be read. */
export function isTerminal(
  input: ReadStream,
  output: WriteStream,
  { TERM }: Readonly<Record<string, string | undefined>>,
): boolean {
  return input.isTTY && output.isTTY && TERM !== undefined && TERM !== "" && TERM !== "dumb";
}

export class FullScreen {
  private readonly input: ReadStream;
  private readonly output: WriteStream;
  private readonly events: TerminalEvents;
  private lines: readonly string[] = [];
  private isOpen = false;
  private readonly onData = (bytes: Buffer): void => this.events.onKeys(bytes.toString());
  private readonly onResize = (): void => {
    this.redraw();
    this.events.onResize();
  };
  private readonly leave = (): void => this.close();

  constructor(input: ReadStream, output: WriteStream, events: TerminalEvents) {
    this.input = input;
    this.output = output;
    this.events = events;
  }

  get columns(): number {
    return this.output.columns || 80;
  }

  get rows(): number {
    return this.output.rows || 24;
  }

  open(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    // Whatever ends the process, the terminal is as before.
    process.on("exit", this.leave);
    process.prependListener("uncaughtException", this.leave);
    this.output.on("resize", this.onResize);
    this.input.setRawMode(true);
    this.input.on("data", this.onData);
    this.input.resume();
    this.lines = [];
    this.output.write(ENTER);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    process.off("exit", this.leave);
    process.off("uncaughtException", this.leave);
    this.output.off("resize", this.onResize);
    this.input.off("data", this.onData);
    try {
      this.input.setRawMode(false);
    } catch {
      return; // The terminal is gone.
    }
    this.input.pause();
    this.output.write(LEAVE);
  }

  /** The next `draw` writes every line. */
  redraw(): void {
    this.lines = [];
    if (this.isOpen) this.output.write(`${ESC}2J`);
  }

  /** `lines` fit the terminal. They may have colours. */
  draw(lines: readonly string[]): void {
    if (!this.isOpen || this.output.writableNeedDrain) return;
    let text = "";
    for (let row = 0; row < Math.max(lines.length, this.lines.length); row += 1) {
      const line = lines[row] ?? "";
      if (line === this.lines[row]) continue;
      // At the right edge, the rest of the line would be the last character.
      const rest = Bun.stringWidth(line) < this.columns ? `${ESC}K` : "";
      text += `${ESC}${row + 1};1H${line}${rest}`;
    }
    this.lines = lines;
    if (text !== "") this.output.write(text);
  }

  /** Stops the process as Ctrl-Z does, with the terminal as before, until it is continued. */
  suspend(): void {
    this.close();
    process.once("SIGCONT", () => {
      this.open();
      this.events.onResize();
    });
    process.kill(process.pid, "SIGSTOP");
  }
}
