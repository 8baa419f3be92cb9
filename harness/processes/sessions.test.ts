/**
 * Well-formed messages that make no sense: programs and peers send any message at any time, about
 * pools, pages, versions and numbers that do not exist or belong to others. No node may end, and
 * all others must be served.
 */
import { expect, test } from "bun:test";
import { connect as openSocket, type Socket } from "node:net";
import { below, SeededRandom } from "../../src/core/random.ts";
import { HEADER } from "../../src/wire/header.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { parseHex } from "../wire/hex.ts";
import { encodeFrame, type JsonFrame } from "../wire/json-frame.ts";
import type { NodeProcess } from "./node-process.ts";
import { counter, countRight, fill, ProcessWorld } from "./process-world.ts";

const TEST_MS = 60_000;
const CONNECTIONS = 6;
const FRAMES = 80;
const PAGES = 500;
const LAST = 0xffff_fff0;
const VERSION_LAST = 2 ** 45 - 1;
const ZPAGES = [
  { codec: 0, zpage: "5ax4096" },
  { codec: 0, zpage: "00x4096" },
  { codec: 1, zpage: "1061010150" },
  { codec: 1, zpage: "ffx100" },
] as const;
const OIDS = [
  ["0x0", "0x0", "0x0"],
  ["0x1", "0x2", "0x3"],
  ["0xffffffffffffffff", "0x1", "0x8000000000000001"],
] as const;

/** Sends random messages in sequence; `seed` decides which. */
class Talker {
  private readonly random: SeededRandom;
  private request = 1024;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  hello(role: number, node: number, bootId: string): JsonFrame {
    const times = { keepaliveMs: 2000, idleMs: 30_000 };
    const who = { role, node, pageBytes: 4096, bootId, features: 0, codecs: 127, ...times };
    return this.of("HELLO", 0, { ...who, clusterName: "ramster", nodeName: `n${node}` });
  }

  /** The last message, which is always answered. */
  last(): JsonFrame {
    return { ...this.of("KEEPALIVE", 0, null), request: LAST };
  }

  ofProgram(): JsonFrame {
    const { random } = this;
    const pool = () => ({ pool: this.pick([0, 1, 2, 3, 255, 65_535]) });
    const page = () => ({ handle: this.handle(), page: this.pick(["00x4096", "5ax4096"]) });
    const token = "0123456789abcdef0011223344556677";
    return this.pick([
      () => this.of("NEW_POOL", 0, { flags: below(random, 4) }),
      () => this.of(this.pick(["DESTROY_POOL", "FLUSH_POOL", "POOL_TOKEN"]), 0, pool()),
      () => this.of("OPEN_POOL", 0, { ...pool(), token }),
      () => this.many("PAGE_PUT", page),
      () =>
        this.many("PAGE_GET", () => ({ handle: this.handle(), getAndFree: this.pick([-1, 0, 1]) })),
      () => this.many(this.pick(["PAGE_FLUSH", "OBJECT_FLUSH"]), () => this.handle()),
      () => this.of("STATS", this.pick([0, 1, 4096]), null),
      () => this.of("KNOB_GET", 0, this.pick(["target", "", "__proto__"])),
    ])();
  }

  ofPeer(bootId: string): JsonFrame {
    const put = () => this.zpageOf(bootId);
    const page = () => ({ handle: this.handle(), version: this.version() });
    const offer = {
      lendFrames: this.count(),
      freeFrames: this.count(),
      isDrained: true,
      zone: "z",
    };
    return this.pick([
      () => this.many("PUT", put),
      () => this.many("PUT", put),
      () => this.many(this.pick(["GET", "RECLAIM"]), page),
      () => this.many("FLUSH", () => ({ ...page(), scope: this.pick([0, 1, 2]) })),
      () => ({
        ...this.of("GRANT", 0, { pages: this.version(), epoch: this.count() }),
        request: 0,
      }),
      () => ({ ...this.of("OFFER", 0, offer), request: 0 }),
    ])();
  }

  private of(message: string, count: number, body: unknown): JsonFrame {
    this.request += 1;
    return { message, kind: "request", request: this.request, count, body };
  }

  private many(message: string, entry: () => unknown): JsonFrame {
    const count = 1 + below(this.random, this.pick([1, 8, 40]));
    return this.of(message, count, Array.from({ length: count }, entry));
  }

  private pick<T>(all: readonly T[]): T {
    return all[below(this.random, all.length)] as T;
  }

  private handle() {
    const index = this.pick([0, 1, 4_294_967_295, below(this.random, 50)]);
    return { pool: this.pick([0, 0, 1, 2, 65_535]), oid: this.pick(OIDS), index };
  }

