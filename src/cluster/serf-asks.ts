/**
 * SerfAsks: queries of Serf that this node asks all members (hashicorp/serf, query.go). A query is
 * gossiped, and each member answers directly. It ends when all have answered, or after the time
 * that Serf takes.
 *
 * The name in an answer is a claim of its sender, who need not be that member. So it is compared
 * with the address that the answer comes from:
 *
 *     of that member       its answer
 *     of another member    ignored, another port of its host too: nobody is asked to relay answers
 *     of no member         a member may send from another address than it tells, behind address
 *                          translation. It counts at the end, without an answer from its address
 *
 * Two answers for one name that differ are none. So whoever has the gossip key and forges addresses
 * of datagrams can keep a member from being heard. It cannot answer for one that answers itself.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import type { Random } from "../core/random.ts";
import { MEMBER_STATE } from "../gossip/messages.ts";
import type { LTime } from "../gossip/serf-messages.ts";
import type { Query, QueryResponse } from "../gossip/serf-queries.ts";
import type { TcpAddress } from "../net/address.ts";
import { ipBytes, ipText } from "../net/ip.ts";
import { type Member, sameBytes } from "./member.ts";
import type { Members } from "./members.ts";

/** Serf's QueryTimeoutMult. */
const TIMEOUT_ROUNDS = 16;

export interface Asked {
  /** By the name of the member. */
  readonly answers: ReadonlyMap<string, Uint8Array>;
  /** Members that should have answered. */
  readonly silent: readonly string[];
  /** Members that died, and have not left: they may come back as they were. */
  readonly dead: readonly string[];
}

/** By the name of the member. Null: answers that differ. */
type Heard = Map<string, Uint8Array | null>;

interface Ask {
  readonly ltime: LTime;
  readonly id: number;
  /** From the addresses of the members. */
  readonly direct: Heard;
  /** From addresses of no member. */
  readonly indirect: Heard;
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
      const ask: Ask = { ltime, id, direct: new Map(), indirect: new Map(), timer, resolve };
      this.open.push(ask);
      spread(query, timeoutMs);
      const own = { ltime, id, from: source, payload: answerOf(query) };
      this.onResponse(own, members.self.address);
    });
  }

  /**
   * An answer, from the address `sender`. Null: from a stream, whose address says less. Answers to
   * other queries, and of strangers, are ignored.
   */
  onResponse({ ltime, id, from, payload }: QueryResponse, sender: TcpAddress | null): void {
    const ask = this.open.find((it) => it.ltime === ltime && it.id === id);
    const member = this.parts.members.get(from);
    if (ask === undefined || payload === null || member?.isThere !== true) return;
    const isDirect = isAt(member, sender);
    if (!isDirect && this.isOfAnother(member, sender)) return;
    hear(isDirect ? ask.direct : ask.indirect, from, payload);
    if (this.isAnswered(ask)) this.end(ask);
  }

  stop(): void {
    for (const ask of [...this.open]) this.end(ask);
  }

  /** Whether all members have answered. Members that have answered may be gone since. */
  private isAnswered({ direct }: Ask): boolean {
    if (direct.size < this.parts.members.countThere) return false;
    return this.there.every(({ name }) => direct.has(name));
  }

  private end(ask: Ask): void {
    const index = this.open.indexOf(ask);
    if (index < 0) return;
    this.open.splice(index, 1);
    this.parts.clock.cancel(ask.timer);
    const answers = new Map<string, Uint8Array>();
    for (const [name, answer] of [...ask.indirect, ...ask.direct]) {
      if (answer === null) answers.delete(name);
      else answers.set(name, answer);
    }
    const silent = namesOf(this.there).filter((name) => !answers.has(name));
    const { all } = this.parts.members;
    const dead = namesOf(all.filter((it) => it.stateCode === MEMBER_STATE.DEAD));
    ask.resolve({ answers, silent, dead });
  }

  /** Whether it is the address of another member, or of its host alone. */
  private isOfAnother(member: Member, sender: TcpAddress | null): boolean {
    const host = hostOf(sender);
    if (host === member.addr) return this.there.some((it) => isAt(it, sender));
    return this.there.some((it) => it.addr === host);
  }

  private get there(): readonly Member[] {
    return this.parts.members.all.filter(({ isThere }) => isThere);
  }
}

function namesOf(members: readonly Member[]): string[] {
  return members.map(({ name }) => name);
}

function isAt(member: Member, sender: TcpAddress | null): boolean {
  return member.addr === hostOf(sender) && member.port === sender?.port;
}

/** As members have it: without a zone, and IPv4 as such. */
function hostOf(sender: TcpAddress | null): string | null {
  const bytes = ipBytes(sender?.host ?? "");
  return bytes === null ? null : ipText(bytes);
}

function hear(heard: Heard, name: string, payload: Uint8Array): void {
  const before = heard.get(name);
  if (before === undefined) heard.set(name, payload.slice());
  else if (before !== null && !sameBytes(before, payload)) heard.set(name, null);
}
