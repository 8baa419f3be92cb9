/**
 * Serf's part of membership, on top of memberlist's: members say before they go that they go, so
 * that "left" and "failed" can be told apart (hashicorp/serf, serf.go and delegate.go).
 *
 * Intents are ordered by Serf's Lamport clock. Each travels on when it is news. One that left and
 * is found alive again leaves no longer, whatever was said before; and a node that hears of an old
 * leave of its own says anew that it is there.
 */
import { MEMBERS_MAX } from "../core/limits.ts";
import {
  decodeIntent,
  decodeSerfState,
  encodeIntent,
  encodeSerfState,
  type Intent,
  type LTime,
} from "../gossip/serf-messages.ts";
import { isLater, LamportClock } from "./lamport.ts";

/** What was last said of a member, and when. */
interface Status {
  readonly kind: Intent["kind"];
  readonly ltime: LTime;
}

export class Serf {
  private readonly self: string;
  /** Whether the leave of this node is its own doing. */
  private isLeavingItself = false;
  private readonly clock = new LamportClock();
  private readonly statuses = new Map<string, Status>();

  constructor(self: string) {
    this.self = self;
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
    const intent = { kind, ltime: this.clock.next(), node: this.self };
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
   * A message of Serf has come. @returns whose status it tells when it is news, to be spread
   * further, else null. Throws WireError BAD_FRAME.
   */
  onMessage(bytes: Uint8Array): string | null {
    const intent = decodeIntent(bytes);
    return intent !== null && this.note(intent) ? `serf ${intent.node}` : null;
  }

  /** For a push/pull; `left`: those that left for good. */
  state(left: readonly string[]): Uint8Array {
    const statusLTimes = new Map([...this.statuses].map(([name, { ltime }]) => [name, ltime]));
    return encodeSerfState({ ltime: this.clock.time, statusLTimes, leftMembers: left });
  }

  /** The state of another member, from a push/pull. Throws WireError BAD_FRAME. */
  merge(userState: Uint8Array): void {
    const state = decodeSerfState(userState);
    if (state === null) return;
    this.clock.witness(state.ltime);
    const left = new Set(state.leftMembers);
    for (const [node, ltime] of state.statusLTimes) {
      this.note({ kind: left.has(node) ? "leave" : "join", ltime, node });
    }
  }

  private note(intent: Intent): boolean {
    const { kind, ltime, node } = intent;
    this.clock.witness(ltime);
    const known = this.statuses.get(node);
    if (known !== undefined && !isLater(ltime, known.ltime)) return false;
    if (known === undefined && this.statuses.size >= 2 * MEMBERS_MAX) this.dropOldest();
    this.statuses.set(node, { kind, ltime });
    return true;
  }

  /** Of those that were told of, and may be no members. */
  private dropOldest(): void {
    for (const name of this.statuses.keys()) {
      if (name === this.self) continue;
      this.statuses.delete(name);
      return;
    }
  }
}
