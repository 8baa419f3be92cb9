/** Peers: the established channel to a node, and a way to ask for one. net/links.ts implements it. */
import type { Channel } from "../net/channel.ts";

export interface Peers {
  /** The established channel, or null. */
  channelOf(node: number): Channel | null;
  /** False for a node that is gone: it will have no link now. */
  isPeer(node: number): boolean;
  /** Something is to be sent: dial until the link is up, or until `unwant`. */
  want(node: number): void;
  unwant(node: number): void;
}
