/**
 * The head of an HTTP/1 request: bytes to a request, or to the reason why they are none (RFC 9112).
 *
 * Strict, since whoever is answered here is a machine: what the standard allows and no client sends
 * (folded headers, a space before a colon) is refused.
 */
import { HTTP_LINE_BYTES_MAX } from "../core/limits.ts";
import { type Authority, parseAuthority } from "./authority.ts";

export interface HttpRequest {
  readonly method: string;
  /** Without the query; not decoded. */
  readonly path: string;
  /** Whom the client means to talk to. Null: it does not say, as HTTP/1.0 may. */
  readonly authority: Authority | null;
  readonly isHttp10: boolean;
  /** Whether another request may follow on the connection. */
  readonly keepsOpen: boolean;
}

/** Why there is no request, as an answer. */
export interface HttpRefusal {
  readonly status: number;
  readonly reason: string;
}

const TOKEN_CHARACTER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:\t|\P{Cc})*)$/u;
/** A target with scheme and authority, as a proxy sends it. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)([^#]*)$/i;

/** Whether a request may begin with this byte: one of a token. Bytes of TLS do not. */
export function mayBegin(byte: number): boolean {
  return TOKEN_CHARACTER.test(String.fromCharCode(byte));
}

export function isRefusal(result: HttpRequest | HttpRefusal): result is HttpRefusal {
  return "status" in result;
}

/** Why `line` is no request line, or null. It may be looked at before the rest is there. */
export function refusalOfLine(line: string): HttpRefusal | null {
  if (line.length > HTTP_LINE_BYTES_MAX) {
    return refusal(414, `the request line is longer than ${HTTP_LINE_BYTES_MAX} bytes`);
  }
  const [, , , major] = REQUEST_LINE.exec(line) ?? [];
  if (major === undefined) return refusal(400, "the first line is no request line of HTTP/1.1");
  if (major !== "1") return refusal(400, "this port speaks HTTP/1.1 and HTTP/1.0");
  return null;
}

/** `head`: the lines up to the empty one, with that, a character for each byte. */
export function parseHead(head: string): HttpRequest | HttpRefusal {
  const [line = "", ...rest] = head.replace(/\r?\n\r?\n$/, "").split(/\r?\n/);
  const refused = refusalOfLine(line);
  if (refused !== null) return refused;
  const [, method = "", target = "", , minor] = REQUEST_LINE.exec(line) ?? [];
  const headers = parseHeaders(rest);
  if (headers === null) return refusal(400, "one of the headers is malformed");
  const isHttp10 = minor === "0";
  const found = readTarget(target, headers.get("host"), isHttp10);
  if ("status" in found) return found;
  const body = hasBody(headers);
  if (body === null) return refusal(400, "the Content-Length is no number");
  const options = (headers.get("connection") ?? []).flatMap((it) => it.toLowerCase().split(","));
  const says = (option: string): boolean => options.some((it) => it.trim() === option);
  // A body is not read, so nothing behind it can be.
  const keepsOpen = !body && !says("close") && (!isHttp10 || says("keep-alive"));
  return { method, ...found, isHttp10, keepsOpen };
}

/** Names in lower case to their values; null when a line is no header. */
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
  if (hosts === undefined && !isHttp10) return refusal(400, "there is no Host");
  const [host = "", ...more] = hosts ?? [];
  if (more.length > 0) return refusal(400, "there is more than one Host");
  const ofHost = host === "" ? null : parseAuthority(host);
  if (host !== "" && ofHost === null) return refusal(400, "the Host is no host and port");
  if (target.startsWith("/")) return { path: pathOf(target), authority: ofHost };
  const [, named, rest = ""] = ABSOLUTE.exec(target) ?? [];
  if (named !== undefined) {
    // It takes the place of the Host (RFC 9112, 3.2.2).
    const authority = parseAuthority(named);
    if (authority !== null && named !== "") return { path: pathOf(rest), authority };
  }
  return refusal(400, "the request's target is no path");
}

function pathOf(target: string): string {
  const path = target.replace(/[?#].*$/, "");
  return path === "" ? "/" : path;
}

/** Null when its length is malformed. */
function hasBody(headers: ReadonlyMap<string, readonly string[]>): boolean | null {
  const lengths = headers.get("content-length") ?? [];
  if (!lengths.every((length) => /^\d+$/.test(length))) return null;
  return headers.has("transfer-encoding") || lengths.some((length) => Number(length) !== 0);
}

function refusal(status: number, reason: string): HttpRefusal {
  return { status, reason };
}
