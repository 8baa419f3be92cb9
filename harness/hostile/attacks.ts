/**
 * Attacks: what an attacker, or a faulty program, does to a node from outside. Each is repeated
 * until it is stopped. First come attacks without the key of the cluster, then programs that the
 * node admits.
 *
 * Not here: what the node must withstand (soak.ts).
 */
import type { Client } from "../../src/client/client.ts";
import { connect } from "../../src/client/on-bun.ts";
import type { Random } from "../../src/core/random.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { parseAddress, type TcpAddress } from "../../src/net/address.ts";
import { BunClock, BunRandom, BunTransport } from "../../src/net/bun.ts";
import { secured } from "../../src/net/secured.ts";
import {
  NO_EVENTS,
  type Stream,
  type StreamEvents,
  type TlsMaterial,
  type Transport,
} from "../../src/net/transport.ts";
import { clientHello, encodeHello, HELLO_BYTES_MAX, ROLE } from "../../src/wire/handshake.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { bytesOf, greetingOf, READ, request } from "../nbd/bare-client.ts";
import { keys, OID, pageOf } from "../processes/process-world.ts";
import { frameBytes } from "../sim/channel-pair.ts";
import { Crowd } from "./crowd.ts";

/** What can be attacked. */
export interface Target {
  /** Ports where anybody can connect: peers, gossip, clients, NBD, monitoring. */
  readonly ports: readonly TcpAddress[];
  readonly peers: readonly TcpAddress[];
  readonly gossip: readonly TcpAddress[];
  readonly http: readonly TcpAddress[];
  /** `unix:/path` of doors that a program on the machine may use, and its own export. */
  readonly client: string;
  readonly nbd: string;
  readonly exportName: string;
  readonly exportBytes: number;
  /** The key of the cluster, and that of another one. */
  readonly tls: TlsMaterial;
  readonly otherTls: TlsMaterial;
}

/** Repeats the attack until `isOver`. @returns the rounds. */
export type Attack = (target: Target, isOver: () => boolean) => Promise<number>;

/** Connections at each port: more than one source may have. */
const CROWD = 300;
const BURST = 10;
const GETS_UNREAD = 64;
const READ_BYTES = 1024 * 1024;
const READS_UNREAD = 64;
const PAGES = 256;

const transport = new BunTransport();

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function rounds(isOver: () => boolean, round: () => Promise<void>): Promise<number> {
  let count = 0;
  for (; !isOver(); count += 1) await round();
  return count;
}

/** Connects, writes as much as the socket takes, waits for at most this long, and disconnects. */
async function throwAt(
  via: Transport,
  address: string | TcpAddress,
  bytes: Uint8Array,
  waitMs: number,
  events: Partial<StreamEvents> = {},
): Promise<void> {
  const to = typeof address === "string" ? parseAddress(address) : address;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stream = via.connect(to, {
    ...NO_EVENTS,
    ...events,
    onOpen: (it) => void it.write(bytes, 0, bytes.byteLength),
    onClose: () => resolve(),
  });
  await Promise.race([promise, pause(waitMs)]);
  stream.terminate();
  await promise;
}

function noise(random: Random, byteCount: number): Uint8Array {
  return Uint8Array.from({ length: byteCount }, () => random.u32() & 255);
}

// Without the key.

async function silentCrowds({ ports }: Target, isOver: () => boolean): Promise<number> {
  const crowds = ports.map((port) => new Crowd(transport, port, CROWD));
  while (!isOver()) await pause(100);
  for (const crowd of crowds) crowd.stop();
  return crowds.reduce((sum, { count }) => sum + count, 0);
}

function bursts({ ports }: Target, isOver: () => boolean): Promise<number> {
  return rounds(isOver, async () => {
    const streams = ports.flatMap((port) => {
      return Array.from({ length: BURST }, () => transport.connect(port, NO_EVENTS));
    });
    await pause(20);
    for (const stream of streams) stream.terminate();
  });
}

function noiseAtPorts({ ports }: Target, isOver: () => boolean): Promise<number> {
  const bytes = noise(new BunRandom(), 8192);
  return rounds(isOver, async () => {
    await Promise.all(ports.map((port) => throwAt(transport, port, bytes, 50)));
  });
}

/** Speaks TLS, with a certificate of another cluster. */
function otherCertificates(target: Target, isOver: () => boolean): Promise<number> {
  const stranger = secured(transport, target.otherTls);
  const ports = [...target.peers, ...target.ports];
  return rounds(isOver, async () => {
    await Promise.all(ports.map((port) => throwAt(stranger, port, new Uint8Array(1), 200)));
  });
}

async function noiseInDatagrams({ gossip }: Target, isOver: () => boolean): Promise<number> {
  const random = new BunRandom();
  const port = await transport.bind({ kind: "tcp", host: "127.0.0.1", port: 0 }, () => {});
  const count = await rounds(isOver, async () => {
    for (const address of gossip) {
      const bytes = noise(random, 1 + (random.u32() % 1400));
      port.send(bytes, bytes.byteLength, address);
    }
    await pause(5);
  });
  port.close();
  return count;
}

