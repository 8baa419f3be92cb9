/**
 * SerfAsks: queries of Serf that this node asks all members (hashicorp/serf, query.go). A query is
 * gossiped, and each member answers directly. It ends when all have answered, or after the time
 * that Serf takes.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import type { Random } from "../core/random.ts";
import type { LTime } from "../gossip/serf-messages.ts";
import type { Query, QueryResponse } from "../gossip/serf-queries.ts";
import type { Members } from "./members.ts";

/** Serf's QueryTimeoutMult. */
const TIMEOUT_ROUNDS = 16;

export interface Asked {
  /** By the name of the member. */
  readonly answers: ReadonlyMap<string, Uint8Array>;
  /** Members that should have answered. */
  readonly silent: readonly string[];
}

interface Ask {
  readonly ltime: LTime;
  readonly id: number;
  readonly answers: Map<string, Uint8Array>;
  readonly timer: TimerId;
  readonly resolve: (asked: Asked) => void;
}

interface Parts {
  readonly clock: Clock;
  readonly random: Random;
  readonly members: Members;
  /** The time of a new query. */
  readonly queryTime: () => LTime;
  /** Gossips the query. */
  readonly spread: (query: Query, timeoutMs: number) => void;
  /** This node's own answer. */
  readonly answerOf: (query: Query) => Uint8Array | null;
}

export class SerfAsks {
  private readonly parts: Parts;
  private readonly gossipIntervalMs: number;
  private readonly open: Ask[] = [];

  constructor(parts: Parts, { gossipIntervalMs }: { gossipIntervalMs: number }) {
    this.parts = parts;
    this.gossipIntervalMs = gossipIntervalMs;
  }

  ask(name: string, payload: Uint8Array): Promise<Asked> {
    const { clock, random, members, queryTime, spread, answerOf } = this.parts;
    const { name: source, addrBytes: addr, port } = members.self;
    const [ltime, id] = [queryTime(), random.u32()];
    const how = { filters: [], wantsAck: false, isBroadcast: true, relays: 0 };
    const query: Query = { ltime, id, addr, port, source, ...how, name, payload };
    const rounds = TIMEOUT_ROUNDS * Math.ceil(Math.log10(members.countThere + 1));
    const timeoutMs = this.gossipIntervalMs * rounds;
    return new Promise((resolve) => {
      const timer = clock.after(timeoutMs, () => this.end(ask));
      const ask: Ask = { ltime, id, answers: new Map(), timer, resolve };
      this.open.push(ask);
      spread(query, timeoutMs);
      this.onResponse({ ltime, id, from: source, payload: answerOf(query) });
    });
  }

  /** An answer. Those to other queries, and of strangers, are ignored. */
  onResponse({ ltime, id, from, payload }: QueryResponse): void {
    const ask = this.open.find((it) => it.ltime === ltime && it.id === id);
    const member = this.parts.members.get(from);
    if (ask === undefined || payload === null || member?.isThere !== true) return;
    ask.answers.set(from, payload.slice());
    if (this.silent(ask).length === 0) this.end(ask);
  }

  stop(): void {
    for (const ask of [...this.open]) this.end(ask);
  }

  private end(ask: Ask): void {
    const index = this.open.indexOf(ask);
    if (index < 0) return;
    this.open.splice(index, 1);
    this.parts.clock.cancel(ask.timer);
    ask.resolve({ answers: ask.answers, silent: this.silent(ask) });
  }

  private silent({ answers }: Ask): string[] {
    const there = this.parts.members.all.filter(({ isThere }) => isThere);
    return there.map(({ name }) => name).filter((name) => !answers.has(name));
  }
}
