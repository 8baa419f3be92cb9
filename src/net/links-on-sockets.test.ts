/**
 * The main rules of links on real sockets and in real time. They must hold here as in the
 * simulator.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import type { LogLevel } from "../core/log-line.ts";
import { NodeNames } from "../core/node-names.ts";
import { openMemory } from "../memory/open-memory.ts";
import { makeKey } from "../security/make-key.ts";
import type { Frame } from "../wire/framer.ts";
import { MESSAGE } from "../wire/messages.ts";
import { parseAddress, type TcpAddress } from "./address.ts";
import { BunClock, BunRandom, BunTransport } from "./bun.ts";
import { type Channel, LANE, type ReplySink } from "./channel.ts";
import { type LinkHandler, Links, type LinksSettings } from "./links.ts";
import { secured } from "./secured.ts";
import type { Transport } from "./transport.ts";

const DEADLINE_MS = 10_000;
const FLUSH_ENTRY_BYTES = 48;

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > limit) throw new Error("it never happened");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

interface NodeOptions {
  bootId?: bigint;
  settings?: Partial<LinksSettings>;
  transport?: Transport;
}

class Node implements LinkHandler, ReplySink {
  readonly links: Links;
  readonly log: string[] = [];
  readonly notices: string[] = [];
  address = "";
  replies = 0;
  failures = 0;

  constructor(node: number, options: NodeOptions) {
    const env = {
      clock: new BunClock(),
      transport: options.transport ?? new BunTransport(),
      random: new BunRandom(),
      memory: openMemory(),
      names: new NodeNames(),
    };
    const { bootId = BigInt(100 + node), settings = {} } = options;
    const identity = { node, bootId, clusterName: "test", nodeName: `n${node}`, codecs: 3 };
    this.links = new Links(env, identity, settings, this);
  }

  onLinkUp(node: number, bootId: bigint): void {
    this.log.push(`up ${node}/${bootId}`);
  }

  onLinkDown(node: number, reason: string): void {
    this.log.push(`down ${node}: ${reason}`);
  }

  onRequest(_node: number, channel: Channel, frame: Frame): void {
    if (!channel.begin(LANE.URGENT, frame.count)) return;
    channel.bytes.fill(0, channel.at, channel.at + frame.count);
    channel.commitReply(frame.type, frame.request, 0, frame.count, frame.count);
  }

  onNotice(level: LogLevel, line: string): void {
    if (level === "debug") return;
    this.notices.push(line);
  }

  onReply(): void {
    this.replies += 1;
  }

  onFailure(): void {
    this.failures += 1;
  }

  isUp(node: number): boolean {
    return this.links.channelOf(node) !== null;
  }

  ask(node: number, count = 1): number {
    const channel = this.links.channelOf(node);
    const bodyBytes = count * FLUSH_ENTRY_BYTES;
    if (channel === null || !channel.begin(LANE.BULK, bodyBytes)) return 0;
    channel.bytes.fill(0, channel.at, channel.at + bodyBytes);
    return channel.commitRequest(MESSAGE.FLUSH, count, bodyBytes, this, 0, 5000);
  }
}

const nodes: Node[] = [];

async function start(
  number: number,
  options: NodeOptions & { address?: string } = {},
): Promise<Node> {
  const node = new Node(number, options);
  node.address = await node.links.listen(parseAddress(options.address ?? "127.0.0.1:0"));
  nodes.push(node);
  return node;
}

async function pair(settings: Partial<LinksSettings> = {}): Promise<[Node, Node]> {
  const one = await start(1, { settings });
  const two = await start(2, { settings });
  one.links.setPeer(2, parseAddress(two.address));
  two.links.setPeer(1, parseAddress(one.address));
  return [one, two];
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.links.stop()));
});

describe("Links on sockets", () => {
  test("two nodes that dial at once end with one link, and lose nothing", async () => {
    for (const higherFirst of [false, true]) {
      const [one, two] = await pair();
      if (higherFirst) two.links.want(1);
      one.links.want(2);
      two.links.want(1);
      await until(() => one.isUp(2) && two.isUp(1));
      for (let i = 0; i < 100; i += 1) {
        expect(one.ask(2, 100)).not.toBe(0);
        expect(two.ask(1, 100)).not.toBe(0);
      }
      await until(() => one.replies + one.failures + two.replies + two.failures === 200);
      expect([one.failures, two.failures]).toEqual([0, 0]);
      expect([one.log, two.log]).toEqual([["up 2/102"], ["up 1/101"]]);
    }
  });

  test("a peer that restarts at its address is linked again, with its new boot id", async () => {
    const [one, two] = await pair();
    one.links.want(2);
    await until(() => one.isUp(2) && two.isUp(1));
    await two.links.stop();
    await until(() => one.log.length === 2);
    expect(one.log[1]).toBe('down 2: closed by the other side: "n2" is stopping');
    one.links.want(2);
    const again = await start(2, { bootId: 7n, address: two.address });
    again.links.setPeer(1, parseAddress(one.address));
    await until(() => one.isUp(2));
    expect(one.log[2]).toBe("up 2/7");
  });

  test("another protocol gets a reason and disturbs nobody", async () => {
    const [one, two] = await pair();
    two.links.want(1);
    await until(() => one.isUp(2) && two.isUp(1));
    const { host, port } = parseAddress(one.address) as { host: string; port: number };
    let answer = "";
    let closed = false;
    await Bun.connect({
      hostname: host,
      port,
      socket: {
        open: (socket) => void socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        data: (_socket, chunk) => {
          answer += chunk.toString("latin1");
        },
        close: () => {
          closed = true;
        },
      },
    });
    await until(() => closed);
    expect(answer).toContain("magic is 0x4745, not 0x524d");
    expect(one.notices.join()).toContain("magic is 0x4745, not 0x524d");
    expect(two.ask(1)).not.toBe(0);
    await until(() => two.replies === 1);
  });

  test("a silent connection is closed at the deadline of the handshake", async () => {
    const one = await start(1, { settings: { handshakeMs: 50 } });
    const { host, port } = parseAddress(one.address) as { host: string; port: number };
    let closed = false;
    const close = (): void => {
      closed = true;
    };
    const socket = { data: () => {}, close };
    await Bun.connect({ hostname: host, port, socket });
    await until(() => closed);
    await until(() => one.notices.length === 1);
    expect(one.notices[0]).toContain("no handshake within 50 ms");
  });

  test("a silent link is given up after the idle time", async () => {
    const [one, two] = await pair({ keepaliveMs: 20, idleMs: 100 });
    one.links.want(2);
    await until(() => one.isUp(2) && two.isUp(1));
    two.links.channelOf(1)?.deferRequests();
    one.ask(2); // The request is deferred, so node 2 stops reading.
    await until(() => !one.isUp(2) && !two.isUp(1));
    expect(two.log[1]).toBe("down 1: nothing received for 100 ms");
    expect(one.failures).toBe(1);
  });

  test("links run over unix sockets as well", async () => {
    const path = `${tmpdir()}/ramster-links-${process.pid}.sock`;
    const one = await start(1, { address: `unix:${path}` });
    one.links.setPeer(2, parseAddress("127.0.0.1:1"));
    const two = await start(2, {});
    two.links.setPeer(1, parseAddress(one.address));
    two.links.want(1);
    await until(() => one.isUp(2) && two.isUp(1));
    expect(two.ask(1)).not.toBe(0);
    await until(() => two.replies === 1);
  });

  test("stop() resolves with no connection left open", async () => {
    const [one, two] = await pair();
    one.links.want(2);
    await until(() => one.isUp(2) && two.isUp(1));
    await Promise.all([one.links.stop(), two.links.stop()]);
    expect(one.log.at(-1)).toStartWith("down 2");
    expect(two.log.at(-1)).toStartWith("down 1");
  });
});

test("a connection that is closed before its handshake is logged with its address", async () => {
  const { tls } = await makeKey({ nowMs: Date.now(), days: 1 });
  const one = await start(1, { transport: secured(new BunTransport(), tls) });
  const { host, port } = parseAddress(one.address) as TcpAddress;
  const socket = await Bun.connect({ hostname: host, port, socket: { data: () => {} } });
  socket.write("GET / HTTP/1.1\r\n\r\n");
  await until(() => one.notices.length > 0);
  expect(one.notices).toEqual([
    expect.stringMatching(/^Closed a connection from "127\.0\.0\.1:\d+": no secured connection: /),
  ]);
  socket.terminate();
});
