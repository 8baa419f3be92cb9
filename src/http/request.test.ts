import { describe, expect, test } from "bun:test";
import { isRefusal, parseHead } from "./request.ts";

const HOST = "Host: node\r\n";

function parse(line: string, headers = HOST) {
  return parseHead(`${line}\r\n${headers}\r\n`);
}

test("a request has a path, a host, and whether another request may follow", () => {
  expect(parse("GET /metrics?x=/a#b HTTP/1.1", "Host: [::1]:9100\r\nAccept: */*\r\n")).toEqual({
    method: "GET",
    path: "/metrics",
    authority: { host: "::1", port: 9100 },
    origin: null,
    isHttp10: false,
    keepsOpen: true,
  });
});

test.each([
  ["HTTP/1.1", "", true],
  ["HTTP/1.1", "Connection: Upgrade, Close\r\n", false],
  ["HTTP/1.1", "Content-Length: 0\r\n", true],
  ["HTTP/1.1", "Content-Length: 5\r\n", false],
  ["HTTP/1.1", "Transfer-Encoding: chunked\r\n", false],
  ["HTTP/1.0", "", false],
  ["HTTP/1.0", "Connection: keep-alive\r\n", true],
])("after a request of %s with %j the connection stays open: %p", (version, headers, keepsOpen) => {
  expect(parse(`GET / ${version}`, HOST + headers)).toMatchObject({ keepsOpen });
});

test("HTTP/1.0 needs no Host, and a target with an authority replaces it", () => {
  expect(parse("GET /healthz HTTP/1.0", "")).toMatchObject({ path: "/healthz", authority: null });
  const { authority, path } = { authority: { host: "other", port: null }, path: "/a" };
  expect(parse("GET http://other/a?b HTTP/1.1")).toMatchObject({ authority, path });
  expect(parse("GET http://other HTTP/1.1")).toMatchObject({ authority, path: "/" });
});

describe("refuses", () => {
  test.each([
    ["no request line", "GET", HOST, 400],
    ["two spaces", "GET  / HTTP/1.1", HOST, 400],
    ["HTTP/2", "PRI * HTTP/2.0", HOST, 400],
    ["a target that is no path", "GET * HTTP/1.1", HOST, 400],
    ["the target of a tunnel", "CONNECT node:443 HTTP/1.1", HOST, 400],
    ["a byte that is no letter in the target", "GET /\u00e9 HTTP/1.1", HOST, 400],
    ["a line that is too long", `GET /${"a".repeat(1024)} HTTP/1.1`, HOST, 414],
    ["HTTP/1.1 without a Host", "GET / HTTP/1.1", "", 400],
    ["two Hosts", "GET / HTTP/1.1", HOST + HOST, 400],
    ["a Host with a path", "GET / HTTP/1.1", "Host: a/b\r\n", 400],
    ["a Host with a port that is none", "GET / HTTP/1.1", "Host: a:99999\r\n", 400],
    ["brackets around no address", "GET / HTTP/1.1", "Host: [a]\r\n", 400],
    ["a header without a colon", "GET / HTTP/1.1", `${HOST}word\r\n`, 400],
    ["a space before the colon", "GET / HTTP/1.1", `${HOST}Name : x\r\n`, 400],
    ["a folded header", "GET / HTTP/1.1", `${HOST}Name: x\r\n y\r\n`, 400],
    ["a control character in a header", "GET / HTTP/1.1", `${HOST}Name: \u001b[2J\r\n`, 400],
    ["a length that is none", "GET / HTTP/1.1", `${HOST}Content-Length: 1e3\r\n`, 400],
  ])("%s", (_what, line, headers, status) => {
    const result = parse(line, headers);
    expect(isRefusal(result) && result.status).toBe(status);
  });
});
