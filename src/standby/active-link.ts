/**
 * ActiveLink: the connection of a standby or a supervisor to the process that serves (active.ts).
 */
import type { Address } from "../net/address.ts";
import type { Dialler } from "../net/transport.ts";
import { LineStream } from "./lines.ts";

export class ActiveLink {
  /** The process that serves. 0: it has not said so yet. */
  pid = 0;
  /** Whether it said that it ends in good order. */
  isStopping = false;
  hasEnded = false;
  /** How many lines it sent. */
  lineCount = 0;
  private readonly lines: LineStream;
  /** Resolves when the process has ended, or closed the connection. */
  readonly ended: Promise<void>;

  private constructor(first: string, onConnected: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.lines = new LineStream({
      first,
      onLine: ([word, text]) => {
        this.lineCount += 1;
        if (word === "stop") this.isStopping = true;
        const pid = Number(text);
        // 0 and negative numbers name groups of processes (kill(2)), and 1 is init.
        if (word !== "active" || !Number.isInteger(pid) || pid <= 1) return;
        this.pid = pid;
        onConnected();
      },
      onEnd: () => {
        this.hasEnded = true;
        resolve();
      },
    });
  }

  /** @returns null when no process serves at the address. `role`: the first line. */
  static async connect(
    dialler: Dialler,
    address: Address,
    role: "standby" | "supervisor",
  ): Promise<ActiveLink | null> {
    const { promise: connected, resolve } = Promise.withResolvers<boolean>();
    const link = new ActiveLink(role, () => resolve(true));
    dialler.connect(address, link.lines);
    void link.ended.then(() => resolve(false));
    return (await connected) ? link : null;
  }

  send(line: string): void {
    this.lines.send(line);
  }

  close(): void {
    this.lines.close();
  }
}
