/** Peers that are named by hand: `N@HOST:PORT`. */
import { NODES_MAX } from "../core/limits.ts";
import { refused } from "../core/units.ts";
import { formatAddress, parseTcpAddress, type TcpAddress } from "../net/address.ts";

export interface PeerConfig {
  readonly number: number;
  readonly address: TcpAddress;
}

/** Throws ConfigError BAD_CONFIG with the reason. */
export function parsePeer(text: string): PeerConfig {
  const at = text.indexOf("@");
  if (at < 0) throw refused('write number and address, as in "0@10.0.0.1:7777"');
  const number = text.slice(0, at);
  if (!/^\d+$/.test(number) || Number(number) >= NODES_MAX) {
    throw refused(`the number before "@" must be 0 .. ${NODES_MAX - 1}`);
  }
  return { number: Number(number), address: parseTcpAddress(text.slice(at + 1)) };
}

export function formatPeer({ number, address }: PeerConfig): string {
  return `${number}@${formatAddress(address)}`;
}

/**
 * Checks that no number occurs twice or is `own`. Throws ConfigError BAD_CONFIG with the reason.
 */
export function checkPeerNumbers(peers: readonly PeerConfig[], own: number): void {
  for (const [i, { number }] of peers.entries()) {
    if (number === own) throw refused(`node ${number} is this node`);
    const first = peers.findIndex((peer) => peer.number === number);
    if (first !== i) throw refused(`node ${number} occurs twice`);
  }
}
