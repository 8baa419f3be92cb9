import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { HttpClient } from "../../harness/processes/http-client.ts";
import { SimClock } from "../../harness/sim/clock.ts";
import { drive } from "../../harness/sim/drive.ts";
import { SimNetwork } from "../../harness/sim/network.ts";
import { Log } from "../core/log.ts";
import {
  HTTP_CONNECTIONS_MAX,
  HTTP_HEAD_BYTES_MAX,
  HTTP_HEAD_TIMEOUT_MS,
  HTTP_IDLE_TIMEOUT_MS,
  HTTP_SEND_TIMEOUT_MS,
} from "../core/monitoring-limits.ts";
import { SeededRandom } from "../core/random.ts";
import type { TcpAddress } from "../net/address.ts";
import { type HttpStream, type HttpStreamClient, textAnswer } from "./answer.ts";
import { HttpServer } from "./server.ts";

const AT: TcpAddress = { kind: "tcp", host: "10.0.0.1", port: 9100 };
const LOOPBACK: TcpAddress = { kind: "tcp", host: "127.0.0.1", port: 9100 };
const GET = "GET /healthz HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n";

let clock: SimClock;
let network: SimNetwork;
let server: HttpServer;
/** The body of an answer, after the path. */
let padding: string;
/** What follows the body of an answer. */
let streamOf: () => HttpStream | undefined;

async function listen(address: TcpAddress): Promise<void> {
  clock = new SimClock();
  network = new SimNetwork(clock, new SeededRandom(3));
  padding = "";
  const parts = { clock, log: new Log(() => {}), transport: network.transport(address.host) };
  streamOf = () => undefined;
  server = new HttpServer(parts, async (path, strangeHost) => {
    const answer = textAnswer(strangeHost === null ? 200 : 421, `it is ${path}${padding}`);
    const stream = streamOf();
    return stream === undefined ? answer : { ...answer, stream };
  });
  await server.listen(address);
}

function connect(host = "10.0.0.2", address = AT): HttpClient {
  return new HttpClient(network.transport(host), address);
}

/** Runs virtual time until the condition holds. Promises are resolved between two steps. */
async function until(condition: () => boolean, withinMs = 1000): Promise<void> {
  const endMs = clock.now() + withinMs;
  while (!condition()) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (clock.now() > endMs) throw new Error("it does not come about");
    clock.run(clock.now() + 1);
  }
}

/** Everything that a client receives after these bytes, until the connection closes. */
async function closedAfter(bytes: string, withinMs = 1000): Promise<HttpClient> {
  const client = connect();
  client.send(bytes);
  await until(() => client.isClosed, withinMs);
  return client;
}

beforeEach(() => listen(AT));

afterEach(async () => {
  await drive(clock, server.stop());
  expect(server.counters.http_connections).toBe(0);
  expect(network.streams.size).toBe(0);
});

