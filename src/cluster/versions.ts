/**
 * Versions: which versions of the protocol, and of the layer above it, a member understands and
 * speaks (memberlist's Vsn).
 *
 * memberlist merges no push/pull in which one member speaks what another one does not understand
 * (verifyProtocol). So a member that fits us and not the others must not be passed on: it would
 * keep everybody out who comes after it. All that is in use understands 2 to 5 of both and speaks
 * something in between; two such members always fit each other, so that is what is asked of each.
 */
import type { Versions } from "../gossip/messages.ts";

const LOWEST = 2;
const HIGHEST = 5;

/** Protocol 2 to 5, speaking 5; Serf's delegate 2 to 5, speaking 4. */
export const OWN_VERSIONS: Versions = [LOWEST, HIGHEST, 5, LOWEST, HIGHEST, 4];

/** "" when a member of these versions fits all others, else why not. */
export function reasonNotToFit(versions: Versions): string {
  const [protocolMin, protocolMax, protocol, delegateMin, delegateMax, delegate] = versions;
  return (
    reason("protocol", protocolMin, protocolMax, protocol) ||
    reason("delegate protocol", delegateMin, delegateMax, delegate)
  );
}

function reason(what: string, min: number, max: number, spoken: number): string {
  const understands = min > 0 && min <= LOWEST && max >= HIGHEST;
  if (understands && spoken >= LOWEST && spoken <= HIGHEST) return "";
  const has = `it speaks ${what} ${spoken} and understands ${min} to ${max}`;
  return `${has}, and ${LOWEST} to ${HIGHEST} are needed`;
}
