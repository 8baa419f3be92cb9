/** A cluster of nodes and one agent of Serf. */
import { describe, expect, test } from "bun:test";
import { GossipWorld } from "../../harness/sim/gossip-world.ts";
import { encodeMessage } from "../gossip/body.ts";
import type { PacketMessage } from "../gossip/messages.ts";
import { encodeMsgpack } from "../gossip/msgpack.ts";
import { decodePacket, encodePacket } from "../gossip/packet.ts";
import { type Coordinate, decodeCoordinate } from "../gossip/serf-coordinate.ts";
import { SERF } from "../gossip/serf-messages.ts";
import type { TcpAddress } from "../net/address.ts";
import { distance } from "./coordinates.ts";
import { OWN_VERSIONS } from "./versions.ts";

const CLEAR = { keyring: null, label: "" };

describe("an agent of Serf", () => {
  /** Gossip misses few members. With this setting it misses none of these. */
  const settings = { retransmitMult: 16 };

  /** Adds a member that only listens. @returns the messages of Serf that it hears, by id. */
  async function agentIn(world: GossipWorld, name: string, last: number) {
    const heard: number[] = [];
    /** How many messages came in a datagram with an answer to a query. */
    const besideAnswers: number[] = [];
    const coordinates: Coordinate[] = [];
    const host = `10.0.0.${last}`;
    const address = { kind: "tcp", host, port: 7946 } as const;
    const port = await world.network.transport(host).bind(address, (bytes, from) => {
      const before = heard.length;
      let count = 0;
      decodePacket(bytes, CLEAR, (message) => {
        count += 1;
        if (message.kind === "user") heard.push(message.bytes[0] ?? -1);
        const where = message.kind === "ack" ? decodeCoordinate(message.payload) : null;
        if (where !== null) coordinates.push(where);
        if (message.kind !== "ping") return;
        const ack = { kind: "ack", seq: message.seq, payload: new Uint8Array(0) } as const;
        say(ack, from);
      });
      if (heard.slice(before).includes(SERF.QUERY_RESPONSE)) besideAnswers.push(count - 1);
    });
    const say = (message: PacketMessage, to: TcpAddress): void => {
      const packet = encodePacket([encodeMessage(message)], CLEAR);
      port.send(packet, packet.byteLength, to);
    };
    const addr = Uint8Array.of(10, 0, 0, last);
    const facts = { kind: "alive", node: name, incarnation: 1, addr, port: 7946 } as const;
    say({ ...facts, meta: new Uint8Array(0), vsn: OWN_VERSIONS }, world.node(0).address);
    world.until("it is known", () => world.nodes.every((it) => it.member(name) !== null), 5000);
    const send = (
      id: number,
      fields: Record<string, unknown>,
      to = world.node(0).address,
    ): void => {
      say({ kind: "user", bytes: Uint8Array.from([id, ...encodeMsgpack(fields)]) }, to);
    };
    const ping = (to: TcpAddress): void => {
      const source = { sourceAddr: addr, sourcePort: 7946, sourceNode: name };
      say({ kind: "ping", seq: 1, node: "", ...source }, to);
    };
    return { heard, besideAnswers, coordinates, addr, send, ping, close: () => port.close() };
  }

  test("sends a message to one member, and every other hears it once", async () => {
    const world = new GossipWorld({ settings });
    await world.grow(5);
    const sender = await agentIn(world, "sender", 98);
    const hearer = await agentIn(world, "hearer", 99);
    const count = (id: number) => hearer.heard.filter((it) => it === id).length;
    const query = { LTime: 1, Addr: sender.addr, Port: 7946, Name: "uptime", Flags: 1 };
    for (let i = 0; i < 20; i += 1) {
      sender.send(SERF.USER_EVENT, { LTime: 1 + i, Name: "deploy", Payload: null, CC: false });
    }
    sender.send(SERF.QUERY, { ...query, ID: 1 });
    world.until("all is heard", () => count(SERF.USER_EVENT) >= 20 && count(SERF.QUERY) > 0, 5000);
    const acks = () => sender.heard.filter((it) => it === SERF.QUERY_RESPONSE).length;
    world.until("each node answers", () => acks() === 5, 5000);
    // News is for others: who has sent the query knows it.
    expect(sender.besideAnswers).toEqual([0, 0, 0, 0, 0]);
    // A repeated message is not gossiped again.
    world.run(10_000);
    const before = [...hearer.heard];
    sender.send(SERF.USER_EVENT, { LTime: 20, Name: "deploy", Payload: null, CC: false });
    sender.send(SERF.QUERY, { ...query, ID: 1 });
    world.run(5000);
    expect(hearer.heard).toEqual(before);
    expect(acks()).toBe(5);
    // A message for one member is not gossiped.
    sender.send(SERF.QUERY, { ...query, ID: 2, Flags: 3 });
    world.until("it is answered", () => acks() === 6, 5000);
    world.run(5000);
    expect(acks()).toBe(6);
    // A message that does not fit a datagram is not queued.
    const large = { LTime: 21, Name: "large", Payload: new Uint8Array(1390), CC: false };
    sender.send(SERF.USER_EVENT, large);
    world.run(5000);
    expect(hearer.heard.filter((it) => it === SERF.USER_EVENT).length).toBe(
      before.filter((it) => it === SERF.USER_EVENT).length,
    );
    for (const it of [sender, hearer]) it.close();
    await world.stop();
  });

  test("hears the coordinates that nodes learn from each other's acks", async () => {
    const world = new GossipWorld({ settings, network: { latencyMinMs: 5, latencyMaxMs: 5 } });
    await world.grow(4);
    const agent = await agentIn(world, "ops", 98);
    world.run(300_000);
    for (const { address } of world.nodes) agent.ping(address);
    world.until("all answer", () => agent.coordinates.length === 4, 5000);
    const [first, ...others] = agent.coordinates;
    for (const other of others) {
      const seconds = distance(first as Coordinate, other);
      expect(seconds).toBeGreaterThan(0.008);
      expect(seconds).toBeLessThan(0.012);
    }
    agent.close();
    await world.stop();
  });

  test("gives up a dead member, and all nodes do so too", async () => {
    const world = new GossipWorld({ settings });
    await world.grow(4);
    const agent = await agentIn(world, "ops", 98);
    world.node(3).crash();
    const rest = world.nodes.slice(0, 3);
    const is = (state: string) => rest.every((it) => it.member("n3")?.state === state);
    world.until("it is dead", () => is("dead"), 20_000);
    agent.send(SERF.LEAVE, { LTime: 50, Node: "n3", Prune: false });
    world.until("it has left", () => is("left"), 5000);
    agent.send(SERF.LEAVE, { LTime: 51, Node: "n3", Prune: true });
    const isForgotten = () => rest.every((it) => it.member("n3") === null);
    world.until("it is forgotten", isForgotten, 5000);
    // That is ignored for a live member.
    agent.send(SERF.LEAVE, { LTime: 60, Node: "n2", Prune: true });
    world.run(5000);
    expect(rest.every((it) => it.member("n2")?.state === "alive")).toBe(true);
    await world.node(3).restart([world.node(1)]);
    world.until("it is back", () => world.nodes.every((it) => it.alive().includes("n3")), 10_000);
    agent.close();
    await world.stop();
  });
});
