/**
 * Records what real members send, as fixtures/gossip: bun harness/gossip/capture.ts [PREFIX ...]
 *
 * A member of this project joins a real one and records every datagram and stream that it receives:
 *
 *   - from an agent of Serf, while a second agent joins and is killed, and the first one leaves
 *   - from memberlist with a label, on streams that either side opened
 *
 * The first of each kind is kept. There is one recording in clear and one that is encrypted with a
 * key made for it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeMessage } from "../../src/gossip/body.ts";
import { Keyring } from "../../src/gossip/keyring.ts";
import {
  MEMBER_STATE,
  type PacketMessage,
  type PushPull,
  type StreamMessage,
} from "../../src/gossip/messages.ts";
import { decodePacket, encodePacket, type GossipOptions } from "../../src/gossip/packet.ts";
import { encodeSerfState } from "../../src/gossip/serf-messages.ts";
import { encodeTags } from "../../src/gossip/serf-tags.ts";
import { encodeStream, StreamDecoder, type StreamSide } from "../../src/gossip/stream.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import { BunRandom } from "../../src/net/bun.ts";
import { bindDatagrams } from "../../src/net/bun-datagrams.ts";
import type { FixtureFile } from "./fixtures.ts";
import { messageToJson } from "./json-message.ts";
import { MemberlistProgram } from "./memberlist-peer.ts";
import { SerfAgent } from "./serf-agent.ts";

const DIRECTORY = join(import.meta.dir, "../../fixtures/gossip");
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString("base64");
const DIGITS_A_LINE = 64;
const LABEL = "blue";

const CAPTURES: Readonly<Record<string, (prefix: string) => Promise<void>>> = {
  clear: (prefix) => captureSerf(new Recorder(prefix, "serf", { key: null, label: "" })),
  encrypted: (prefix) => captureSerf(new Recorder(prefix, "serf", { key: KEY, label: "" })),
  "label-clear": (prefix) => {
    return captureLabel(new Recorder(prefix, "memberlist", { key: null, label: LABEL }));
  },
  "label-encrypted": (prefix) => {
    return captureLabel(new Recorder(prefix, "memberlist", { key: KEY, label: LABEL }));
  },
};

const wanted = process.argv.slice(2);
for (const [prefix, capture] of Object.entries(CAPTURES)) {
  if (wanted.length === 0 || wanted.includes(prefix)) await capture(prefix);
}

/** A member that records what it receives. */
class Recorder {
  readonly key: string | null;
  readonly options: GossipOptions;
  port = 0;
  private readonly prefix: string;
  private readonly about: string;
  private readonly seen = new Set<string>();
  private close = (): void => {};

  constructor(prefix: string, about: string, how: { key: string | null; label: string }) {
    const { key, label } = how;
    this.prefix = prefix;
    this.about = about;
    this.key = key;
    const keyring =
      key === null ? null : new Keyring([Buffer.from(key, "base64")], new BunRandom());
    this.options = { keyring, label };
  }

  /** Answers pings, so that it counts as alive. Accepts streams and does not answer them. */
  async start(): Promise<void> {
    const address = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
    const port = await bindDatagrams(address, (bytes, from) => {
      const messages: PacketMessage[] = [];
      decodePacket(bytes, this.options, (message) => messages.push(message));
      const name = [...new Set(messages.map((message) => message.kind))].join("-");
      this.save(name, bytes, messages, null);
      for (const message of messages) {
        if (message.kind !== "ping") continue;
        const ack = encodeMessage({ kind: "ack", seq: message.seq, payload: new Uint8Array(0) });
        const packet = encodePacket([ack], this.options);
        port.send(packet, packet.byteLength, from);
      }
    });
    this.port = port.address.port;
    const listener = Bun.listen<StreamReader>({
      hostname: "127.0.0.1",
      port: this.port,
      socket: {
        open: (socket) => {
          socket.data = new StreamReader(this.options, "dialled");
        },
        data: (socket, chunk) => {
          const { message, bytes } = socket.data.push(new Uint8Array(chunk));
          if (message !== null) this.save(`${message.kind}-dialled`, bytes, [message], "dialled");
        },
      },
    });
    this.close = () => {
      port.close();
      listener.stop(true);
    };
  }

