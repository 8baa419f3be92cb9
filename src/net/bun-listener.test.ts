/** TcpListener on real sockets, with very many connects at once. */
import { expect, test } from "bun:test";
import { until } from "../../harness/processes/process-world.ts";
import { ACCEPTS_PER_TURN_MAX } from "../core/admission-limits.ts";
import { openDuplicate } from "../memory/descriptors.ts";
import { makeKey } from "../security/make-key.ts";
import { parseAddress } from "./address.ts";
import { BunTransport } from "./bun.ts";
import { secured } from "./secured.ts";
import { NO_EVENTS, type Stream, type Transport } from "./transport.ts";

const COUNT = 5 * ACCEPTS_PER_TURN_MAX;
const { tls } = await makeKey({ nowMs: Date.now(), days: 1 });

class Port {
  /** The most connections that were accepted in one turn. */
  most = 0;
  openCount = 0;
  acceptedCount = 0;
  private readonly transport: Transport;
  private ofTurn = 0;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  listen(address: string) {
    return this.transport.listen(parseAddress(address), () => {
      if (this.ofTurn === 0) setImmediate(() => (this.ofTurn = 0));
      this.ofTurn += 1;
      this.acceptedCount += 1;
      this.most = Math.max(this.most, this.ofTurn);
      return { ...NO_EVENTS, onOpen: () => (this.openCount += 1) };
    });
  }
}

function dialMany(transport: Transport, address: string): Stream[] {
  return Array.from({ length: COUNT }, () => transport.connect(parseAddress(address), NO_EVENTS));
}

const clear = new BunTransport(openDuplicate());

test.each([
  ["in clear", clear],
  ["under TLS", secured(clear, tls)],
])(
  "all connections are accepted, %s, and a limited number of them in one turn",
  async (_how, transport) => {
    const port = new Port(transport);
    const listener = await port.listen("127.0.0.1:0");
    const streams = dialMany(transport, listener.address);
    await until("all are open", () => port.openCount === COUNT);
    expect(port.most).toBe(ACCEPTS_PER_TURN_MAX);
    for (const stream of streams) stream.terminate();
    listener.close();
  },
);

test("a port that is closed while it rests can be used again", async () => {
  const port = new Port(clear);
  const listener = await port.listen("127.0.0.1:0");
  const streams = dialMany(clear, listener.address);
  await until("it rests", () => port.acceptedCount === ACCEPTS_PER_TURN_MAX);
  listener.close();
  for (const stream of streams) stream.terminate();
  const again = await port.listen(listener.address);
  expect(again.address).toBe(listener.address);
  again.close();
});
