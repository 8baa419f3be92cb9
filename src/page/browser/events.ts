/** What has happened, newest first. */
import type { EventReport } from "../../wire/stats.ts";
import { byId, html } from "./dom.ts";

const EVENTS_MAX = 200;

const BAD_KINDS: ReadonlySet<string> = new Set(["died", "lost", "failed"]);
const WARN_KINDS: ReadonlySet<string> = new Set(["suspected", "refused", "pressure", "evicted"]);

/** Adds events, oldest first. */
export function addEvents(events: readonly EventReport[]): void {
  const list = byId("events");
  for (const { kind, text, age_ms: ageMs } of events) {
    const at = new Date(Date.now() - ageMs);
    const tone = BAD_KINDS.has(kind) ? "bad" : WARN_KINDS.has(kind) ? "warn" : "";
    list.prepend(
      html("li", {}, [
        html("time", { datetime: at.toISOString() }, [at.toLocaleTimeString()]),
        " ",
        html("strong", { class: tone }, [kind]),
        " ",
        text,
      ]),
    );
  }
  while (list.children.length > EVENTS_MAX) list.lastElementChild?.remove();
}

/** The node tells all that it keeps once more. */
export function clearEvents(): void {
  byId("events").replaceChildren();
}