describe("any bytes get an answer of the protocol", () => {
  test.each([
    ["HTTP/1.0 without a Host", "GET /healthz HTTP/1.0\r\n\r\n", 200],
    ["an odd Host", "GET /healthz HTTP/1.1\r\nHost: a_b!\r\nConnection: close\r\n\r\n", 200],
    ["a Host that is none", "GET /healthz HTTP/1.1\r\nHost: <x>\r\n\r\n", 400],
    ["a proxy's target", "GET http://x/healthz HTTP/1.0\r\n\r\n", 200],
    ["a method that is not served", "DELETE /healthz HTTP/1.0\r\n\r\n", 405],
    ["a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde", 405],
    ["a greeting of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["words", "hello, is anybody there?\n", 400],
    ["zeros", "\0".repeat(100), 400],
    ["a line without an end", `GET /${"a".repeat(2000)}`, 414],
    ["a head without an end", `GET / HTTP/1.0\r\n${"a: b\r\n".repeat(2000)}`, 431],
    ["a head that is too long", `GET / HTTP/1.0\r\na: ${"b".repeat(9000)}\r\n\r\n`, 431],
  ])("%s", async (_what, bytes, status) => {
    const client = await closedAfter(bytes);
    expect(client.statuses).toEqual([status]);
    expect(client.body).toMatch(/^[\x20-\x7e]+\n$/);
  });

  test("an incomplete request is refused at its deadline, however slowly it comes", async () => {
    const client = connect();
    for (let i = 0; i < HTTP_HEAD_TIMEOUT_MS / 1000; i += 1) {
      client.send(i === 0 ? "GET / HTTP/1.1\r\nHost: " : "x");
      clock.run(clock.now() + 1000);
    }
    await until(() => client.isClosed, 2000);
    expect(client.statuses).toEqual([408]);
  });
});

test("requests that come at once are answered in order, on one connection", async () => {
  const client = connect();
  const request = (path: string) => GET.replace("/healthz", path);
  client.send(request("/a") + request("/b"));
  client.send(`\r\n${request("/c").slice(0, 20)}`);
  await until(() => client.statuses.length === 2);
  client.send(request("/c").slice(20));
  await until(() => client.statuses.length === 3);
  expect(client.text.match(/it is \/./g)).toEqual(["it is /a", "it is /b", "it is /c"]);
  expect(client.isClosed).toBe(false);
});

test("HEAD gets only the head of the answer", async () => {
  const client = await closedAfter("HEAD /healthz HTTP/1.0\r\n\r\n");
  expect(client.text).toContain("Content-Length: 15\r\n");
  expect(client.body).toBe("");
});

test("a silent connection is closed, before its first request and after", async () => {
  const silent = connect();
  const client = connect();
  client.send(GET);
  await until(() => silent.isClosed, HTTP_HEAD_TIMEOUT_MS + 10);
  expect([client.isClosed, client.statuses]).toEqual([false, [200]]);
  await until(() => client.isClosed, HTTP_IDLE_TIMEOUT_MS);
});

test("a client that opens many connections takes no room from another", async () => {
  const polite = connect();
  polite.send(GET);
  await until(() => polite.statuses.length === 1);
  const greedy = Array.from({ length: 3 * HTTP_CONNECTIONS_MAX }, () => connect("10.0.0.66"));
  const isOver = () => greedy.filter((it) => it.isClosed).length > 2 * HTTP_CONNECTIONS_MAX;
  await until(isOver);
  expect(server.counters.http_connections).toBe(HTTP_CONNECTIONS_MAX);
  polite.send(GET);
  const newcomer = connect("10.0.0.3");
  newcomer.send(GET);
  await until(() => polite.statuses.length === 2 && newcomer.statuses.length === 1);
});

test("all addresses of one IPv6 /64 are one source", async () => {
  const polite = connect();
  polite.send(GET);
  await until(() => polite.statuses.length === 1);
  const greedy = Array.from({ length: 3 * HTTP_CONNECTIONS_MAX }, (_, i) => {
    return connect(`2001:db8::${(i + 1).toString(16)}`);
  });
  await until(() => greedy.filter((it) => it.isClosed).length > 2 * HTTP_CONNECTIONS_MAX);
  polite.send(GET);
  await until(() => polite.statuses.length === 2);
});

test("a client that reads nothing is dropped, and what it sends is not kept", async () => {
  padding = "x".repeat(1_000_000);
  const client = connect();
  client.stall();
  client.send(GET.repeat(400));
  await until(() => server.counters.http_connections === 1);
  await until(() => server.counters.http_connections === 0, HTTP_SEND_TIMEOUT_MS + 1000);
  client.end(); // A paused client does not notice the end.
  expect(server.counters.http_requests).toBeLessThan(HTTP_HEAD_BYTES_MAX / GET.length);
});

test("on loopback the handler learns a host name, since it may be a web page's", async () => {
  await drive(clock, server.stop());
  await listen(LOOPBACK);
  for (const [host, status] of [
    ["localhost:9100", 200],
    ["127.0.0.1", 200],
    ["[::1]:9100", 200],
    ["evil.example:9100", 421],
  ] as const) {
    const client = connect("127.0.0.1", LOOPBACK);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await until(() => client.isClosed);
    expect([host, ...client.statuses]).toEqual([host, status]);
  }
});

describe("an answer that is a stream", () => {
  let reader: HttpStreamClient | null;
  let isOver: boolean;

  beforeEach(() => {
    reader = null;
    isOver = false;
    streamOf = () => ({
      onOpen: (client) => {
        reader = client;
      },
      onClosed: () => {
        isOver = true;
      },
    });
  });

  async function opened(): Promise<HttpClient> {
    const client = connect();
    client.send(GET);
    await until(() => reader !== null);
    return client;
  }

  test("has no length, and goes on until the client leaves", async () => {
    const client = await opened();
    for (const text of ["one\n", "two\n"]) {
      expect(reader?.isReady).toBe(true);
      reader?.send(text);
      await until(() => client.text.endsWith(text));
      clock.run(clock.now() + 2 * HTTP_IDLE_TIMEOUT_MS);
    }
    expect(client.statuses).toEqual([200]);
    expect(client.text).not.toContain("Content-Length");
    expect(client.text).toContain("Connection: close\r\n");
    expect(client.body).toBe("it is /healthz\none\ntwo\n");
    client.end();
    await until(() => isOver);
    expect(reader?.isReady).toBe(false);
  });

  test("is not ready while the client reads nothing, and ends at a deadline", async () => {
    const client = await opened();
    client.stall();
    reader?.send("x".repeat(1_000_000));
    expect(reader?.isReady).toBe(false);
    await until(() => isOver, HTTP_SEND_TIMEOUT_MS + 1000);
    client.end();
  });

  test("drops what the client still sends", async () => {
    const client = await opened();
    client.send("x".repeat(100_000));
    await until(() => clock.now() > 100);
    reader?.send("one\n");
    await until(() => client.text.endsWith("one\n"));
    expect([client.isClosed, client.statuses]).toEqual([false, [200]]);
  });

  test("has its head alone for HEAD", async () => {
    const client = await closedAfter("HEAD /healthz HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
    expect([client.statuses, client.body, reader]).toEqual([[200], "", null]);
  });

  test("ends when the server stops", async () => {
    const client = await opened();
    await drive(clock, server.stop());
    clock.settle();
    expect([client.isClosed, isOver]).toEqual([true, true]);
  });
});

test.each([
  ["http://10.0.0.1", 200],
  ["https://10.0.0.1", 200],
  ["http://10.0.0.1:8080", 403],
  ["http://evil.example", 403],
  ["null", 403],
])("a page of %s gets %p", async (origin, status) => {
  const client = await closedAfter(
    `${GET.slice(0, -2)}Origin: ${origin}\r\nConnection: close\r\n\r\n`,
  );
  expect(client.statuses).toEqual([status]);
});

test("a server that stops still sends the answer under way", async () => {
  padding = "x".repeat(300_000);
  const client = connect();
  const idle = connect();
  client.send(GET);
  await until(() => client.text.length > 0);
  await drive(clock, server.stop());
  clock.settle();
  expect(client.body).toHaveLength("it is /healthz\n".length + padding.length);
  expect(idle.isClosed).toBe(true);
});
