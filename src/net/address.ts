/**
 * Addresses have one text form for flags, settings and reports, and one parsed form for a
 * Transport.
 *
 *     tcp:HOST:PORT   HOST:PORT   [IPV6]:PORT   tcp:[IPV6]:PORT   unix:PATH
 *
 * HOST is a name or an IPv4 address. It is not looked up here. Listening at port 0 takes any free
 * port. A connect to port 0 fails.
 *
 * Not here: the bytes of IP addresses (ip.ts).
 */
import { ConfigError } from "../core/errors.ts";
import { ipBytes } from "./ip.ts";

export interface TcpAddress {
  readonly kind: "tcp";
  readonly host: string;
  readonly port: number;
}

export interface UnixAddress {
  readonly kind: "unix";
  readonly path: string;
}

export type Address = TcpAddress | UnixAddress;

/** `sun_path` of unix(7) has 108 bytes, the last of them for the closing zero. */
const UNIX_PATH_BYTES_MAX = 107;
/** RFC 1035, 2.3.4: the longest host name. */
const HOST_LENGTH_MAX = 253;
const PORT_MAX = 65535;

/** Throws ConfigError BAD_CONFIG with a line that quotes `text` and names what is wrong. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) return parseUnix(text, text.slice("unix:".length));
  if (text.startsWith("/")) throw bad(text, `it is a path, write "unix:${text}" for a socket`);
  return parseTcp(text, '"HOST:PORT" or "unix:PATH"');
}

/** `forms` are the forms that an address may have here. */
function parseTcp(text: string, forms: string): TcpAddress {
  const rest = text.startsWith("tcp:") ? text.slice("tcp:".length) : text;
  const colon = rest.lastIndexOf(":");
  if (colon < 0) throw bad(text, `no port, write ${forms}`);
  const host = parseHost(text, rest.slice(0, colon));
  return { kind: "tcp", host, port: parsePort(text, rest.slice(colon + 1)) };
}

/** Like `parseAddress`, for an address that cannot be a unix socket. */
export function parseTcpAddress(text: string): TcpAddress {
  if (text.startsWith("unix:")) throw bad(text, 'nodes talk over TCP, write "HOST:PORT"');
  return parseTcp(text, '"HOST:PORT"');
}

/** The shortest text that `parseAddress` reads back to the same address. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** Whether the host can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}

function parseUnix(text: string, path: string): UnixAddress {
  if (path.length === 0) throw bad(text, "the socket path is empty");
  if (path.includes("\0")) throw bad(text, "the socket path contains a zero byte");
  if (new TextEncoder().encode(path).length > UNIX_PATH_BYTES_MAX) {
    throw bad(text, `the socket path is longer than ${UNIX_PATH_BYTES_MAX} bytes`);
  }
  return { kind: "unix", path };
}

function parseHost(text: string, host: string): string {
  if (host.length === 0) throw bad(text, "the host is empty");
  if (host.startsWith("[")) {
    if (!host.endsWith("]")) throw bad(text, "the bracket is not closed");
    const inner = host.slice(1, -1);
    // Only the characters are checked: the operating system knows its own zones.
    if (!inner.includes(":") || !/^[0-9a-fA-F:.]+(%[0-9A-Za-z_.-]+)?$/.test(inner)) {
      throw bad(text, `"${inner}" is not an IPv6 address`);
    }
    return inner;
  }
  if (host.includes(":")) throw bad(text, 'an IPv6 address needs brackets, as in "[::1]:7777"');
  if (host.length > HOST_LENGTH_MAX || !/^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9.])?$/.test(host)) {
    throw bad(text, `"${host}" is not a host name`);
  }
  if (/^[0-9.]+$/.test(host) && ipBytes(host) === null) {
    throw bad(text, `"${host}" is not an IPv4 address`);
  }
  return host;
}

function parsePort(text: string, port: string): number {
  if (!/^\d{1,5}$/.test(port) || Number(port) > PORT_MAX) {
    throw bad(text, `"${port}" is not a port: use 0 to ${PORT_MAX}`);
  }
  return Number(port);
}

function bad(text: string, detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", `Cannot use address "${text}": ${detail}`);
}
