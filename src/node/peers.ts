/** Peers as text, `N@HOST:PORT,...`: one for the flag, a whole list for the knob. */
import { ConfigError } from "../core/errors.ts";
import { NODES_MAX } from "../core/limits.ts";
import { parseAddress } from "../net/address.ts";
import type { PeerConfig } from "./config.ts";

/** One peer. Throws ConfigError BAD_CONFIG that says what is wrong with it. */
export function parsePeer(text: string): PeerConfig {
  const at = text.indexOf("@");
  if (at < 0) throw refuse('write number and address, as in "0@10.0.0.1:7777"');
  const number = text.slice(0, at);
  if (!/^\d+$/.test(number) || Number(number) >= NODES_MAX) {
    throw refuse(`the number before "@" must be 0 .. ${NODES_MAX - 1}`);
  }
  const address = parseAddress(text.slice(at + 1));
  if (address.kind !== "tcp") throw refuse('nodes talk over TCP, write "HOST:PORT"');
  return { number: Number(number), address };
}

/** A list, each number once and none of them `own`. Throws ConfigError BAD_CONFIG. */
export function parsePeers(text: string, own: number): PeerConfig[] {
  const peers = text.split(",").map(parsePeer);
  for (const [i, { number }] of peers.entries()) {
    if (number === own) throw refuse(`node ${number} is this node`);
    const first = peers.findIndex((peer) => peer.number === number);
    if (first !== i) throw refuse(`node ${number} is there twice`);
  }
  return peers;
}

function refuse(detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", detail);
}
