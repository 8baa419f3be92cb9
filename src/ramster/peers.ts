/** Peers: gives the established channel to a node, and requests one. net/links.ts implements it. */
import type { Channel } from "../net/channel.ts";

export interface Peers {
  /** The established channel to the node, or null. */
  channelOf(node: number): Channel | null;
  /** False for a node that is gone, since it will have no link now. */
  isPeer(node: number): boolean;
  /** There is something to send. The node is dialled until the link is up, or until `unwant`. */
  want(node: number): void;
  unwant(node: number): void;
}
