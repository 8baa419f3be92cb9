/** What has happened, newest first. */
import { eventTone } from "../../monitoring/tones.ts";
import type { EventReport } from "../../wire/stats.ts";
import { byId, html } from "./dom.ts";

const EVENTS_MAX = 200;

/** Adds events, oldest first. */
export function addEvents(events: readonly EventReport[]): void {
  const list = byId("events");
  for (const { kind, text, age_ms: ageMs } of events) {
    const at = new Date(Date.now() - ageMs);
    const tone = eventTone(kind) ?? "";
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
