/**
 * The head of an HTTP/1 request: text to a request, or to the reason for a refusal (RFC 9112).
 *
 * The parser is strict, since its clients are programs. It refuses obsolete forms that no client
 * sends, such as folded headers or a space before a colon.
 */
import { HTTP_LINE_BYTES_MAX } from "../core/monitoring-limits.ts";
import { type Authority, parseAuthority } from "./authority.ts";

export interface HttpRequest {
  readonly method: string;
  /** The path without the query. It is not decoded. */
  readonly path: string;
  /** The host that the client addresses. Null if the request is HTTP/1.0 and names none. */
  readonly authority: Authority | null;
  /** The site of the web page that made a browser send it (RFC 6454). Null: it was no page. */
  readonly origin: string | null;
  readonly isHttp10: boolean;
  /** Whether another request may follow on the connection. */
  readonly keepsOpen: boolean;
}

/** Why a request is refused: the status and the reason of the answer. */
export interface HttpRefusal {
  readonly status: number;
  readonly reason: string;
}

const TOKEN_CHARACTER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:\t|\P{Cc})*)$/u;
/** A target with scheme and authority, as a proxy sends it. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)([^#]*)$/i;

/** Whether a request may begin with this byte, a token character. TLS begins with others. */
export function mayBegin(byte: number): boolean {
  return TOKEN_CHARACTER.test(String.fromCharCode(byte));
}

export function isRefusal(result: HttpRequest | HttpRefusal): result is HttpRefusal {
  return "status" in result;
}

/** Why `line` is refused as a request line, or null. The other lines do not matter. */
export function refusalOfLine(line: string): HttpRefusal | null {
  if (line.length > HTTP_LINE_BYTES_MAX) {
    return refusal(414, `the request line is longer than ${HTTP_LINE_BYTES_MAX} bytes`);
  }
  const [, , , major] = REQUEST_LINE.exec(line) ?? [];
  if (major === undefined) return refusal(400, "the first line is not a request line of HTTP/1.1");
  if (major !== "1") return refusal(400, "this port speaks HTTP/1.1 and HTTP/1.0");
  return null;
}

/** `head`: the lines up to and including the empty line, one character a byte. */
export function parseHead(head: string): HttpRequest | HttpRefusal {
  const [line = "", ...rest] = head.replace(/\r?\n\r?\n$/, "").split(/\r?\n/);
  const refused = refusalOfLine(line);
  if (refused !== null) return refused;
  const [, method = "", target = "", , minor] = REQUEST_LINE.exec(line) ?? [];
  const headers = parseHeaders(rest);
  if (headers === null) return refusal(400, "one of the headers is malformed");
  const isHttp10 = minor === "0";
  const addressed = readTarget(target, headers.get("host"), isHttp10);
  if ("status" in addressed) return addressed;
  const body = hasBody(headers);
  if (body === null) return refusal(400, "the Content-Length is not a number");
  const options = (headers.get("connection") ?? []).flatMap((it) => it.toLowerCase().split(","));
  const hasOption = (option: string): boolean => options.some((it) => it.trim() === option);
  // A body is never read, so a request behind it is not read either.
  const keepsOpen = !body && !hasOption("close") && (!isHttp10 || hasOption("keep-alive"));
  const origin = headers.get("origin")?.join() ?? null;
  return { method, ...addressed, origin, isHttp10, keepsOpen };
}

/** Values by lower-case name; null when a line is not a header. */
function parseHeaders(lines: readonly string[]): Map<string, string[]> | null {
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const [, name, value] = HEADER.exec(line) ?? [];
    if (name === undefined || value === undefined) return null;
    const key = name.toLowerCase();
    const values = headers.get(key);
    if (values === undefined) headers.set(key, [value.trimEnd()]);
    else values.push(value.trimEnd());
  }
  return headers;
}

function readTarget(
  target: string,
  hosts: readonly string[] | undefined,
  isHttp10: boolean,
): Pick<HttpRequest, "path" | "authority"> | HttpRefusal {
  if (hosts === undefined && !isHttp10) return refusal(400, "the Host header is missing");
  const [host = "", ...more] = hosts ?? [];
  if (more.length > 0) return refusal(400, "there is more than one Host header");
  const ofHost = host === "" ? null : parseAuthority(host);
  if (host !== "" && ofHost === null) return refusal(400, "the Host header is not a host and port");
  if (target.startsWith("/")) return { path: pathOf(target), authority: ofHost };
  const [, named, rest = ""] = ABSOLUTE.exec(target) ?? [];
  if (named !== undefined) {
    // The authority of the target replaces the Host header (RFC 9112, 3.2.2).
    const authority = parseAuthority(named);
    if (authority !== null && named !== "") return { path: pathOf(rest), authority };
  }
  return refusal(400, "the request target is not a path");
}

function pathOf(target: string): string {
  const path = target.replace(/[?#].*$/, "");
  return path === "" ? "/" : path;
}

/** @returns null when the Content-Length is malformed. */
function hasBody(headers: ReadonlyMap<string, readonly string[]>): boolean | null {
  const lengths = headers.get("content-length") ?? [];
  if (!lengths.every((length) => /^\d+$/.test(length))) return null;
  return headers.has("transfer-encoding") || lengths.some((length) => Number(length) !== 0);
}

function refusal(status: number, reason: string): HttpRefusal {
  return { status, reason };
}
