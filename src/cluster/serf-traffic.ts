/**
 * SerfTraffic: messages of Serf to and from other members.
 *
 *     news of intents --> news of members (cluster.ts)
 *     events, queries --> queue --> all members
 *     queries         --> answers --> the asking member
 *     own queries     --> queue;   responses --> asks
 */
import type { Clock } from "../core/clock.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Random } from "../core/random.ts";
import { userMessage } from "../gossip/body.ts";
import type { Keyring } from "../gossip/keyring.ts";
import { encodeQuery } from "../gossip/serf-queries.ts";
import type { TcpAddress } from "../net/address.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import type { Members } from "./members.ts";
import type { Serf, SerfNews } from "./serf.ts";
import { SerfAnswers } from "./serf-answers.ts";
import { type Asked, SerfAsks } from "./serf-asks.ts";

interface Parts {
  readonly clock: Clock;
  readonly random: Random;
  readonly members: Members;
  readonly serf: Serf;
  readonly keyring: Keyring | null;
  /** News of members. */
  readonly intents: BroadcastQueue;
  /** Sends a datagram with one message of memberlist. */
  readonly send: (to: TcpAddress, message: Uint8Array) => void;
  readonly onNotice: (level: LogLevel, line: string) => void;
}

export class SerfTraffic {
  /** Events and queries. News of members goes first. */
  readonly queue = new BroadcastQueue();
  private readonly intents: BroadcastQueue;
  private readonly answers: SerfAnswers;
  private readonly asks: SerfAsks;
  private readonly roomBytes: number;

  /** `roomBytes`: the longest message that fits a datagram. */
  constructor(parts: Parts, settings: { gossipIntervalMs: number; roomBytes: number }) {
    const { serf } = parts;
    this.intents = parts.intents;
    this.answers = new SerfAnswers(parts);
    this.roomBytes = settings.roomBytes;
    this.asks = new SerfAsks(
      {
        ...parts,
        queryTime: () => serf.queryTime(),
        answerOf: (query) => this.answers.ownTo(query),
        spread: (query, timeoutMs) => {
          const subject = serf.noteQuery(query);
          if (subject !== null) this.passOn(subject, encodeQuery(query, timeoutMs));
        },
      },
      settings,
    );
  }

  /** `bytes`: the message that the news came in. `sender`: null for one from a stream. */
  onNews(news: SerfNews, bytes: Uint8Array, sender: TcpAddress | null): void {
    switch (news.kind) {
      case "intent":
        return this.intents.add(news.subject, userMessage(bytes));
      case "event":
        return this.passOn(news.subject, bytes);
      case "query":
        if (news.query.isBroadcast) this.passOn(news.subject, bytes);
        return this.answers.answer(news.query);
      case "response":
        return this.asks.onResponse(news.response, sender);
      case "relay":
        return this.answers.forward(news.relay);
    }
  }

  /** Asks all members. This node answers as well. */
  ask(name: string, payload: Uint8Array): Promise<Asked> {
    return this.asks.ask(name, payload);
  }

  stop(): void {
    this.asks.stop();
  }

  /** A message that does not fit a datagram spreads by push/pull alone, as with Serf. */
  private passOn(subject: string, bytes: Uint8Array): void {
    const message = userMessage(bytes);
    if (message.byteLength <= this.roomBytes) this.queue.add(subject, message);
  }
}
