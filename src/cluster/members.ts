/**
 * Members: who is alive, by incarnation (SWIM; memberlist's state.go). It has only the rules:
 * claims about members come in, and news to gossip and events go out.
 *
 *     alive(i)   beats   suspect(j), dead(j)   when i > j
 *     suspect(i) beats   alive(j)              when i >= j
 *     dead(i)    beats   alive(j), suspect(j)  when i >= j
 *
 * Only a member itself raises its incarnation, when it hears that it is suspect or dead. So a
 * replayed message is an old claim, and changes nothing. An accepted claim sets the incarnation.
 *
 * At most MEMBERS_MAX members are alive. More are refused with a warning. The members that died or
 * left last are remembered.
 *
 * Not here: packets, probes, and clocks other than that of suspicion.
 */
import type { Clock } from "../core/clock.ts";
import { MEMBERS_GONE_MAX, MEMBERS_MAX } from "../core/limits.ts";
import type { LogLevel } from "../core/log-line.ts";
import { encodeMessage } from "../gossip/body.ts";
import {
  type Alive,
  type Dead,
  MEMBER_STATE,
  type PushPullMember,
  type Suspect,
} from "../gossip/messages.ts";
import type { Awareness } from "./awareness.ts";
import type { BroadcastQueue } from "./broadcast-queue.ts";
import type { ClusterCounters } from "./counters.ts";
import { isNear, isNewer, nextIncarnation } from "./incarnation.ts";
import { Member, type MemberFacts, sameBytes } from "./member.ts";
import { type ClusterSettings, suspicionMinMs } from "./settings.ts";
import { Suspicion } from "./suspicion.ts";
import { OWN_VERSIONS, reasonNotToFit } from "./versions.ts";

/** Why a new member is refused. */
export const FULL = `the cluster is full: it has ${MEMBERS_MAX} members`;

export interface MemberEvents {
  onJoin(member: Member): void;
  /** The metadata of the member have changed. */
  onUpdate(member: Member): void;
  onLeave(member: Member, how: "dead" | "left"): void;
  /** Another member has the name, at another address. `reason` is one line. */
  onConflict(reason: string): void;
  /** One line for the log. */
  onNotice(level: LogLevel, line: string): void;
}

export class Members {
  readonly self: Member;
  private readonly clock: Clock;
  private readonly settings: ClusterSettings;
  private readonly queue: BroadcastQueue;
  private readonly awareness: Awareness;
  private readonly counters: ClusterCounters;
  private readonly events: MemberEvents;
  /** Whether a member has announced that it leaves. */
  private readonly isLeaving: (name: string) => boolean;
  private readonly byName = new Map<string, Member>();
  private readonly list: Member[] = [];
  /** How many members of `list` are there. */
  private thereCount = 0;
  private leaving = false;

  constructor(
    parts: {
      clock: Clock;
      queue: BroadcastQueue;
      awareness: Awareness;
      counters: ClusterCounters;
      events: MemberEvents;
      isLeaving: (name: string) => boolean;
    },
    settings: ClusterSettings,
    self: Omit<MemberFacts, "vsn">,
  ) {
    this.clock = parts.clock;
    this.queue = parts.queue;
    this.awareness = parts.awareness;
    this.counters = parts.counters;
    this.events = parts.events;
    this.isLeaving = parts.isLeaving;
    this.settings = settings;
    this.self = new Member({ ...self, vsn: OWN_VERSIONS }, { isSelf: true });
    this.self.incarnation = 1;
    this.self.stateCode = MEMBER_STATE.ALIVE;
    this.self.stateSinceMs = this.clock.now();
    this.insert(this.self);
  }

  /** All members, also those that died or left. */
  get all(): readonly Member[] {
    return this.list;
  }

  get(name: string): Member | null {
    return this.byName.get(name) ?? null;
  }

  /** All members that are not forgotten: n in the formulas of settings.ts. */
  get count(): number {
    return this.list.length;
  }

  get countThere(): number {
    return this.thereCount;
  }

  /** Whether a new member would be refused. */
  get isFull(): boolean {
    return this.thereCount >= MEMBERS_MAX;
  }

  /** Changes the metadata of this node. */
  setMeta(meta: Uint8Array): void {
    const { addrBytes, port, name, vsn } = this.self;
    if (!this.self.learn({ name, addr: addrBytes, port, meta, vsn })) return;
    this.self.incarnation = nextIncarnation(this.self.incarnation);
    this.spreadSelf();
  }

