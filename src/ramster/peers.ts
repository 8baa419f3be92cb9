/**
 * What ramster needs of the network: the established channel to a node, and a way to ask for one.
 * Links provides it.
 */
import type { Channel } from "../net/channel.ts";

export interface Peers {
  /** The established channel, or null. */
  channelOf(node: number): Channel | null;
  /** False for one that is gone: nothing brings a link to it now. */
  isPeer(node: number): boolean;
  /** There is something to send: dial until it is up or `unwant`. */
  want(node: number): void;
  unwant(node: number): void;
}