  /** Sends a push/pull and waits for the answer. */
  async join(address: TcpAddress): Promise<void> {
    const reader = new StreamReader(this.options, "answered");
    const { promise, resolve } = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: address.host,
      port: address.port,
      socket: {
        open: (socket) => void socket.write(encodeStream(this.push(), this.options, "dialled")),
        data: (_, chunk) => {
          const { message, bytes } = reader.push(new Uint8Array(chunk));
          if (message === null) return;
          this.save("push-pull", bytes, [message], "answered");
          resolve();
        },
      },
    });
    await promise;
  }

  stop(): void {
    this.close();
    console.log(`${this.prefix}: ${[...this.seen].join(", ")}`);
  }

  private push(): PushPull {
    const member = {
      name: "recorder",
      addr: Uint8Array.of(127, 0, 0, 1),
      port: this.port,
      meta: encodeTags({ role: "recorder" }),
      incarnation: 1,
      state: MEMBER_STATE.ALIVE,
      vsn: [2, 5, 5, 2, 5, 4],
    } as const;
    const userState = encodeSerfState({
      ltime: 1n,
      statusLTimes: new Map(),
      leftMembers: [],
      eventLTime: 1n,
      events: [],
      queryLTime: 1n,
    });
    return { kind: "push-pull", members: [member], userState, join: true };
  }

  private save(
    name: string,
    bytes: Uint8Array,
    messages: readonly (PacketMessage | StreamMessage)[],
    side: StreamSide | null,
  ): void {
    if (this.seen.has(name)) return;
    this.seen.add(name);
    const digits = Buffer.from(bytes).toString("hex");
    const lines = digits.match(new RegExp(`.{1,${DIGITS_A_LINE}}`, "g")) ?? [];
    const about = `# ${name} of ${this.about}, ${this.prefix}`;
    const path = join(DIRECTORY, `${this.prefix}-${name}`);
    writeFileSync(`${path}.hex`, [about, ...lines, ""].join("\n"));
    const { label } = this.options;
    const file: FixtureFile = { key: this.key, label, side, messages: messages.map(messageToJson) };
    writeFileSync(`${path}.json`, `${JSON.stringify(file, null, 2)}\n`);
  }
}

/** A stream and all its bytes so far. */
class StreamReader {
  private readonly chunks: Uint8Array[] = [];
  private readonly decoder: StreamDecoder;

  constructor(options: GossipOptions, side: StreamSide) {
    this.decoder = new StreamDecoder(options, side);
  }

  push(chunk: Uint8Array): { message: StreamMessage | null; bytes: Uint8Array } {
    this.chunks.push(chunk);
    return { message: this.decoder.push(chunk), bytes: Buffer.concat(this.chunks) };
  }
}

async function captureSerf(recorder: Recorder): Promise<void> {
  const key = recorder.key === null ? {} : { key: recorder.key };
  await recorder.start();
  const agent = await SerfAgent.start("serf-one", { ...key, tags: ["role=web"] });
  await recorder.join(agent.address);
  const { host, port } = agent.address;
  const second = await SerfAgent.start("serf-two", { ...key, join: `${host}:${port}` });
  // Pings come once a second. Then the second agent does not answer, is suspected, and is dead.
  await Bun.sleep(4000);
  await second.kill();
  await Bun.sleep(15_000);
  await agent.leave();
  recorder.stop();
}

async function captureLabel(recorder: Recorder): Promise<void> {
  using program = new MemberlistProgram();
  await recorder.start();
  const key = recorder.key === null ? {} : { key: recorder.key };
  const peer = await program.start("go", { ...key, label: recorder.options.label });
  await recorder.join(peer.tcpAddress);
  await Bun.sleep(4000);
  // The recorder does not answer streams, so this member ends without having joined.
  const join = `127.0.0.1:${recorder.port}`;
  await program.start("late", { ...key, label: recorder.options.label, join });
  await Bun.sleep(1000);
  await peer.leave();
  recorder.stop();
}
