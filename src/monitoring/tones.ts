/** Tones: how good states of members and kinds of events are, for colours. */
import type { EventKind } from "../wire/stats.ts";

export type Tone = "good" | "warn" | "bad";

const GOOD_STATES: ReadonlySet<string> = new Set(["alive", "up", "idle"]);
const BAD_STATES: ReadonlySet<string> = new Set(["dead", "gone", "refused"]);
const BAD_KINDS: ReadonlySet<EventKind> = new Set(["died", "lost", "failed"]);
const WARN_KINDS: ReadonlySet<EventKind> = new Set(["suspected", "refused", "pressure", "evicted"]);

/** `state`: of a member, or of the link to a peer. */
export function stateTone(state: string): Tone {
  if (BAD_STATES.has(state)) return "bad";
  return GOOD_STATES.has(state) ? "good" : "warn";
}

/** Null: it is neither good nor bad. */
export function eventTone(kind: EventKind): Tone | null {
  if (BAD_KINDS.has(kind)) return "bad";
  return WARN_KINDS.has(kind) ? "warn" : null;
}
