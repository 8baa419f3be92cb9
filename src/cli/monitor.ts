/**
 * `ramster monitor`: prints the events of a running node, a line each: those that it still keeps,
 * then new ones until it is stopped. When the node does not answer any more, it says so and tries
 * again, since the end of a node is what a person who watches it wants to see.
 */
import type { Client } from "../client/client.ts";
import { RamsterError } from "../core/errors.ts";
import { allOneLine } from "../core/printable.ts";
import type { EventReport } from "../wire/stats.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { MonitorOptions } from "./options.ts";
import { print, printError } from "./print.ts";
import { aborted, stopSignal } from "./stop-signal.ts";

const POLL_MS = 1000;
const RETRY_MS = 2000;
const KIND_WIDTH = "recovered".length;

export async function run(options: MonitorOptions): Promise<ExitCode> {
  const stop = stopSignal();
  const printer = new EventPrinter(options, () => Date.now());
  // The first connection must succeed: a wrong address is no node that is restarting.
  for (let isFirst = true; !stop.aborted && !printer.isOver; isFirst = false) {
    try {
      await withClient(options, (client) => follow(client, printer, options.once, stop));
    } catch (error) {
      if (isFirst || !isOutage(error)) throw error;
      printer.lost((error as Error).message);
      await Promise.race([Bun.sleep(RETRY_MS), aborted(stop)]);
    }
    if (options.once) break;
  }
  return EXIT.DONE;
}

async function follow(
  client: Client,
  printer: EventPrinter,
  once: boolean,
  stop: AbortSignal,
): Promise<void> {
  const stopped = aborted(stop);
  try {
    while (!stop.aborted && !printer.isOver) {
      await printer.print(await client.events(printer.lastNumber));
      if (once) return;
      await Promise.race([Bun.sleep(POLL_MS), stopped]);
    }
  } catch (error) {
    if (once || !isOutage(error)) throw error;
    printer.lost((error as Error).message);
    await Promise.race([Bun.sleep(RETRY_MS), stopped]);
  }
}

/** Whether a node that ends, or is restarted, causes such errors. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof RamsterError)) return false;
  return ["CLOSED", "TIMED_OUT", "ADDRESS_UNREACHABLE", "BAD_HANDSHAKE"].includes(error.code);
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
