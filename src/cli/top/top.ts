/**
 * `ramster top`: shows a node and its cluster, redrawn in place: what each machine's memory is used
 * for, how many pages move, how long programs wait, what has happened.
 *
 *     stats and events of the node --> Overview --> lines (screen.ts) --> terminal (terminal.ts)
 *
 * Without a terminal, or with TERM=dumb, each screen follows the one before. With --json each is a
 * line of JSON.
 */
import type { ReadStream, WriteStream } from "node:tty";
import type { Client } from "../../client/client.ts";
import { assert } from "../../core/assert.ts";
import { allOneLine } from "../../core/printable.ts";
import { overviewOf } from "../../monitoring/overview.ts";
import type { TimedStats } from "../../monitoring/span.ts";
import type { EventReport, Events } from "../../wire/stats.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import type { TopOptions } from "../options.ts";
import { paintFor } from "../paint.ts";
import { poll } from "../poll.ts";
import { print, printError } from "../print.ts";
import { stopSignal } from "../stop-signal.ts";
import { columnsOf } from "../width.ts";
import { type Key, keysOf } from "./keys.ts";
import { pageOf, type Shown, screenOf, scrollMax, type View } from "./screen.ts";
import { TABLES } from "./tables.ts";
import { FullScreen, isTerminal } from "./terminal.ts";

/** How many events are kept for the screen. */
const EVENTS_SHOWN = 10;

export async function run(options: TopOptions): Promise<ExitCode> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stopSignal(), stop.signal]);
  const input = process.stdin as ReadStream;
  const output = process.stdout as WriteStream;
  const isFull = !options.once && !options.json && isTerminal(input, output, process.env);
  const display = isFull
    ? new FullDisplay(input, output, () => stop.abort())
    : new PlainDisplay(options);
  const source = new Source();
  try {
    await poll(options, signal, {
      retries: !options.once,
      read: async (client) => {
        const isWhole = await source.read(client);
        // The first report alone has no rates.
        if (isWhole || isFull) await display.show(source.shown);
        return display.isOver || (options.once && isWhole) ? null : options.intervalMs;
      },
      onOutage: (reason) => {
        source.outage = `${reason}; trying again until it is stopped`;
        void display.show(source.shown);
      },
    });
  } finally {
    display.close();
  }
  return EXIT.DONE;
}

interface Display {
  /** Nobody sees it any more. */
  readonly isOver: boolean;
  show(shown: Shown): Promise<void>;
  close(): void;
}

/** What is known of the node. */
class Source {
  outage: string | null = null;
  private last: TimedStats | null = null;
  private before: TimedStats | null = null;
  private events: EventReport[] = [];
  private lastEvent = { bootId: "", number: 0 };
  private atMs = 0;

  /** Reads from the node. @returns whether there are rates. */
  async read(client: Client): Promise<boolean> {
    const stats = allOneLine(await client.stats());
    this.addEvents(allOneLine(await client.events(this.lastEvent.number)));
    this.outage = null;
    this.atMs = Date.now();
    this.before = this.last;
    this.last = { stats, atMs: performance.now() };
    return this.before?.stats.node.boot_id === stats.node.boot_id;
  }

  /** In another boot, numbers begin again, so its first events come with the next read. */
  private addEvents({ boot_id: bootId, events }: Events): void {
    const { lastEvent } = this;
    const isOther = lastEvent.bootId !== "" && lastEvent.bootId !== bootId;
    const number = isOther ? 0 : (events.at(-1)?.number ?? lastEvent.number);
    this.lastEvent = { bootId, number };
    const elapsedMs = Date.now() - this.atMs;
    const earlier = this.events.map((it) => ({ ...it, age_ms: it.age_ms + elapsedMs }));
    this.events = [...earlier, ...(isOther ? [] : events)].slice(-EVENTS_SHOWN);
  }

