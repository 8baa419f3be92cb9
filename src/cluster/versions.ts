/**
 * Versions: the versions of the protocol, and of the delegate above it, that a member understands
 * and speaks (memberlist's Vsn).
 *
 * memberlist refuses a whole push/pull if one member speaks a version that another does not
 * understand (verifyProtocol). So a member that fits this node, but not all others, must not be
 * gossiped: no later member could join. All versions in use understand 2 to 5 of both, and speak
 * one of them. Two such members always fit, so each member must be one.
 */
import type { Versions } from "../gossip/messages.ts";

const LOWEST = 2;
const HIGHEST = 5;

/** Protocol 2 to 5, spoken 5. Serf's delegate 2 to 5, spoken 4. */
export const OWN_VERSIONS: Versions = [LOWEST, HIGHEST, 5, LOWEST, HIGHEST, 4];

/** Why a member of these versions does not fit all others. "" when it fits. */
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
  return `${has}, but must understand ${LOWEST} to ${HIGHEST}: upgrade it`;
}
