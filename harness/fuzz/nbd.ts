/**
 * NBD: whole sessions, mutated and cut anywhere, through a real door on a real store in this
 * process. Rules: no exception, memory within its bounds, and nothing kept once the stream is gone.
 * In sessions without a mutation each request is answered once.
 */
import { Lz4 } from "../../src/compress/lz4.ts";
import { Raw } from "../../src/compress/raw.ts";
import { NBD_CONNECTION_BYTES_MAX, NBD_OPTIONS_MAX } from "../../src/core/limits.ts";
import { Log } from "../../src/core/log.ts";
import { below, type Random, SeededRandom } from "../../src/core/random.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { NbdConnection } from "../../src/nbd/connection.ts";
import type { Stream, StreamEvents, Transport } from "../../src/net/transport.ts";
import { nodeConfig } from "../../src/node/config.ts";
import { Node } from "../../src/node/node.ts";
import {
  type BareForm,
  bytesOf,
  greetingOf,
  option,
  type Piece,
  request,
} from "../nbd/bare-client.ts";
import { SimClock } from "../sim/clock.ts";
import { SimNetwork } from "../sim/network.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";
import { mutate, randomBytes } from "./mutate.ts";

const MIB = 1024 * 1024;
const DEVICE_BYTES = 4 * MIB;
const FORMS: readonly BareForm[] = ["simple", "structured", "extended"];
const PATH = { kind: "unix", path: "/nbd" } as const;

export const nbd: Fuzzer = {
  name: "nbd",
  about: "sessions of a block device, mutated and cut, against the whole door",
  smokeRuns: 3000,
  open: () => NbdTarget.open(),
};

class NbdTarget implements FuzzTarget {
  private readonly clock = new SimClock();
  private node: Node | null = null;
  private accept: (stream: Stream) => StreamEvents | null = () => {
    throw new Error("nobody listens");
  };

  static async open(): Promise<NbdTarget> {
    const target = new NbdTarget();
    await target.start();
    return target;
  }

  private async start(): Promise<void> {
    const memory = openMemory();
    const network = new SimNetwork(this.clock, new SeededRandom(1)).transport("fuzz");
    const transport: Transport = {
      ...network,
      listen: async (address, accept) => {
        if (address.kind !== "unix") return network.listen(address, accept);
        this.accept = accept;
        return { address: "unix:/nbd", close: () => {} };
      },
    };
    const config = nodeConfig({
      number: 1,
      name: "fuzz",
      insecure: true,
      memoryBytes: 2 * MIB,
      target: null,
      listen: { kind: "tcp", host: "10.0.0.1", port: 1 },
      nbd: [PATH],
      ioTimeoutMs: 100,
      exports: [
        { name: "disk", byteCount: DEVICE_BYTES },
        { name: "b", byteCount: 4096 },
      ],
    });
    const env = {
      clock: this.clock,
      transport,
      random: new SeededRandom(2),
      memory,
      disk: null,
      hostMemory: { read: () => null, process: () => ({}) },
      log: new Log(() => {}),
    };
    const codecs = [new Raw(memory), await Lz4.load(memory)] as const;
    this.node = new Node(env, { ...config, number: 1 }, codecs);
    await this.node.start();
  }

  run(random: Random): void {
    const door = this.node?.nbdDoor;
    if (door === undefined) throw new Error("there is no door");
    const isSpoiled = below(random, 8) > 0;
    const form = FORMS[below(random, FORMS.length)] ?? "simple";
    const { bytes, count } = session(random, form, isSpoiled);
    const sent = isSpoiled ? mutate(random, bytes) : bytes;
    const stream = new FuzzStream(below(random, 4) === 0 ? random : null);
    const events = this.accept(stream);
    if (events === null) throw new Error("the door takes nobody");
    stream.onTerminate = () => events.onClose(stream, "closed here");
    events.onOpen(stream);
    let at = 0;
    while (at < sent.length && !stream.isTerminated) {
      const size = below(random, 3) === 0 ? 1 + below(random, 40) : 1 + below(random, sent.length);
      events.onData(stream, sent.slice(at, at + size));
      at += size;
      check(pendingOf(events) <= NBD_CONNECTION_BYTES_MAX + DEVICE_BYTES, "more waits than may");
      if (below(random, 4) === 0) this.settle(stream, events);
    }
    stream.random = null;
    for (let turn = 0; turn < 20; turn += 1) this.settle(stream, events);
    if (!isSpoiled) check(stream.replyCount(form) === count, "not one reply for each request");
    if (!stream.isTerminated) events.onClose(stream, "gone");
    this.settle(null, events);
    check(door.waitingCount === 0, "something is kept for a client that has gone");
    check(door.connectionCount === 0, "a connection that is gone");
    check(door.snapshot()?.nbd_long_bytes_used === 0, "memory is taken for a request that is gone");
    if (below(random, 500) === 0) this.node?.ramster.verify();
  }

