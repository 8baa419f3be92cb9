/**
 * The page of the monitoring port. It shows what the node sends, a message a second, and changes
 * nothing. After an outage the browser connects again, and the node begins with all that it keeps.
 */
import type { LiveMessage } from "../../monitoring/live.ts";
import { Charts } from "./charts.ts";
import { showCopies } from "./copies.ts";
import { byId } from "./dom.ts";
import { addEvents, clearEvents } from "./events.ts";
import { showFigures } from "./figures.ts";
import { showFlow } from "./flow.ts";
import { showMachines } from "./machines.ts";
import { showTables } from "./tables.ts";
import { showVerdict } from "./verdict.ts";

/** After so long without a message the node counts as out of reach. */
const SILENCE_MS = 5000;
/** Until a refused connection is tried again: too many pages may be open. */
const RETRY_MS = 5000;

class Page {
  private readonly charts = new Charts();
  private readonly connection = byId("connection");
  private lastMs = 0;
  /** The next message has all that the node keeps. */
  private isFirst = true;

  open(): void {
    this.connect();
    setInterval(() => {
      if (this.lastMs > 0 && Date.now() - this.lastMs > SILENCE_MS) this.showLost();
    }, 1000);
  }

  private connect(): void {
    const source = new EventSource("live");
    source.addEventListener("open", () => {
      this.isFirst = true;
    });
    source.addEventListener("message", ({ data }) => this.show(JSON.parse(data)));
    source.addEventListener("error", () => {
      this.showLost();
      // A browser connects again after an outage, and not after a refusal.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), RETRY_MS);
    });
  }

  private show({ overview, events, minutes, day }: LiveMessage): void {
    if (this.isFirst) {
      clearEvents();
      this.charts.clear();
      this.isFirst = false;
    }
    this.lastMs = Date.now();
    this.connection.className = "";
    this.connection.textContent = "live";
    showVerdict(overview);
    showFigures(overview);
    showMachines(overview);
    showFlow(overview);
    showCopies(overview);
    showTables(overview);
    addEvents(events);
    this.charts.add("minutes", minutes);
    this.charts.add("day", day);
  }

  private showLost(): void {
    const { lastMs, connection } = this;
    const since = lastMs === 0 ? "" : ` since ${new Date(lastMs).toLocaleTimeString()}`;
    connection.className = "lost";
    connection.textContent = `the node does not answer${since}`;
  }
}

new Page().open();
