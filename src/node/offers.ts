/**
 * Offers: what nodes lend, told on links, for those that do not gossip: peers named by hand.
 *
 *     this node lends    HELLO of the other side asks for offers --> OFFER, now and when it changes
 *     this node borrows  links to all peers named by hand --> OFFER --> a lender, for "auto"
 *
 * A borrower keeps the links to those that it hears of nowhere else: with the target "auto" all
 * peers, so that an offer is news, and always those that keep its pages. A link that does not come
 * back is news as well: after PEER_DEAD_MS without one the peer is taken for dead, as gossip would
 * say, and its pages get copies elsewhere. When it links again it has what it had.
 *
 * Gossip knows more of a peer that is named by hand and gossips: then its offers are not needed.
 *
 * Not here: which lenders are chosen (ramster/holders/lenders.ts), what is lent (lending.ts).
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { OFFER_REFRESH_MS, PEER_DEAD_MS } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { type Channel, LANE } from "../net/channel.ts";
import type { Links } from "../net/links.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { FEATURE } from "../wire/handshake.ts";
import { MESSAGE } from "../wire/messages.ts";
import { OFFER_BYTES_MAX, type OfferBody, writeOffer } from "../wire/offer.ts";
import type { PeerConfig } from "./peers.ts";

const LOOK_MS = 1000;

/** A peer with a link, and what it was told. */
interface Listener {
  readonly channel: Channel;
  /** Whether it asked to be told. */
  readonly asks: boolean;
  told: OfferBody | null;
  toldAtMs: number;
}

export class Offers {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly links: Links;
  private readonly ramster: Ramster;
  /** What this node lends, in steps. */
  private readonly offerOf: () => OfferBody;
  /** As they are named by hand now. */
  private readonly peers: readonly PeerConfig[];
  private readonly settings: { readonly unusedMs: number };
  private readonly gossiping = new Set<number>();
  private readonly listeners = new Map<number, Listener>();
  /** Of the others. */
  private readonly offers = new Map<number, OfferBody>();
  /** Without a link, and since when. */
  private readonly missing = new Map<number, number>();
  /** Dead, or left. */
  private readonly gone = new Set<number>();
  private timer: TimerId | null = null;

  constructor(
    parts: { clock: Clock; log: Log; links: Links; ramster: Ramster; offerOf: () => OfferBody },
    peers: readonly PeerConfig[],
    settings: { readonly unusedMs: number },
  ) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.links = parts.links;
    this.ramster = parts.ramster;
    this.offerOf = parts.offerOf;
    this.peers = peers;
    this.settings = settings;
  }

  start(): void {
    this.step();
    this.timer = this.clock.after(LOOK_MS, () => this.start());
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  /** Null: it has told nothing. */
  of(node: number): OfferBody | null {
    return this.offers.get(node) ?? null;
  }

  /** For reports. Names are part of what scripts read. */
  statsOf(node: number) {
    const offer = this.of(node);
    return {
      lend_frames: offer?.lendFrames ?? 0,
      free_frames: offer?.freeFrames ?? 0,
      drained: offer?.isDrained ?? false,
      gone: this.gone.has(node) && !this.gossiping.has(node),
    };
  }

  linkUp(node: number, channel: Channel, features: number): void {
    this.missing.delete(node);
    this.gone.delete(node);
    const asks = (features & FEATURE.OFFERS) !== 0;
    const listener = { channel, asks, told: null, toldAtMs: this.clock.now() };
    this.listeners.set(node, listener);
    if (asks) this.tell(listener, this.offerOf());
  }

  linkDown(node: number): void {
    this.listeners.delete(node);
  }

  /** OFFER. Of peers that nobody named there is no address to ask for the pages again. */
  onOffer(node: number, offer: OfferBody): void {
    const peer = this.peers.find(({ number }) => number === node);
    if (peer === undefined || this.gossiping.has(node)) return;
    this.offers.set(node, offer);
    const { lendFrames, freeFrames } = offer;
    const zone = offer.zone === "" ? peer.address.host : offer.zone;
    if (lendFrames > 0) this.ramster.setLender(node, { lendFrames, freeFrames, zone });
    else this.ramster.removeLender(node);
  }

  /** Gossip says what it lends, and whether it is there. */
  gossips(node: number): void {
    this.gossiping.add(node);
    this.offers.delete(node);
  }

  /** It is no peer any more. */
  forget(node: number): void {
    this.missing.delete(node);
    this.gone.delete(node);
    if (this.offers.delete(node)) this.ramster.removeLender(node);
  }

  /** It has said itself that it ends. */
  hasLeft(node: number): void {
    this.offers.delete(node);
    this.gone.add(node);
  }

  private step(): void {
    const offer = this.offerOf();
    for (const listener of this.listeners.values()) {
      const isNews = listener.told === null || !isSame(listener.told, offer);
      if (listener.asks && isNews) this.tell(listener, offer);
    }
    for (const { number } of this.peers) if (this.isKept(number)) this.keep(number, offer);
  }

  private isKept(node: number): boolean {
    if (this.gossiping.has(node)) return false;
    return this.ramster.target === "auto" || this.ramster.remotePageCount(node) > 0;
  }

  private tell(listener: Listener, offer: OfferBody): void {
    const { channel } = listener;
    if (!channel.isOpen || !channel.begin(LANE.URGENT, OFFER_BYTES_MAX)) return;
    channel.commitNotice(MESSAGE.OFFER, writeOffer(channel.view, channel.at, offer));
    listener.told = offer;
    listener.toldAtMs = this.clock.now();
  }

  /** Has a link, which is kept by being used, or is dead after a while. `own`: to use it with. */
  private keep(node: number, own: OfferBody): void {
    const now = this.clock.now();
    const listener = this.listeners.get(node);
    if (listener !== undefined) {
      const refreshMs = Math.min(OFFER_REFRESH_MS, this.settings.unusedMs / 2);
      if (now - listener.toldAtMs >= refreshMs) this.tell(listener, own);
      return;
    }
    this.links.want(node);
    const sinceMs = this.missing.get(node) ?? now;
    this.missing.set(node, sinceMs);
    if (now - sinceMs < PEER_DEAD_MS || this.gone.has(node)) return;
    this.gone.add(node);
    this.offers.delete(node);
    const line = `node ${node} has no link for ${PEER_DEAD_MS / 1000} s: it is taken for dead`;
    this.log.write("warn", "ramster", line);
    this.ramster.holderDead(node);
    this.links.want(node); // It may come back.
  }
}

function isSame(a: OfferBody, b: OfferBody): boolean {
  const isSameRoom = a.lendFrames === b.lendFrames && a.freeFrames === b.freeFrames;
  return isSameRoom && a.isDrained === b.isDrained && a.zone === b.zone;
}