  private version(): number {
    return this.pick([1, 2, 3, VERSION_LAST - 1, VERSION_LAST, 1 + below(this.random, 100)]);
  }

  private count(): number {
    return this.pick([0, 1, 1024, 4_294_967_295]);
  }

  /** Nine in ten have the right checksum. */
  private zpageOf(bootId: string) {
    const [handle, version, zpage] = [this.handle(), this.version(), this.pick(ZPAGES)];
    const body = [{ handle, version }];
    const named = encodeFrame({ message: "GET", kind: "request", request: 1, count: 1, body });
    const boot = new DataView(new ArrayBuffer(8));
    boot.setBigUint64(0, BigInt(bootId));
    const parts = [new Uint8Array(boot.buffer), named.subarray(20), parseHex(zpage.zpage)];
    const sum = parts.reduce((seed, bytes) => Bun.hash.crc32(bytes, seed), 0);
    const checksum = below(this.random, 10) === 0 ? 1 : sum;
    return { handle, kind: below(this.random, 2), version, checksum, ...zpage };
  }
}

/** Resolves when the last frame is answered, or the other side has closed. */
async function say(address: string, frames: readonly JsonFrame[]): Promise<"answered" | "closed"> {
  const path = address.replace(/^unix:/, "");
  const [host = "", port = ""] = address.split(":");
  const socket = address.startsWith("unix:") ? openSocket(path) : openSocket(Number(port), host);
  for (const frame of frames) socket.write(encodeFrame(frame));
  const how = await ending(socket);
  socket.destroy();
  return how;
}

function ending(socket: Socket): Promise<"answered" | "closed"> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    socket.on("error", () => resolve("closed"));
    socket.on("close", () => resolve("closed"));
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (;;) {
        if (bytes.byteLength < 20) return;
        const end = 20 + bytes.readUInt32BE(HEADER.BODY_BYTES);
        if (bytes.byteLength < end) return;
        const isLast = bytes[HEADER.TYPE] === MESSAGE.KEEPALIVE;
        if (isLast && bytes.readUInt32BE(HEADER.REQUEST) === LAST) return resolve("answered");
        bytes = bytes.subarray(end);
      }
    });
  });
}

async function started(world: ProcessWorld) {
  const server = await world.start("server", 0, ["--memory=8MiB"]);
  const wires = [`--peers=0@${server.listen}`, "--target=0", "--selfshrink=off"];
  const node = await world.start("node", 1, ["--memory=1MiB", ...wires]);
  const pool = await (await world.connect(node)).newPool({ persistent: true });
  expect(await fill(pool, PAGES)).toBe(PAGES);
  return { server, node, pool };
}

async function expectAlive(world: ProcessWorld, ...nodes: NodeProcess[]): Promise<void> {
  for (const node of nodes) {
    await (await world.connect(node)).stats();
    expect([node.child.exitCode, node.child.signalCode]).toEqual([null, null]);
  }
}

test(
  "programs that send anything end no node, and change no page of others",
  async () => {
    await using world = new ProcessWorld();
    const { server, node, pool } = await started(world);
    const talks = Array.from({ length: CONNECTIONS }, (_, seed) => {
      const talker = new Talker(seed);
      const frames = Array.from({ length: FRAMES }, () => talker.ofProgram());
      return say(node.client, [talker.hello(2, 0, "0x0"), ...frames, talker.last()]);
    });
    expect(await Promise.all(talks)).toContain("answered");
    await expectAlive(world, node, server);
    expect(await countRight(pool, PAGES)).toBe(PAGES);
  },
  TEST_MS,
);

test(
  "peers that send anything end no lender, and change no page of others",
  async () => {
    await using world = new ProcessWorld();
    const { server, node, pool } = await started(world);
    const lender = await world.connect(server);
    const putsBefore = await counter(lender, "foreign_puts");
    const ends: string[] = [];
    for (let seed = 0; seed < CONNECTIONS; seed += 1) {
      const talker = new Talker(seed);
      const bootId = `0x${1 + (seed % 3)}`;
      const frames = Array.from({ length: FRAMES }, () => talker.ofPeer(bootId));
      const hello = talker.hello(1, 5 + (seed % 2), bootId);
      ends.push(await say(server.listen, [hello, ...frames, talker.last()]));
    }
    expect(ends).toContain("answered");
    await expectAlive(world, node, server);
    expect(await counter(lender, "foreign_puts")).toBeGreaterThan(putsBefore);
    expect(await counter(lender, "foreign_failed_puts")).toBeGreaterThan(0);
    expect(await countRight(pool, PAGES)).toBe(PAGES);
  },
  TEST_MS,
);
