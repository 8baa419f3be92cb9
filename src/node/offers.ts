/**
 * Offers: messages on links that say what a node lends. They are for peers of `--peers`, which do
 * not gossip.
 *
 *     this node lends    HELLO of the other side asks for offers --> OFFER, now and when it changes
 *     this node borrows  links to all peers of --peers --> OFFER --> a lender, for "auto"
 *
 * A borrower keeps links to peers that it has news of only on links. With the target "auto" these
 * are all peers, so that their offers arrive. With another target they are the holders of its
 * pages. A link that stays down is news as well. After PEER_DEAD_MS without a link a peer counts as
 * dead, and pages with copies there get copies elsewhere. When it links again, its copies count
 * again.
 *
 * A peer of `--peers` may also gossip. Gossip then knows more, and the offers of the peer are not
 * used.
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

const CHECK_MS = 1000;

/** A peer with a link, and the last offer to it. */
interface Listener {
  readonly channel: Channel;
  /** Whether it asked for offers. */
  readonly asks: boolean;
  sent: OfferBody | null;
  sentAtMs: number;
}

export class Offers {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly links: Links;
  private readonly ramster: Ramster;
  /** What this node lends, in rounded figures. */
  private readonly offerOf: () => OfferBody;
  /** The current peers of `--peers`. */
  private readonly peers: readonly PeerConfig[];
  private readonly settings: { readonly unusedMs: number };
  private readonly gossiping = new Set<number>();
  private readonly listeners = new Map<number, Listener>();
  /** The last offer of each node. */
  private readonly offers = new Map<number, OfferBody>();
  /** Since when each node without a link has had none. */
  private readonly missing = new Map<number, number>();
  /** Nodes that are dead or have left. */
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
    this.timer = this.clock.after(CHECK_MS, () => this.start());
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer);
    this.timer = null;
  }

  /** The last offer of the node. Null if it has sent none. */
  of(node: number): OfferBody | null {
    return this.offers.get(node) ?? null;
  }

  /** The offer as reports show it. Scripts read these names. */
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
    const listener = { channel, asks, sent: null, sentAtMs: this.clock.now() };
    this.listeners.set(node, listener);
    if (asks) this.send(listener, this.offerOf());
  }

  linkDown(node: number): void {
    this.listeners.delete(node);
  }

  /**
   * OFFER arrived. Only offers of `--peers` are used, since there is no address to fetch pages from
   * other peers again.
   */
  onOffer(node: number, offer: OfferBody): void {
    const peer = this.peers.find(({ number }) => number === node);
    if (peer === undefined || this.gossiping.has(node)) return;
    this.offers.set(node, offer);
    const { lendFrames, freeFrames } = offer;
    const zone = offer.zone === "" ? peer.address.host : offer.zone;
    if (lendFrames > 0) this.ramster.setLender(node, { lendFrames, freeFrames, zone });
    else this.ramster.removeLender(node);
  }

  /** Gossip knows this node, so its offers are not used. */
  gossips(node: number): void {
    this.gossiping.add(node);
    this.offers.delete(node);
  }

  /** The node is no longer in `--peers`. */
  forget(node: number): void {
    this.missing.delete(node);
    this.gone.delete(node);
    if (this.offers.delete(node)) this.ramster.removeLender(node);
  }

  /** The node announced that it stops. */
  hasLeft(node: number): void {
    this.offers.delete(node);
    this.gone.add(node);
  }

  private step(): void {
    const offer = this.offerOf();
    for (const listener of this.listeners.values()) {
      const isNews = listener.sent === null || !isSame(listener.sent, offer);
      if (listener.asks && isNews) this.send(listener, offer);
    }
    for (const { number } of this.peers) if (this.isKept(number)) this.keep(number, offer);
  }

  private isKept(node: number): boolean {
    if (this.gossiping.has(node)) return false;
    return this.ramster.target === "auto" || this.ramster.remotePageCount(node) > 0;
  }

  private send(listener: Listener, offer: OfferBody): void {
    const { channel } = listener;
    if (!channel.isOpen || !channel.begin(LANE.URGENT, OFFER_BYTES_MAX)) return;
    channel.commitNotice(MESSAGE.OFFER, writeOffer(channel.view, channel.at, offer));
    listener.sent = offer;
    listener.sentAtMs = this.clock.now();
  }

  /**
   * Keeps the link in use by sending `own`. Without a link for a while, the peer counts as dead.
   */
  private keep(node: number, own: OfferBody): void {
    const now = this.clock.now();
    const listener = this.listeners.get(node);
    if (listener !== undefined) {
      const refreshMs = Math.min(OFFER_REFRESH_MS, this.settings.unusedMs / 2);
      if (now - listener.sentAtMs >= refreshMs) this.send(listener, own);
      return;
    }
    this.links.want(node);
    const sinceMs = this.missing.get(node) ?? now;
    this.missing.set(node, sinceMs);
    if (now - sinceMs < PEER_DEAD_MS || this.gone.has(node)) return;
    this.gone.add(node);
    this.offers.delete(node);
    const what = `${this.log.names.of(node)} has no link for ${PEER_DEAD_MS / 1000} s`;
    this.log.write("warn", "ramster", `${what}: it counts as dead`);
    this.ramster.holderDead(node);
    this.links.want(node); // The node may come back.
  }
}

function isSame(a: OfferBody, b: OfferBody): boolean {
  const isSameRoom = a.lendFrames === b.lendFrames && a.freeFrames === b.freeFrames;
  return isSameRoom && a.isDrained === b.isDrained && a.zone === b.zone;
}