  get shown(): Shown {
    assert(this.last !== null, "nothing was read");
    const overview = overviewOf(this.last, this.before);
    return { overview, events: this.events, atMs: this.atMs, outage: this.outage };
  }
}

const FIRST_VIEW: View = {
  table: "members",
  order: { column: 0, isReversed: false },
  scrolled: 0,
  isPaused: false,
};

/** Text or JSON for each reading, for a pipe, a file or a terminal without a cursor. */
class PlainDisplay implements Display {
  isOver = false;
  private readonly json: boolean;
  private readonly paint = paintFor(process.stdout, process.env);
  private isOut = false;

  constructor({ json }: Pick<TopOptions, "json">) {
    this.json = json;
  }

  async show(shown: Shown): Promise<void> {
    const { outage } = shown;
    if (outage !== null && !this.isOut) printError(`ramster: ${outage}`);
    this.isOut = outage !== null;
    if (this.isOut) return;
    this.isOver = !(await print(`${this.json ? this.jsonOf(shown) : this.textOf(shown)}\n`));
  }

  close(): void {}

  private jsonOf({ overview, atMs }: Shown): string {
    return JSON.stringify({ time: new Date(atMs).toISOString(), ...overview });
  }

  private textOf(shown: Shown): string {
    const columns = columnsOf(process.stdout);
    return pageOf(shown, columns, this.paint)
      .map((line) => `${line.trimEnd()}\n`)
      .join("");
  }
}

/** A screen that is redrawn in place, with keys. */
class FullDisplay implements Display {
  readonly isOver = false;
  private readonly screen: FullScreen;
  private readonly quit: () => void;
  private readonly paint = paintFor(process.stdout, process.env);
  private view = FIRST_VIEW;
  private shown: Shown | null = null;

  constructor(input: ReadStream, output: WriteStream, quit: () => void) {
    this.quit = quit;
    this.screen = new FullScreen(input, output, {
      onKeys: (text) => {
        for (const key of keysOf(text)) this.onKey(key);
      },
      onResize: () => this.draw(),
    });
  }

  async show(shown: Shown): Promise<void> {
    if (this.view.isPaused && shown.outage === null) return;
    this.screen.open();
    this.shown = shown;
    this.draw();
  }

  close(): void {
    this.screen.close();
  }

  private draw(): void {
    if (this.shown === null) return;
    const { columns, rows } = this.screen;
    this.screen.draw(screenOf(this.shown, this.view, { columns, rows }, this.paint));
  }

  private onKey(key: Key): void {
    if (key === "quit") return this.quit();
    if (key === "suspend") return this.screen.suspend();
    if (key === "redraw") this.screen.redraw();
    else this.view = this.changed(key);
    this.draw();
  }

  private changed(key: Exclude<Key, "quit" | "suspend" | "redraw">): View {
    const { view, shown } = this;
    const { table, order } = view;
    const scrolledBy = (rows: number): View => {
      const most = shown === null ? 0 : scrollMax(view, shown);
      return { ...view, scrolled: Math.min(most, Math.max(0, view.scrolled + rows)) };
    };
    switch (key) {
      case "members":
      case "exports":
      case "pools":
        return { ...view, table: key, order: FIRST_VIEW.order, scrolled: 0 };
      case "next-table": {
        const next = TABLES[(TABLES.indexOf(table) + 1) % TABLES.length] ?? table;
        return { ...view, table: next, order: FIRST_VIEW.order, scrolled: 0 };
      }
      case "sort":
        return { ...view, order: { ...order, column: order.column + 1 } };
      case "reverse":
        return { ...view, order: { ...order, isReversed: !order.isReversed } };
      case "pause":
        return { ...view, isPaused: !view.isPaused };
      case "up":
        return scrolledBy(-1);
      case "down":
        return scrolledBy(1);
      case "page-up":
        return scrolledBy(-10);
      case "page-down":
        return scrolledBy(10);
    }
  }
}
