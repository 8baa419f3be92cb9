/**
 * InTerminal: the compiled program in a pseudo-terminal, for tests of what people see and type.
 * `text` is everything that it wrote.
 */
import { PROGRAM } from "./process-world.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: sequences begin with Escape.
const COLOUR = /\u001b\[[\d;]*m/g;

export class InTerminal implements AsyncDisposable {
  text = "";
  readonly child: Bun.Subprocess;
  readonly terminal: Bun.Terminal;

  /** `TERM`: the kind of terminal. */
  constructor(argv: readonly string[], TERM = "xterm") {
    const decoder = new TextDecoder();
    this.terminal = new Bun.Terminal({
      cols: 80,
      rows: 24,
      data: (_terminal, bytes) => {
        this.text += decoder.decode(bytes, { stream: true });
      },
    });
    this.child = Bun.spawn([...PROGRAM, ...argv], {
      env: { PATH: process.env.PATH ?? "", TERM },
      terminal: this.terminal,
    });
  }

  /** `text` without colours. */
  get plain(): string {
    return this.text.replaceAll(COLOUR, "");
  }

  /** What a person types. */
  type(keys: string): void {
    this.terminal.write(keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
    this.terminal.close();
  }
}