  private settle(stream: FuzzStream | null, events: StreamEvents): void {
    this.clock.run(this.clock.now() + 120);
    if (stream !== null && !stream.isTerminated) events.onDrain(stream);
  }

  close(): void {
    this.node?.ramster.close();
  }
}

/** Takes what it wants of what is written. */
class FuzzStream implements Stream {
  readonly remote = "fuzz";
  /** Null: it takes all. */
  random: Random | null;
  isTerminated = false;
  onTerminate: () => void = () => {};
  private readonly written: Uint8Array[] = [];

  constructor(random: Random | null) {
    this.random = random;
  }

  write(bytes: Uint8Array, offset: number, byteCount: number): number {
    const taken = this.random === null ? byteCount : below(this.random, byteCount + 1);
    this.written.push(bytes.slice(offset, offset + taken));
    return taken;
  }

  /** To requests without data. */
  replyCount(form: BareForm): number {
    const all = Buffer.concat(this.written);
    let count = 0;
    const isExtended = form === "extended";
    const magic = Buffer.from(isExtended ? [0x6e, 0x8a, 0x27, 0x8c] : [0x67, 0x44, 0x66, 0x98]);
    for (let at = all.indexOf(magic); at >= 0; at = all.indexOf(magic, at + 16)) count += 1;
    return count;
  }

  pause(): void {}

  resume(): void {}

  startTls(): void {}

  end(): void {
    this.terminate();
  }

  terminate(): void {
    if (this.isTerminated) return;
    this.isTerminated = true;
    this.onTerminate();
  }
}

/** What the connection has not sent yet: it stands still whenever this is too much. */
function pendingOf(events: StreamEvents): number {
  return events instanceof NbdConnection ? events.unsentBytes : 0;
}

/** As a client may send it, and how many requests it has that are answered without data. */
function session(
  random: Random,
  form: BareForm,
  hasReads: boolean,
): { bytes: Uint8Array<ArrayBuffer>; count: number } {
  const name: readonly Piece[] = [[4, 4], "disk"];
  const options: ReadonlyArray<() => Uint8Array> = [
    () => option(3),
    () => option(8),
    () => option(6, ...name, [2, 1], [2, 3]),
    () => option(9, ...name, [4, 0]),
    () => option(5),
    () => option(12 + below(random, 16), randomBytes(random, below(random, 40))),
    () => option(10, ...name, [4, 1], [4, 15], "base:allocation"),
    // From then on requests are others.
    () => option(form === "extended" || hasReads ? 11 : 8),
  ];
  const parts: Uint8Array[] = [bytesOf([4, below(random, 4)])];
  // More than a client may send only where something is wrong anyhow.
  const optionsMax = hasReads ? 2 * NBD_OPTIONS_MAX : NBD_OPTIONS_MAX / 2;
  const many = below(random, 64) === 0 ? optionsMax : 4;
  for (let left = below(random, many); left > 0; left -= 1) {
    parts.push(options[below(random, options.length)]?.() ?? new Uint8Array(0));
  }
  // The last word is an option that is well formed, so that most get as far as requests.
  const last = greetingOf({ form, name: "disk" }).slice(1);
  parts.push(...last);
  const count = below(random, 12);
  // What is answered with data may hold anything: no reads where replies are counted.
  for (let i = 0; i < count; i += 1) parts.push(anyRequest(random, form, BigInt(i), hasReads));
  if (below(random, 3) === 0) {
    parts.push(request({ type: 2, cookie: 0n, offset: 0, length: 0 }, form));
  }
  return { bytes: bytesOf(...parts), count };
}

function anyRequest(random: Random, form: BareForm, cookie: bigint, hasReads: boolean): Uint8Array {
  const types = hasReads ? [0, 0, 0, 1, 1, 1, 3, 4, 5, 6, 7] : [1, 1, 1, 3, 4, 5, 6];
  const type = types[below(random, types.length)] ?? 1;
  if (type === 3) return request({ type, cookie, offset: 0, length: 0 }, form);
  const isLong = below(random, 200) === 0;
  const length = 1 + below(random, isLong ? 3 * MIB : below(random, 3) === 0 ? 20_000 : 600);
  const offset = below(random, DEVICE_BYTES - length);
  const flags = type === 6 ? below(random, 2) * 2 : below(random, 2);
  if (type !== 1) return request({ type, flags, cookie, offset, length }, form);
  const data = new Uint8Array(length).fill(below(random, 256));
  if (below(random, 2) === 0) data.set(randomBytes(random, Math.min(length, 300)));
  return request({ type, flags, cookie, offset, length, data }, form);
}