/** Some read their answers, some disconnect, some stay connected and do not read. */
function monitoring({ http }: Target, isOver: () => boolean): Promise<number> {
  const get = new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const many = bytesOf(...Array.from({ length: 50 }, () => get));
  const deaf: Partial<StreamEvents> = { onData: (stream) => stream.pause() };
  const ask = (address: TcpAddress): Promise<void>[] => [
    ...Array.from({ length: 4 }, () => throwAt(transport, address, get, 100)),
    ...Array.from({ length: 4 }, () => throwAt(transport, address, many, 0)),
    throwAt(transport, address, many, 300, deaf),
  ];
  return rounds(isOver, async () => {
    await Promise.all(http.flatMap(ask));
  });
}

// Programs that the node admits.

/** A program, and the stream below it, to be cut without a close. */
async function program({ client }: Target): Promise<{ it: Client; stream: Stream | null }> {
  let stream: Stream | null = null;
  const own: Transport = {
    listen: (...args) => transport.listen(...args),
    bind: (...args) => transport.bind(...args),
    lookup: (...args) => transport.lookup(...args),
    connect: (...args) => {
      stream = transport.connect(...args);
      return stream;
    },
  };
  const environment = {
    clock: new BunClock(),
    transport: own,
    memory: openMemory(),
    random: new BunRandom(),
  };
  const it = await connect(client, {}, environment);
  return { it, stream };
}

function ignore(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error);
}

/** A pool outlives the program that made it. */
async function destroyPool(target: Target, id: number, token: string): Promise<void> {
  const { it } = await program(target);
  await ignore(it.openPool(id, token).then((pool) => pool.destroy()));
  await it.close();
}

/** Each program makes a pool, asks for its pages, and disconnects before it has read them. */
function programsThatVanish(target: Target, isOver: () => boolean): Promise<number> {
  return rounds(isOver, async () => {
    const { it, stream } = await program(target);
    const pool = await it.newPool({ persistent: true });
    await pool.putMany(keys(16).map((key) => ({ ...key, page: pageOf(key.index) })));
    const token = await pool.token();
    void ignore(pool.getMany(keys(PAGES)));
    await pause(0);
    stream?.terminate();
    await destroyPool(target, pool.id, token);
  });
}

/** Sends more and more requests, and reads no answer. */
function programsThatDoNotRead(target: Target, isOver: () => boolean): Promise<number> {
  return rounds(isOver, async () => {
    const { it, stream } = await program(target);
    const pool = await it.newPool({ persistent: true });
    await pool.putMany(keys(PAGES).map((key) => ({ ...key, page: pageOf(key.index) })));
    const token = await pool.token();
    stream?.pause();
    for (let i = 0; i < GETS_UNREAD; i += 1) void ignore(pool.getMany(keys(PAGES)));
    await pause(500);
    stream?.terminate();
    await destroyPool(target, pool.id, token);
  });
}

function poolsThatComeAndGo(target: Target, isOver: () => boolean): Promise<number> {
  return rounds(isOver, async () => {
    const { it } = await program(target);
    for (let i = 0; i < 10; i += 1) {
      const pool = await it.newPool({ persistent: i % 2 === 0 });
      await pool.putMany(keys(PAGES).map((key) => ({ ...key, page: pageOf(key.index) })));
      await pool.flushObject(OID);
      await pool.destroy();
    }
    await it.close();
  });
}

/** Requests reads of megabytes, takes no data, and disconnects. */
function devicesThatDoNotRead(target: Target, isOver: () => boolean): Promise<number> {
  const { nbd, exportName: name, exportBytes } = target;
  const reads = Array.from({ length: READS_UNREAD }, (_, i) => {
    const offset = (i * READ_BYTES) % exportBytes;
    return request({ type: READ, cookie: BigInt(i), offset, length: READ_BYTES });
  });
  const bytes = bytesOf(...greetingOf({ form: "simple", name }), ...reads);
  return rounds(isOver, async () => {
    const onData = (stream: Stream): void => stream.pause();
    const one = (waitMs: number) => throwAt(transport, nbd, bytes, waitMs, { onData });
    await Promise.all([one(5), one(50), ...Array.from({ length: 8 }, () => one(400))]);
  });
}

/** A peer with the key claims to be another node, or sends malformed messages. */
function peersWithTheKey(target: Target, isOver: () => boolean): Promise<number> {
  const insider = secured(transport, target.tls);
  const noisy = noise(new BunRandom(), 65_536);
  const body = new Uint8Array(HELLO_BYTES_MAX);
  const hello = { ...clientHello(), role: ROLE.PEER, node: 77, bootId: 1n, clusterName: "ramster" };
  const used = encodeHello(hello, new DataView(body.buffer), 0);
  const greeting = frameBytes({ type: MESSAGE.HELLO, request: 1024, body: body.slice(0, used) });
  return rounds(isOver, async () => {
    await Promise.all(
      target.peers.flatMap((port) => [
        throwAt(insider, port, bytesOf(greeting, noisy), 200),
        throwAt(insider, port, noisy, 200),
        throwAt(insider, port, greeting, 0),
      ]),
    );
  });
}

export const ATTACKS: Readonly<Record<string, Attack>> = {
  "silent crowds": silentCrowds,
  bursts,
  "noise at ports": noiseAtPorts,
  "other certificates": otherCertificates,
  "noise in datagrams": noiseInDatagrams,
  monitoring,
  "programs that vanish": programsThatVanish,
  "programs that do not read": programsThatDoNotRead,
  "pools that come and go": poolsThatComeAndGo,
  "devices that do not read": devicesThatDoNotRead,
  "peers with the key": peersWithTheKey,
};
