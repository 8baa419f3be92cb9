/**
 * Serf's part of membership, on top of memberlist's: members say before they go that they go, so
 * that "left" and "failed" can be told apart; somebody may say so of one that has failed; and its
 * users' events and queries travel through all members (hashicorp/serf, serf.go and delegate.go).
 *
 * Intents are ordered by Serf's Lamport clock. Each travels on when it is news. One that left and
 * is found alive again leaves no longer, whatever was said before; and a node that hears of an old
 * leave of its own says anew that it is there.
 *
 * Not here: what answers queries (serf-answers.ts).
 */
import { MEMBERS_MAX } from "../core/limits.ts";
import {
  decodeIntent,
  decodeSerfState,
  decodeUserEvent,
  digestOf,
  encodeIntent,
  encodeSerfState,
  type Intent,
  type LTime,
  SERF,
  type UserEvent,
} from "../gossip/serf-messages.ts";
import { decodeQuery, decodeRelay, type Query, type Relay } from "../gossip/serf-queries.ts";
import { isLater, isNear, LamportClock } from "./lamport.ts";
import { Recent } from "./recent.ts";

/** What was last said of a member, and when. */
interface Status {
  readonly kind: Intent["kind"];
  readonly ltime: LTime;
}

/** What a message says that was not known. `subject`: newer news of it replaces this. */
export type SerfNews =
  | { readonly kind: "intent"; readonly subject: string }
  | { readonly kind: "event"; readonly subject: string }
  | { readonly kind: "query"; readonly subject: string; readonly query: Query }
  | { readonly kind: "relay"; readonly relay: Relay };

export interface SerfHooks {
  /** It is said that the member leaves, or has left; `prune`: and is to be forgotten. */
  onLeave(name: string, prune: boolean): void;
}

export class Serf {
  private readonly self: string;
  private readonly hooks: SerfHooks;
  /** Whether the leave of this node is its own doing. */
  private isLeavingItself = false;
  private readonly clock = new LamportClock();
  private readonly statuses = new Map<string, Status>();
  private readonly events = new Recent<UserEvent>();
  private readonly queries = new Recent<null>();

  constructor(self: string, hooks: SerfHooks) {
    this.self = self;
    this.hooks = hooks;
  }

  /** Whether the member has said that it leaves. */
  isLeaving(name: string): boolean {
    return this.statuses.get(name)?.kind === "leave";
  }

  /** A member is found alive: handleNodeJoin of Serf. What it said before is over. */
  onAlive(name: string): void {
    const known = this.statuses.get(name);
    if (known?.kind === "leave") this.statuses.set(name, { ...known, kind: "join" });
  }

  /** A member is forgotten for good. */
  forget(name: string): void {
    this.statuses.delete(name);
  }

  /** This node says that it is there, or leaves. @returns the message to spread. */
  announce(kind: Intent["kind"]): Uint8Array {
    this.isLeavingItself = kind === "leave";
    const intent = { kind, ltime: this.clock.tick(), node: this.self, prune: false };
    this.note(intent);
    return encodeIntent(intent);
  }

  /**
   * Whether others take this node for leaving, from before a restart: then it has to announce
   * itself again.
   */
  get isMistaken(): boolean {
    return this.isLeaving(this.self) && !this.isLeavingItself;
  }

  /**
   * A message of Serf has come. @returns what it says when that is news, else null: also for what
   * is of a later version, or an answer to what this node never asks. Throws WireError BAD_FRAME.
   */
  onMessage(bytes: Uint8Array): SerfNews | null {
    const body = bytes.subarray(1);
    switch (bytes[0]) {
      case SERF.LEAVE:
        return this.onIntent(decodeIntent("leave", body));
      case SERF.JOIN:
        return this.onIntent(decodeIntent("join", body));
      case SERF.USER_EVENT: {
        const { ltime, event } = decodeUserEvent(body);
        const subject = this.noteEvent(ltime, event);
        return subject === null ? null : { kind: "event", subject };
      }
      case SERF.QUERY: {
        const query = decodeQuery(body);
        const subject = `query ${query.ltime} ${query.id}`;
        const isNew = this.queries.add(query.ltime, subject, null, subject.length);
        return isNew ? { kind: "query", subject, query } : null;
      }
      case SERF.RELAY:
        return { kind: "relay", relay: decodeRelay(body) };
      default:
        return null;
    }
  }

  /** For a push/pull; `left`: those that left for good. */
  state(left: readonly string[]): Uint8Array {
    return encodeSerfState({
      ltime: this.clock.upcoming,
      statusLTimes: new Map([...this.statuses].map(([name, { ltime }]) => [name, ltime])),
      leftMembers: left,
      eventLTime: this.events.clock.upcoming,
      events: [...this.events.entries()],
      queryLTime: this.queries.clock.upcoming,
    });
  }

  /** The state of another member, from a push/pull. Throws WireError BAD_FRAME. */
  merge(userState: Uint8Array): void {
    const state = decodeSerfState(userState);
    if (state === null) return;
    this.clock.witnessUpcoming(state.ltime);
    this.events.clock.witnessUpcoming(state.eventLTime);
    this.queries.clock.witnessUpcoming(state.queryLTime);
    const left = new Set(state.leftMembers);
    for (const [node, ltime] of state.statusLTimes) {
      this.note({ kind: left.has(node) ? "leave" : "join", ltime, node, prune: false });
    }
    for (const [ltime, events] of state.events) {
      for (const event of events) this.noteEvent(ltime, event);
    }
  }

  private onIntent(intent: Intent): SerfNews | null {
    const { node, ltime } = intent;
    const known = this.statuses.get(node);
    if (!this.note(intent)) return null;
    if (known !== undefined && !isNear(ltime, known.ltime)) return null;
    return { kind: "intent", subject: `serf ${node}` };
  }

  private note(intent: Intent): boolean {
    const { kind, ltime, node, prune } = intent;
    this.clock.witness(ltime);
    const known = this.statuses.get(node);
    if (known !== undefined && !isLater(ltime, known.ltime) && !this.isHeardBySerf(intent, known)) {
      return false;
    }
    if (known === undefined && this.statuses.size >= 2 * MEMBERS_MAX) this.dropOldest();
    this.statuses.set(node, { kind, ltime });
    if (kind === "leave" && node !== this.self) this.hooks.onLeave(node, prune);
    return true;
  }

  /** Agents of Serf take this node for leaving: by plain numbers it is later. It must object. */
  private isHeardBySerf({ kind, node, ltime }: Intent, known: Status): boolean {
    return node === this.self && kind === "leave" && ltime > known.ltime;
  }

  /** @returns its subject when it is new. */
  private noteEvent(ltime: LTime, { name, payload }: UserEvent): string | null {
    const subject = `event ${ltime} ${digestOf({ name, payload })}`;
    // What is left of a packet would be kept whole.
    const event = { name, payload: payload.slice() };
    const byteCount = subject.length + name.length + payload.byteLength;
    return this.events.add(ltime, subject, event, byteCount) ? subject : null;
  }

  /** Names in messages that may be of no member. */
  private dropOldest(): void {
    for (const name of this.statuses.keys()) {
      if (name === this.self) continue;
      this.statuses.delete(name);
      return;
    }
  }
}
