/**
 * Records what real agents of Serf send, as fixtures/gossip: bun harness/gossip/capture.ts
 *
 * A member of ours joins an agent and writes down every datagram and stream that it is sent, while
 * a second agent joins, is killed, and the first one leaves. Of each kind of packet the first one
 * is kept. Once in clear and once encrypted, with a key that is nobody's.
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
import { encodeStream, StreamDecoder } from "../../src/gossip/stream.ts";
import type { TcpAddress } from "../../src/net/address.ts";
import { BunRandom } from "../../src/net/bun.ts";
import { bindDatagrams } from "../../src/net/bun-datagrams.ts";
import { messageToJson } from "./json-message.ts";
import { SerfAgent } from "./serf-agent.ts";

const DIRECTORY = join(import.meta.dir, "../../fixtures/gossip");
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString("base64");
const DIGITS_A_LINE = 64;

for (const key of [undefined, KEY]) await capture(key);

async function capture(key: string | undefined): Promise<void> {
  const prefix = key === undefined ? "clear" : "encrypted";
  const keyring =
    key === undefined ? null : new Keyring([Buffer.from(key, "base64")], new BunRandom());
  const options = { keyring, label: "" };
  const seen = new Set<string>();
  const save = (name: string, bytes: Uint8Array, messages: readonly unknown[]): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const digits = Buffer.from(bytes).toString("hex");
    const lines = digits.match(new RegExp(`.{1,${DIGITS_A_LINE}}`, "g")) ?? [];
    const about = `# ${name} of serf, ${prefix}`;
    writeFileSync(join(DIRECTORY, `${prefix}-${name}.hex`), [about, ...lines, ""].join("\n"));
    const json = { key: key ?? null, messages };
    writeFileSync(join(DIRECTORY, `${prefix}-${name}.json`), `${JSON.stringify(json, null, 2)}\n`);
  };
  const port = await bindDatagrams({ kind: "tcp", host: "127.0.0.1", port: 0 }, (bytes, from) => {
    const messages: PacketMessage[] = [];
    decodePacket(bytes, options, (message) => messages.push(message));
    save(
      [...new Set(messages.map((message) => message.kind))].join("-"),
      bytes,
      messages.map(messageToJson),
    );
    for (const message of messages) {
      if (message.kind !== "ping") continue;
      const ack = encodeMessage({ kind: "ack", seq: message.seq, payload: new Uint8Array(0) });
      const packet = encodePacket([ack], { ...options, checksum: true });
      port.send(packet, packet.byteLength, from);
    }
  });
  const agent = await SerfAgent.start("serf-one", {
    ...(key === undefined ? {} : { key }),
    tags: ["role=web"],
  });
  const push: PushPull = {
    kind: "push-pull",
    members: [
      {
        name: "recorder",
        addr: Uint8Array.of(127, 0, 0, 1),
        port: port.address.port,
        meta: encodeTags({ role: "recorder" }),
        incarnation: 1,
        state: MEMBER_STATE.ALIVE,
        vsn: [2, 5, 5, 2, 5, 4],
      },
    ],
    userState: encodeSerfState({ ltime: 1, statusLTimes: new Map(), leftMembers: [] }),
    join: true,
  };
  const answer = await exchange(agent.address, encodeStream(push, options), options);
  save("push-pull", answer.bytes, [messageToJson(answer.message)]);
  const { host, port: agentPort } = agent.address;
  const second = await SerfAgent.start("serf-two", {
    ...(key === undefined ? {} : { key }),
    join: `${host}:${agentPort}`,
  });
  // Pings come once a second; then the second one does not answer, is suspected, and is dead.
  await Bun.sleep(4000);
  await second.kill();
  await Bun.sleep(15_000);
  await agent.leave();
  port.close();
  console.log(`${prefix}: ${[...seen].join(", ")}`);
}

/** Sends a push/pull, and waits for the answer. */
async function exchange(address: TcpAddress, push: Uint8Array, options: GossipOptions) {
  const decoder = new StreamDecoder(options);
  const chunks: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<StreamMessage>();
  await Bun.connect({
    hostname: address.host,
    port: address.port,
    socket: {
      open: (socket) => void socket.write(push),
      data: (_, chunk) => {
        chunks.push(new Uint8Array(chunk));
        const message = decoder.push(new Uint8Array(chunk));
        if (message !== null) resolve(message);
      },
    },
  });
  return { message: await promise, bytes: Buffer.concat(chunks) };
}