  /** aliveNode. */
  onAlive(alive: Alive): void {
    const { node: name, addr, port, incarnation } = alive;
    let member = this.byName.get(name);
    if (member?.isSelf === true) {
      this.onAliveSelf(alive);
      return;
    }
    const facts = { name, addr, port, meta: alive.meta, vsn: alive.vsn };
    const misfit = reasonNotToFit(alive.vsn);
    if (misfit !== "") {
      this.counters.members_unfit += 1;
      this.refuse(name, misfit);
      return;
    }
    if (this.isFull && member?.isThere !== true) {
      this.counters.members_refused += 1;
      this.refuse(name, FULL);
      return;
    }
    if (member === undefined) {
      member = new Member(facts, { isSelf: false });
      this.insert(member);
    } else {
      // A member that restarted with a lower one learns that in its first push/pull, and raises it.
      if (!isNewer(incarnation, member.incarnation)) return;
      // The same name at another address is another node, unless the member is gone.
      if (member.isThere && !member.isAt(addr, port)) {
        this.counters.name_conflicts += 1;
        return;
      }
    }
    const wasThere = member.isThere;
    this.clearSuspicion(member);
    const changed = member.learn(facts);
    this.spread(member, alive);
    member.incarnation = incarnation;
    this.setState(member, MEMBER_STATE.ALIVE);
    if (!wasThere) this.events.onJoin(member);
    else if (changed) this.events.onUpdate(member);
  }

  /** suspectNode. */
  onSuspect({ node: name, from, incarnation }: Suspect): void {
    const member = this.byName.get(name);
    if (member === undefined || isNewer(member.incarnation, incarnation)) return;
    const message = { kind: "suspect", incarnation, node: name, from } as const;
    if (member.suspicion !== null) {
      if (member.suspicion.confirm(from)) this.spread(member, message);
      return;
    }
    if (member.stateCode !== MEMBER_STATE.ALIVE) return;
    if (member.isSelf) {
      this.refute(incarnation);
      return;
    }
    this.spread(member, message);
    member.incarnation = incarnation;
    this.setState(member, MEMBER_STATE.SUSPECT);
    this.counters.suspicions += 1;
    this.events.onNotice("debug", `member "${name}" is suspected by "${message.from}"`);
    member.suspicion = this.suspicionOf(member, from);
  }

  /** deadNode. */
  onDead({ node: name, from, incarnation }: Dead): void {
    const member = this.byName.get(name);
    if (member === undefined || isNewer(member.incarnation, incarnation)) return;
    if (member.isSelf && !this.leaving) {
      this.refute(incarnation);
      return;
    }
    this.clearSuspicion(member);
    if (!member.isThere) return;
    this.spread(member, { kind: "dead", incarnation, node: name, from });
    member.incarnation = incarnation;
    const left = from === name || this.isLeaving(name);
    this.setState(member, left ? MEMBER_STATE.LEFT : MEMBER_STATE.DEAD);
    if (member.isSelf) return;
    if (!left) this.counters.deaths += 1;
    this.events.onLeave(member, left ? "left" : "dead");
    this.forgetPast(MEMBERS_GONE_MAX);
  }

  /** mergeState: the members in a push/pull. */
  merge(members: readonly PushPullMember[]): void {
    for (const { name, addr, port, meta, incarnation, state, vsn } of members) {
      switch (state) {
        case MEMBER_STATE.ALIVE:
          this.onAlive({ kind: "alive", incarnation, node: name, addr, port, meta, vsn });
          break;
        case MEMBER_STATE.LEFT:
          this.onDead({ kind: "dead", incarnation, node: name, from: name });
          break;
        default:
          // The claim may be wrong: the member gets its time to object.
          this.onSuspect({ kind: "suspect", incarnation, node: name, from: this.self.name });
      }
    }
  }

  /** For a push/pull. */
  snapshot(): PushPullMember[] {
    return this.list.map((member) => ({
      name: member.name,
      addr: member.addrBytes,
      port: member.port,
      meta: member.meta,
      incarnation: member.incarnation,
      state: member.stateCode,
      vsn: member.vsn,
    }));
  }

  /** Announces that this node leaves. */
  leave(): void {
    this.leaving = true;
    this.onDead(this.ownDeath);
  }

  /** A member that did not answer. */
  suspect(member: Member): void {
    const { name: node, incarnation } = member;
    this.onSuspect({ kind: "suspect", incarnation, node, from: this.self.name });
  }

  /**
   * Counts a dead member as left: it will not return. With `prune` it is forgotten at once. A live
   * member is not affected.
   */
  giveUp(name: string, prune: boolean): void {
    const member = this.byName.get(name);
    if (member === undefined || member.isThere) return;
    if (member.stateCode === MEMBER_STATE.DEAD) {
      // `stateSinceMs` stays, so that it is forgotten in time.
      member.stateCode = MEMBER_STATE.LEFT;
      this.events.onLeave(member, "left");
    }
    if (prune) this.forgetAt(this.list.indexOf(member));
  }

