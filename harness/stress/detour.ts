/**
 * Detour: the relay between the real processes of one run. It knows the flags that make all traffic
 * between nodes go through the relay.
 *
 * A node behind it gets fixed ports, because the relay must know the node's gossip port before the
 * first datagram. Only here are ports chosen; everywhere else they are 0.
 */
import type { Random } from "../../src/core/random.ts";
import { formatAddress } from "../../src/net/address.ts";
import { BunClock, BunTransport } from "../../src/net/bun.ts";
import { freePort } from "./free-port.ts";
import { originOf } from "./origin.ts";
import { Relay } from "./relay.ts";

/** From this delay on, one way, probes are answered later than the preset "local" allows. */
const WAN_DELAY_MS = 25;

export interface DetourOptions {
  /** 0 .. 1. */
  readonly loss: number;
  readonly delayMs: number;
}

/** Where others reach a node, and the flags for that. */
export interface DetouredNode {
  /** `HOST:PORT` of the relay, for pages and for gossip. */
  readonly pages: string;
  readonly gossip: string;
  readonly flags: readonly string[];
  readonly gossipFlags: readonly string[];
}

export class Detour {
  readonly relay: Relay;
  /** Process ids by node: they tell whose a stream is when a pair is cut. */
  readonly pids = new Map<number, number>();
  private readonly transport = new BunTransport();
  private readonly random: Random;
  private readonly options: DetourOptions;
  private readonly taken = new Set<number>();

  constructor(random: Random, options: DetourOptions) {
    this.random = random;
    this.options = options;
    this.relay = new Relay(
      { transport: this.transport, clock: new BunClock(), random },
      { ...options, originOf: (port, relayPort) => originOf(this.pids, port, relayPort) },
    );
  }

  /** Opens the relay for a node that is about to start. */
  async addNode(number: number): Promise<DetouredNode> {
    const pages = await freePort(this.transport, this.random, this.taken);
    const gossip = await freePort(this.transport, this.random, this.taken);
    const pagesRelay = formatAddress(await this.relay.open(number, "pages"));
    const gossipRelay = formatAddress(await this.relay.open(number, "gossip"));
    this.relay.connectTo(number, { stream: pages, datagram: null }, "pages");
    this.relay.connectTo(number, { stream: gossip, datagram: gossip }, "gossip");
    return {
      pages: pagesRelay,
      gossip: gossipRelay,
      flags: [`--listen=${formatAddress(pages)}`, `--advertise=${pagesRelay}`],
      gossipFlags: [
        `--gossip=${formatAddress(gossip)}`,
        `--gossip-advertise=${gossipRelay}`,
        `--network=${this.options.delayMs >= WAN_DELAY_MS ? "wan" : "lan"}`,
      ],
    };
  }

  /** Closes every socket. */
  close(): void {
    this.relay.close();
  }
}
