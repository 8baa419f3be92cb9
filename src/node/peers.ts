/** The list of peers as text: `N@HOST:PORT,...`, for the flag and for the knob. */
import { ConfigError } from "../core/errors.ts";
import { NODES_MAX } from "../core/limits.ts";
import { parseAddress } from "../net/address.ts";
import type { PeerConfig } from "./config.ts";

/** Each number once, none of them `own`. Throws ConfigError. */
export function parsePeers(text: string, own: number): PeerConfig[] {
  const peers: PeerConfig[] = [];
  const refuse = (detail: string): ConfigError => new ConfigError("BAD_CONFIG", detail);
  for (const item of text.split(",")) {
    const match = /^(\d+)@(.+)$/.exec(item.trim());
    if (match === null) throw refuse(`"${item}" is not N@HOST:PORT`);
    const number = Number(match[1]);
    if (number >= NODES_MAX) throw refuse(`node ${number} is over ${NODES_MAX - 1}`);
    if (number === own) throw refuse(`node ${number} is this node`);
    if (peers.some((peer) => peer.number === number)) throw refuse(`node ${number} is there twice`);
    const address = parseAddress(match[2] ?? "");
    if (address.kind !== "tcp") throw refuse(`"${item}" is not N@HOST:PORT`);
    peers.push({ number, address });
  }
  return peers;
}
