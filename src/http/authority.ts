/**
 * Authority: the host and port of a Host header (RFC 9110, 7.2).
 *
 * A web page can point its own host name at this machine (DNS rebinding). A browser here then reads
 * a port on loopback for that page, with the page's name in the Host header. So a port on loopback
 * answers only clients that use an IP address or "localhost". A browser adds the Origin of the page
 * to some requests, and a page of another site must not read the port either.
 */
import { ipBytes } from "../net/ip.ts";

export interface Authority {
  readonly host: string;
  readonly port: number | null;
}

const AUTHORITY = /^(\[[0-9A-Fa-f:.]+(?:%[\w.~%-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::(\d*))?$/;
const PORT_MAX = 65535;

/** @returns null when the text is not a host with an optional port. The host may be empty. */
export function parseAuthority(text: string): Authority | null {
  const [, name, port = ""] = AUTHORITY.exec(text) ?? [];
  if (name === undefined || Number(port) > PORT_MAX) return null;
  const isBracketed = name.startsWith("[");
  const host = isBracketed ? name.slice(1, -1) : name;
  if (isBracketed && (!host.includes(":") || ipBytes(host) === null)) return null;
  return { host, port: port === "" ? null : Number(port) };
}

/** Whether a page of that Origin was read from the host and port that `authority` names. */
export function isSameSite(origin: string, authority: Authority | null): boolean {
  const site = parseAuthority(/^https?:\/\/(.+)$/i.exec(origin)?.[1] ?? "");
  if (site === null || site.host === "" || authority === null) return false;
  return site.host.toLowerCase() === authority.host.toLowerCase() && site.port === authority.port;
}

/** Whether the host is an IP address, "localhost", or empty. */
export function isUnnamed({ host }: Authority): boolean {
  return host === "" || /^localhost\.?$/i.test(host) || ipBytes(host) !== null;
}