  /** Forgets members that are gone for longer than reapMs. @returns their names. */
  reap(): string[] {
    const names: string[] = [];
    const beforeMs = this.clock.now() - this.settings.reapMs;
    for (let i = this.list.length - 1; i >= 0; i -= 1) {
      const member = this.list[i];
      if (member === undefined || member.isThere || member.stateSinceMs > beforeMs) continue;
      this.forgetAt(i);
      names.push(member.name);
    }
    return names;
  }

  /** Forgets the members that are gone longest, past `goneMax`. */
  private forgetPast(goneMax: number): void {
    while (this.list.length - this.thereCount > goneMax) {
      let oldest = -1;
      for (const [i, { isThere, stateSinceMs }] of this.list.entries()) {
        if (isThere) continue;
        if (stateSinceMs < (this.list[oldest]?.stateSinceMs ?? Number.POSITIVE_INFINITY))
          oldest = i;
      }
      this.forgetAt(oldest);
    }
  }

  private forgetAt(index: number): void {
    const [member] = this.list.splice(index, 1);
    if (member !== undefined) this.byName.delete(member.name);
  }

  private refuse(name: string, reason: string): void {
    this.events.onNotice("warn", `Cannot accept member "${name}": ${reason}`);
  }

  stop(): void {
    for (const member of this.list) this.clearSuspicion(member);
  }

  /** The own news of this member: it is alive, or leaves. */
  ownMessage(): Uint8Array {
    return this.leaving ? encodeMessage(this.ownDeath) : this.aliveMessage(this.self);
  }

  private get ownDeath(): Dead {
    const { name, incarnation } = this.self;
    return { kind: "dead", incarnation, node: name, from: name };
  }

  private aliveMessage(member: Member): Uint8Array {
    const { name: node, incarnation, addrBytes: addr, port, meta, vsn } = member;
    return encodeMessage({ kind: "alive", incarnation, node, addr, port, meta, vsn });
  }

  /** A claim that this node is alive: from before a restart, or of another node with its name. */
  private onAliveSelf({ addr, port, incarnation, meta, vsn }: Alive): void {
    const { self } = this;
    if (!self.isAt(addr, port)) {
      this.counters.name_conflicts += 1;
      this.events.onConflict(`name "${self.name}" is taken by another node`);
      return;
    }
    if (this.leaving || isNewer(self.incarnation, incarnation)) return;
    const same = sameBytes(meta, self.meta) && vsn.every((byte, i) => byte === self.vsn[i]);
    if (incarnation === self.incarnation && same) return;
    this.refute(incarnation);
  }

  private refute(accused: number): void {
    if (this.leaving) return;
    const { incarnation } = this.self;
    this.self.incarnation = nextIncarnation(isNewer(accused, incarnation) ? accused : incarnation);
    this.counters.refutes += 1;
    this.events.onNotice("debug", "refuted a claim about this node");
    this.awareness.apply(1);
    this.spreadSelf();
  }

  /** Gossips news, unless it is far ahead and could go in circles: incarnation.ts. */
  private spread(member: Member, news: Alive | Suspect | Dead): void {
    if (member.incarnation !== 0 && !isNear(news.incarnation, member.incarnation)) return;
    this.queue.add(member.name, encodeMessage(news));
  }

  private spreadSelf(): void {
    this.queue.add(this.self.name, this.aliveMessage(this.self));
  }

  private suspicionOf(member: Member, from: string): Suspicion {
    const { settings } = this;
    // No more confirmations than there are other members.
    const wanted = settings.suspicionMult - 2;
    const expected = this.count - 2 < wanted ? 0 : wanted;
    const minMs = suspicionMinMs(settings, this.count);
    const maxMs = minMs * settings.suspicionMaxTimeoutMult;
    const onDeath = (): void => {
      const { name: node, incarnation } = member;
      member.suspicion = null;
      this.onDead({ kind: "dead", incarnation, node, from: this.self.name });
    };
    return new Suspicion(this.clock, from, { expected, minMs, maxMs, onDeath });
  }

  private clearSuspicion(member: Member): void {
    member.suspicion?.stop();
    member.suspicion = null;
  }

  private setState(member: Member, state: Member["stateCode"]): void {
    if (member.stateCode === state) return;
    if (member.isThere) this.thereCount -= 1;
    member.stateCode = state;
    if (member.isThere) this.thereCount += 1;
    member.stateSinceMs = this.clock.now();
  }

  private insert(member: Member): void {
    this.byName.set(member.name, member);
    this.list.push(member);
    if (member.isThere) this.thereCount += 1;
  }
}
