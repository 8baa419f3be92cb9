/**
 * `ramster monitor`: prints the events of a running node, a line each: those that it still keeps,
 * then new ones until it is stopped.
 */
import { allOneLine } from "../core/printable.ts";
import type { EventReport } from "../wire/stats.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { MonitorOptions } from "./options.ts";
import { poll } from "./poll.ts";
import { print, printError } from "./print.ts";
import { stopSignal } from "./stop-signal.ts";

const POLL_MS = 1000;
const KIND_WIDTH = "recovered".length;

export async function run(options: MonitorOptions): Promise<ExitCode> {
  const printer = new EventPrinter(options, () => Date.now());
  await poll(options, stopSignal(), {
    retries: !options.once,
    read: async (client) => {
      await printer.print(await client.events(printer.lastNumber));
      return options.once || printer.isOver ? null : POLL_MS;
    },
    onOutage: (reason) => printer.lost(reason),
  });
  return EXIT.DONE;
}

export class EventPrinter {
  /** The number of the last event that was printed. */
  lastNumber = 0;
  /** The reader has left. */
  isOver = false;
  private readonly json: boolean;
  private readonly sinceMs: number | null;
  private readonly nowMs: () => number;
  private bootId: string | null = null;
  private isLost = false;

  /** `nowMs`: the current Unix time. */
  constructor({ json, sinceMs }: Pick<MonitorOptions, "json" | "sinceMs">, nowMs: () => number) {
    this.json = json;
    this.sinceMs = sinceMs;
    this.nowMs = nowMs;
  }

  /** Prints the events that `lines` returns. */
  async print(report: { boot_id: string; events: readonly EventReport[] }): Promise<void> {
    const lines = this.lines(report);
    if (lines.length > 0) this.isOver = !(await print(`${lines.join("\n")}\n`));
  }

  /** The lines for the new events. In another boot, numbers begin again. */
  lines(report: { boot_id: string; events: readonly EventReport[] }): string[] {
    const { boot_id: bootId, events } = allOneLine(report);
    this.isLost = false;
    if (bootId !== this.bootId && this.bootId !== null) {
      this.bootId = bootId;
      this.lastNumber = 0;
      return [];
    }
    const isFirst = this.bootId === null;
    this.bootId = bootId;
    this.lastNumber = events.at(-1)?.number ?? this.lastNumber;
    const oldestMs = isFirst && this.sinceMs !== null ? this.sinceMs : Number.POSITIVE_INFINITY;
    return events.filter(({ age_ms }) => age_ms <= oldestMs).map((event) => this.line(event));
  }

  private line({ number, kind, text, age_ms: ageMs }: EventReport): string {
    const time = new Date(this.nowMs() - ageMs).toISOString();
    if (this.json) return JSON.stringify({ time, number, kind, text });
    return `${time} ${kind.padEnd(KIND_WIDTH)} ${text}`;
  }

  /** The node does not answer. It is said once. */
  lost(reason: string): void {
    if (!this.isLost) printError(`ramster: ${reason}; trying again until it is stopped`);
    this.isLost = true;
  }
}
