/**
 * Whom an HTTP client means to talk to: the host and port of its Host header.
 *
 * A web page can give its own host name the address of this machine (DNS rebinding), and a browser
 * here would then read a port on loopback for it. Its Host is that name, so what such a port has to
 * tell goes to clients that say an address or "localhost".
 */
import { ipBytes } from "../net/ip.ts";

export interface Authority {
  readonly host: string;
  readonly port: number | null;
}

const AUTHORITY = /^(\[[0-9A-Fa-f:.]+(?:%[\w.~%-]+)?\]|[\w.~!$&'()*+,;=%-]*)(?::(\d*))?$/;
const PORT_MAX = 65535;

/** Null when it is no host with or without a port. The host may be empty. */
export function parseAuthority(text: string): Authority | null {
  const [, found, port = ""] = AUTHORITY.exec(text) ?? [];
  if (found === undefined || Number(port) > PORT_MAX) return null;
  const isBracketed = found.startsWith("[");
  const host = isBracketed ? found.slice(1, -1) : found;
  if (isBracketed && (!host.includes(":") || ipBytes(host) === null)) return null;
  return { host, port: port === "" ? null : Number(port) };
}

/** Whether it needs no name server: an IP address, "localhost", or nothing. */
export function isUnnamed({ host }: Authority): boolean {
  return host === "" || /^localhost\.?$/i.test(host) || ipBytes(host) !== null;
}
