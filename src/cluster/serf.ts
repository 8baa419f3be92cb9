/**
 * Serf's layer of membership, on top of memberlist's (hashicorp/serf, serf.go and delegate.go).
 * Members announce that they leave, so that "left" and "failed" differ. Others may announce it for
 * a failed member. Events and queries of users are gossiped to all members.
 *
 * Intents are ordered by Serf's Lamport clock, and are gossiped when they are news. A member that
 * left and is found alive no longer counts as leaving, whatever came before. A node that hears of
 * an old leave of its own announces again that it joins.
 *
 * Not here: the answers to queries (serf-answers.ts).
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
import {
  decodeQuery,
  decodeQueryResponse,
  decodeRelay,
  type Query,
  type QueryResponse,
  type Relay,
} from "../gossip/serf-queries.ts";
import { isLater, isNear, LamportClock } from "./lamport.ts";
import { Recent } from "./recent.ts";

/** The last intent about a member, and its time. */
interface Status {
  readonly kind: Intent["kind"];
  readonly ltime: LTime;
}

/** The news in a message. Newer news replaces it if it has the same `subject`. */
export type SerfNews =
  | { readonly kind: "intent"; readonly subject: string }
  | { readonly kind: "event"; readonly subject: string }
  | { readonly kind: "query"; readonly subject: string; readonly query: Query }
  | { readonly kind: "response"; readonly response: QueryResponse }
  | { readonly kind: "relay"; readonly relay: Relay };

export interface SerfHooks {
  /** The member leaves, or has left. `prune`: it is to be forgotten. */
  onLeave(name: string, prune: boolean): void;
}

export class Serf {
  private readonly self: string;
  private readonly hooks: SerfHooks;
  /** Whether this node itself has announced that it leaves. */
  private isLeavingItself = false;
  private readonly clock = new LamportClock();
  private readonly statuses = new Map<string, Status>();
  private readonly events = new Recent<UserEvent>();
  private readonly queries = new Recent<null>();

  constructor(self: string, hooks: SerfHooks) {
    this.self = self;
    this.hooks = hooks;
  }

  /** Whether the member has announced that it leaves. */
  isLeaving(name: string): boolean {
    return this.statuses.get(name)?.kind === "leave";
  }

  /** A member is found alive (Serf's handleNodeJoin): it no longer leaves. */
  onAlive(name: string): void {
    const known = this.statuses.get(name);
    if (known?.kind === "leave") this.statuses.set(name, { ...known, kind: "join" });
  }

  /** Forgets a member. */
  forget(name: string): void {
    this.statuses.delete(name);
  }

  /** Announces that this node joins or leaves. @returns the message to gossip. */
  announce(kind: Intent["kind"]): Uint8Array {
    this.isLeavingItself = kind === "leave";
    const intent = { kind, ltime: this.clock.tick(), node: this.self, prune: false };
    this.note(intent);
    return encodeIntent(intent);
  }

  /**
   * Whether others believe that this node leaves, from before a restart. Then it must announce
   * itself again.
   */
  get isMistaken(): boolean {
    return this.isLeaving(this.self) && !this.isLeavingItself;
  }

  /**
   * Takes a message of Serf. @returns its news, or null when it has none: also for messages of
   * later versions. Throws WireError BAD_FRAME.
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
        const subject = this.noteQuery(query);
        return subject === null ? null : { kind: "query", subject, query };
      }
      case SERF.QUERY_RESPONSE:
        return { kind: "response", response: decodeQueryResponse(body) };
      case SERF.RELAY:
        return { kind: "relay", relay: decodeRelay(body) };
      default:
        return null;
    }
  }

  /** The state for a push/pull. `left`: the members that have left. */
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

  /** Merges the state of another member's push/pull. Throws WireError BAD_FRAME. */
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

  /** The time of a query that this node asks. */
  queryTime(): LTime {
    return this.queries.clock.tick();
  }

  /** @returns the subject of the query, or null when it is not new. */
  noteQuery({ ltime, id }: Pick<Query, "ltime" | "id">): string | null {
    const subject = `query ${ltime} ${id}`;
    return this.queries.add(ltime, subject, null, subject.length) ? subject : null;
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

  /** Whether Serf's agents accept a leave of this node, by plain numbers: it must object. */
  private isHeardBySerf({ kind, node, ltime }: Intent, known: Status): boolean {
    return node === this.self && kind === "leave" && ltime > known.ltime;
  }

  /** @returns the subject of the event, or null when it is not new. */
  private noteEvent(ltime: LTime, { name, payload }: UserEvent): string | null {
    const subject = `event ${ltime} ${digestOf({ name, payload })}`;
    // A copy: a view would keep the whole packet.
    const event = { name, payload: payload.slice() };
    const byteCount = subject.length + name.length + payload.byteLength;
    return this.events.add(ltime, subject, event, byteCount) ? subject : null;
  }

  /** Bounds the names, which need not be names of members. */
  private dropOldest(): void {
    for (const name of this.statuses.keys()) {
      if (name === this.self) continue;
      this.statuses.delete(name);
      return;
    }
  }
}
