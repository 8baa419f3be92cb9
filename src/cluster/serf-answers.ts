/**
 * SerfAnswers: answers to queries of Serf (hashicorp/serf, query.go and internal_query.go): the
 * acknowledgement, the member behind a name that two nodes claim, and changes of keys.
 *
 *     query --filters--> acknowledgement, answer --directly, and by relays--> the asking member
 *
 * Answers and relayed messages go to members only: a stranger cannot make this node send anything
 * to others.
 */
import type { Clock } from "../core/clock.ts";
import { ConfigError } from "../core/errors.ts";
import { SERF_RELAYS_MAX } from "../core/limits.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Random } from "../core/random.ts";
import { userMessage } from "../gossip/body.ts";
import { fingerprintOf, type Keyring } from "../gossip/keyring.ts";
import { MEMBER_STATE, type MemberState } from "../gossip/messages.ts";
import {
  decodeKeyRequest,
  encodeConflictResponse,
  encodeKeyResponse,
  encodeQueryResponse,
  encodeRelay,
  type Filter,
  INTERNAL_QUERY_PREFIX,
  type KeyAnswer,
  type Query,
  type Relay,
} from "../gossip/serf-queries.ts";
import type { TcpAddress } from "../net/address.ts";
import { ipText } from "../net/ip.ts";
import type { Member } from "./member.ts";
import type { Members } from "./members.ts";
import { shuffled } from "./prober.ts";
import { QueryRate } from "./query-rate.ts";

/** Serf's MemberStatus. */
const STATUS: Readonly<Record<MemberState, number>> = {
  [MEMBER_STATE.ALIVE]: 1,
  [MEMBER_STATE.SUSPECT]: 1,
  [MEMBER_STATE.LEFT]: 3,
  [MEMBER_STATE.DEAD]: 4,
};

const KEY_QUERIES = ["install-key", "use-key", "remove-key", "list-keys"].map((name) => {
  return INTERNAL_QUERY_PREFIX + name;
});

export class SerfAnswers {
  private readonly members: Members;
  private readonly keyring: Keyring | null;
  private readonly random: Random;
  private readonly keyRate: QueryRate;
  private readonly send: (to: TcpAddress, message: Uint8Array) => void;
  private readonly onNotice: (level: LogLevel, line: string) => void;

  constructor(parts: {
    clock: Clock;
    members: Members;
    keyring: Keyring | null;
    random: Random;
    /** A datagram with one message of memberlist. */
    send: (to: TcpAddress, message: Uint8Array) => void;
    onNotice: (level: LogLevel, line: string) => void;
  }) {
    this.members = parts.members;
    this.keyring = parts.keyring;
    this.random = parts.random;
    this.keyRate = new QueryRate(parts.clock);
    this.send = parts.send;
    this.onNotice = parts.onNotice;
  }

  /** Answers a query. Throws WireError BAD_FRAME when its payload cannot be read. */
  answer(query: Query): void {
    const asker = this.memberAt(query);
    if (asker === null || !query.filters.every((filter) => this.passes(filter))) return;
    if (query.wantsAck) this.respond(query, asker, null);
    if (!query.name.startsWith(INTERNAL_QUERY_PREFIX)) return;
    if (KEY_QUERIES.includes(query.name) && !this.keyRate.take(asker.name)) {
      const what = `ignored queries about gossip keys of member "${asker.name}"`;
      this.onNotice("warn", `${what}: it, or all members, ask too often`);
      return;
    }
    const payload = this.answerTo(query, asker);
    if (payload !== null) this.respond(query, asker, payload);
  }

  /** The answer of this node to its own query, or null. */
  ownTo(query: Query): Uint8Array | null {
    return this.answerTo(query, this.members.self);
  }

  /**
   * Relays a message to another member, in case the direct way does not work.
   */
  forward(relay: Relay): void {
    const member = this.memberAt(relay);
    if (member !== null) this.send(member.address, userMessage(relay.message));
  }

  private answerTo({ name, payload }: Query, asker: Member): Uint8Array | null {
    switch (name.slice(INTERNAL_QUERY_PREFIX.length)) {
      case "conflict":
        return this.conflict(new TextDecoder().decode(payload));
      case "install-key":
        return this.changeKeys("add", payload, asker);
      case "use-key":
        return this.changeKeys("use", payload, asker);
      case "remove-key":
        return this.changeKeys("remove", payload, asker);
      case "list-keys":
        return this.listKeys();
      default:
        return null; // "ping" is answered by the acknowledgement.
    }
  }

