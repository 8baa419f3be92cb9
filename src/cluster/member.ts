/** Member: what this node knows of one member of the cluster. */

import { MEMBER_STATE, type MemberState, type Versions } from "../gossip/messages.ts";
import { decodeTags } from "../gossip/serf-tags.ts";
import { formatAddress, type TcpAddress } from "../net/address.ts";
import { ipText } from "../net/ip.ts";
import type { Suspicion } from "./suspicion.ts";

export type MemberStateName = "alive" | "suspect" | "dead" | "left";

const STATE_NAMES: Readonly<Record<MemberState, MemberStateName>> = {
  [MEMBER_STATE.ALIVE]: "alive",
  [MEMBER_STATE.SUSPECT]: "suspect",
  [MEMBER_STATE.DEAD]: "dead",
  [MEMBER_STATE.LEFT]: "left",
};

/** The facts about a member in an "alive" message. */
export interface MemberFacts {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly vsn: Versions;
}

export class Member {
  readonly name: string;
  readonly isSelf: boolean;
  incarnation = 0;
  /** Since `stateSinceMs`. A new member is dead until it is found alive. */
  stateCode: MemberState = MEMBER_STATE.DEAD;
  stateSinceMs = 0;
  suspicion: Suspicion | null = null;
  /** Smoothed round trip time of its probes. Null before the first. */
  rttMs: number | null = null;
  private facts: MemberFacts;
  private host = "";
  private parsedTags: ReadonlyMap<string, string> | null = null;

  constructor(facts: MemberFacts, options: { isSelf: boolean }) {
    this.name = facts.name;
    this.isSelf = options.isSelf;
    this.facts = owned(facts);
    this.host = ipText(facts.addr);
  }

  get state(): MemberStateName {
    return STATE_NAMES[this.stateCode];
  }

  /** Alive or suspected. */
  get isThere(): boolean {
    return this.stateCode === MEMBER_STATE.ALIVE || this.stateCode === MEMBER_STATE.SUSPECT;
  }

  /** IP address. */
  get addr(): string {
    return this.host;
  }

  get addrBytes(): Uint8Array {
    return this.facts.addr;
  }

  get port(): number {
    return this.facts.port;
  }

  get address(): TcpAddress {
    return { kind: "tcp", host: this.host, port: this.facts.port };
  }

  get addressText(): string {
    return formatAddress(this.address);
  }

  get meta(): Uint8Array {
    return this.facts.meta;
  }

  get vsn(): Versions {
    return this.facts.vsn;
  }

  get tags(): ReadonlyMap<string, string> {
    this.parsedTags ??= decodeTags(this.facts.meta);
    return this.parsedTags;
  }

  /** @returns whether its metadata have changed. */
  learn(facts: MemberFacts): boolean {
    const changed = !sameBytes(facts.meta, this.facts.meta);
    this.facts = owned(facts);
    this.host = ipText(facts.addr);
    if (changed) this.parsedTags = null;
    return changed;
  }

  isAt(addr: Uint8Array, port: number): boolean {
    return port === this.facts.port && sameBytes(addr, this.facts.addr);
  }

  /** A round trip of a direct probe. It counts for an eighth of the mean (RFC 6298). */
  noteRoundTrip(ms: number): void {
    if (ms < 0) return; // The clock has gone back.
    this.rttMs = this.rttMs === null ? ms : this.rttMs + (ms - this.rttMs) / 8;
  }
}

/** A copy of the facts: views would keep the whole packet. */
function owned(facts: MemberFacts): MemberFacts {
  return { ...facts, addr: facts.addr.slice(), meta: facts.meta.slice() };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
}
