/**
 * Answers of HTTP/1.1 as bytes: status line, headers and body. A body is complete, or a stream that
 * lasts until the connection is closed.
 */
import type { HttpRefusal, HttpRequest } from "./request.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** More headers, such as `"Content-Language: en"`. */
  readonly headers?: readonly string[];
  /** What follows the body as it comes. Then the answer has no length. */
  readonly stream?: HttpStream;
}

export interface HttpStreamClient {
  /** False while it has not read what was sent before. Nothing may be sent then. */
  readonly isReady: boolean;
  send(text: string): void;
}

/** Text that is sent as it comes, until the client leaves. */
export interface HttpStream {
  /** The client has the body. */
  onOpen(client: HttpStreamClient): void;
  /** Nothing can be sent any more. */
  onClosed(): void;
}

const PLAIN_TEXT = "text/plain; charset=utf-8";

/** The reason phrase of each status that the server answers with (RFC 9110, 15). */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  414: "URI Too Long",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

/** An answer that is one line of text for a person. */
export function textAnswer(status: number, line: string): HttpAnswer {
  return { status, type: PLAIN_TEXT, body: `${line}\n` };
}

/** `isLast`: the connection closes after this answer. HEAD gets everything but the body. */
export function writeAnswer(
  { method }: Pick<HttpRequest, "method">,
  { status, type, body, headers, stream }: HttpAnswer,
  isLast: boolean,
): Uint8Array {
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}`,
    `Content-Type: ${type}`,
    ...(stream === undefined ? [`Content-Length: ${Buffer.byteLength(body)}`] : []),
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    ...(headers ?? []),
    ...(status === 405 ? ["Allow: GET, HEAD"] : []),
    `Connection: ${isLast ? "close" : "keep-alive"}`,
  ];
  const text = `${head.join("\r\n")}\r\n\r\n${method === "HEAD" ? "" : body}`;
  return new TextEncoder().encode(text);
}

export function writeRefusal({ status, reason }: HttpRefusal): Uint8Array {
  return writeAnswer({ method: "" }, textAnswer(status, reason), true);
}