  /** The member with this name. Null for this node, which does not answer about itself. */
  private conflict(name: string): Uint8Array | null {
    if (name === this.members.self.name) return null;
    const member = this.members.get(name);
    if (member === null) return encodeConflictResponse(null);
    const { addrBytes: addr, port, tags, vsn, stateCode } = member;
    return encodeConflictResponse({ name, addr, port, tags, vsn, status: STATUS[stateCode] });
  }

  /**
   * Changes keys together with Serf's agents. Otherwise they would soon encrypt with a key that
   * this node does not have, and the cluster would split.
   */
  private changeKeys(how: "add" | "use" | "remove", payload: Uint8Array, asker: Member) {
    const { keyring } = this;
    if (keyring === null) return refusal("No keyring to modify (encryption not enabled)");
    const key = decodeKeyRequest(payload);
    try {
      keyring[how](key);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return refusal(error.message);
    }
    const did = { add: "added", use: "used to encrypt", remove: "removed" }[how];
    const what = `gossip key ${fingerprintOf(key)} is ${did} by member "${asker.name}"`;
    this.onNotice("info", `${what}: change the key file of this node too`);
    return done();
  }

  private listKeys(): Uint8Array {
    const { keyring } = this;
    if (keyring === null) return refusal("Keyring is empty (encryption not enabled)");
    const keys = keyring.keys().map((key) => Buffer.from(key).toString("base64"));
    return done({ keys, inFile: keysInFile(keyring) });
  }

  private respond(query: Query, asker: Member, payload: Uint8Array | null): void {
    const { ltime, id } = query;
    const from = this.members.self.name;
    const message = encodeQueryResponse({ ltime, id, from, payload });
    this.send(asker.address, userMessage(message));
    const there = this.members.all.filter((it) => it.stateCode === MEMBER_STATE.ALIVE);
    if (query.relays === 0 || there.length < query.relays + 1) return;
    const { addrBytes: addr, port, name } = asker;
    const relayed = userMessage(encodeRelay({ addr, port, message }, name));
    const others = shuffled(there, this.random).filter((it) => !it.isSelf && it !== asker);
    for (const member of others.slice(0, Math.min(query.relays, SERF_RELAYS_MAX))) {
      this.send(member.address, relayed);
    }
  }

  private passes(filter: Filter): boolean {
    switch (filter.kind) {
      case "nodes":
        return filter.names.includes(this.members.self.name);
      case "tag":
        return matches(filter.expression, this.members.self.tags.get(filter.tag) ?? "");
      case "unknown":
        return false;
    }
  }

  private memberAt({ addr, port }: { addr: Uint8Array; port: number }): Member | null {
    if (addr.byteLength !== 4 && addr.byteLength !== 16) return null;
    const host = ipText(addr);
    const isIt = (it: Member): boolean => it.isThere && it.addr === host && it.port === port;
    return this.members.all.find(isIt) ?? null;
  }
}

/**
 * Matches regular expressions of words with "^", "$" and "|". Others never match: they could keep
 * this process busy for hours.
 */
export function matches(expression: string, text: string): boolean {
  if (!/^[\w ./:@,^$|-]*$/.test(expression)) return false;
  return expression.split("|").some((part) => {
    const word = part.replace(/^\^/, "").replace(/\$$/, "");
    if (/[\^$]/.test(word)) return false;
    const fits = (at: number): boolean => {
      return [...word].every(
        (char, i) => char === text[at + i] || (char === "." && at + i < text.length),
      );
    };
    const last = text.length - word.length;
    if (last < 0) return false;
    const from = part.endsWith("$") ? last : 0;
    const to = part.startsWith("^") ? 0 : last;
    for (let at = from; at <= to; at += 1) if (fits(at)) return true;
    return false;
  });
}

const NO_KEYS = { keys: [], inFile: null };

function done(answer: Partial<KeyAnswer> = {}): Uint8Array {
  return encodeKeyResponse({ ...NO_KEYS, ...answer, done: true, message: "" });
}

function refusal(message: string): Uint8Array {
  return encodeKeyResponse({ ...NO_KEYS, done: false, message });
}

/** A file that cannot be read has no keys: the next start fails. */
function keysInFile(keyring: Keyring): string[] | null {
  try {
    return keyring.inFile()?.map(fingerprintOf) ?? null;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [];
  }
}
