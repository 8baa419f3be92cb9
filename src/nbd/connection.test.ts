import { describe, expect, test } from "bun:test";
import {
  BLOCK_STATUS,
  bytesOf,
  DISC,
  FLUSH,
  greetingOf,
  option,
  type Piece,
  READ,
  request,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from "../../harness/nbd/bare-client.ts";
import { SimClock } from "../../harness/sim/clock.ts";
import { HeapMemory } from "../memory/heap-memory.ts";
import type { Stream, TlsMaterial } from "../net/transport.ts";
import { NbdConnection, type NbdHandler } from "./connection.ts";
import type { Device } from "./device.ts";
import type { TlsMode } from "./handshake.ts";
import { COMMAND, ERRNO } from "./protocol.ts";
import type { Request } from "./request.ts";

const MIB = 1024 * 1024;
const DISK: Device = { name: "disk", description: "a disk", byteCount: 64 * MIB };
const OTHER: Device = { name: "ötherwise", description: "another", byteCount: 4096 };
const TLS: TlsMaterial = { authority: "", certificate: "", key: "" };
const GREETING = "4e42444d41474943" + "49484156454f5054" + "0003";

/** The connection's end of a stream, and all that came out of it. */
class FakeStream implements Stream {
  readonly remote = "test";
  written = new Uint8Array(0);
  room = Number.POSITIVE_INFINITY;
  isPaused = false;
  isEnded = false;
  isTerminated = false;
  isSecured = false;
  onTerminate: () => void = () => {};

  write(bytes: Uint8Array, offset: number, byteCount: number): number {
    const taken = Math.min(byteCount, this.room);
    this.room -= taken;
    this.written = bytesOf(this.written, bytes.subarray(offset, offset + taken));
    return taken;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.isEnded = true;
  }

  startTls(): void {
    this.isSecured = true;
  }

  terminate(): void {
    if (this.isTerminated) return;
    this.isTerminated = true;
    this.onTerminate();
  }

  hex(): string {
    const text = Buffer.from(this.written).toString("hex");
    this.written = new Uint8Array(0);
    return text;
  }
}

class World implements NbdHandler {
  readonly clock = new SimClock();
  readonly stream = new FakeStream();
  readonly requests: string[] = [];
  readonly kept: Array<{ type: number; cookieHi: number; cookieLo: number }> = [];
  readonly connection: NbdConnection;
  isStopping = false;
  isClosed = false;
  longBytes = 0;
  longMax = 64 * MIB;
  keepsRequests = false;

  constructor(tls: TlsMode = "none") {
    const world = this;
    const settings = {
      tls,
      devices: () => [DISK, OTHER],
      get isStopping(): boolean {
        return world.isStopping;
      },
    };
    const env = { clock: this.clock, memory: new HeapMemory() };
    this.connection = new NbdConnection(env, this, settings, TLS);
    this.stream.onTerminate = () => this.connection.onClose(this.stream, "closed here");
    this.connection.onOpen(this.stream);
  }

  onDevice(): void {}

  onRequest(connection: NbdConnection, it: Request): void {
    const data = Buffer.from(it.bytes.subarray(it.at, it.at + it.dataBytes));
    const shown = data.length <= 8 ? data.toString("hex") : `${data.length} bytes`;
    this.requests.push(`${it.type} ${it.offset}+${it.byteCount} ${shown}`.trim());
    if (it.byteCount > MIB && (it.type === READ || it.type === WRITE))
      this.longBytes -= it.byteCount;
    const { type, cookieHi, cookieLo } = it;
    if (this.keepsRequests) {
      this.kept.push({ type, cookieHi, cookieLo });
      connection.keep(it.byteCount);
    } else if (type === COMMAND.READ) this.answerRead(connection, it);
    else connection.replies.empty(it, ERRNO.OK);
  }

  takeLong(_: NbdConnection, byteCount: number): boolean {
    if (this.longBytes + byteCount > this.longMax) return false;
    this.longBytes += byteCount;
    return true;
  }

  giveLong(byteCount: number): void {
    this.longBytes -= byteCount;
  }

  onClosed(): void {
    this.isClosed = true;
  }

  send(...pieces: readonly Piece[]): string {
    this.connection.onData(this.stream, bytesOf(...pieces));
    return this.stream.hex();
  }

  /** Up to the first request. */
  begin(isStructured = false): this {
    for (const bytes of greetingOf({ isStructured })) this.send(bytes);
    return this;
  }

  soon(): void {
    while (this.clock.step());
  }

  private answerRead({ output, replies }: NbdConnection, it: Request): void {
    const headerBytes = replies.readHeaderBytes;
    output.reserve(headerBytes + it.byteCount);
    replies.writeReadHeader(output.view, output.tail, it);
    const at = output.tail + headerBytes;
    output.bytes.fill(0xab, at, at + it.byteCount);
    output.commit(headerBytes + it.byteCount);
  }
}

/** Magic and option of a reply, its type, and data as hexadecimal. */
function optionReply(number: number, type: number, ...data: readonly Piece[]): string {
  const body = bytesOf(...data);
  const head = bytesOf([8, 0x3e889045565a9n], [4, number], [4, type], [4, body.length], body);
  return Buffer.from(head).toString("hex");
}

function errorOf(hex: string): number {
  expect(hex.slice(0, 16)).toBe("0003e889045565a9");
  return Number.parseInt(hex.slice(24, 32), 16);
}

const FLAGS = 0x0d6d;
const FLAGS_STRUCTURED = FLAGS | 0x80;
const BLOCK_SIZES: readonly Piece[] = [
  [2, 3],
  [4, 1],
  [4, 4096],
  [4, 33_554_432],
];
const UNSUP = 0x80000001;
const POLICY = 0x80000002;
const INVALID = 0x80000003;
const TLS_REQD = 0x80000005;
const UNKNOWN = 0x80000006;
const SHUTDOWN = 0x80000007;
const TOO_BIG = 0x80000009;

describe("the handshake", () => {
  test("greets, and drops a client with flags that nobody offered", () => {
    const world = new World();
    expect(world.stream.hex()).toBe(GREETING);
    world.send([4, 4]);
    expect(world.isClosed).toBe(true);
  });

  test("EXPORT_NAME answers with size and flags, and with zeros unless told not to", () => {
    const short = new World();
    short.stream.hex();
    short.send([4, 3]);
    expect(short.send(option(1, "disk"))).toBe("0000000004000000" + "0d6d");
    const long = new World();
    long.stream.hex();
    long.send([4, 1]);
    expect(long.send(option(1, "ötherwise"))).toBe(`00000000000010000d6d${"00".repeat(124)}`);
    const wrong = new World();
    wrong.send([4, 3], option(1, "nothing"));
    expect(wrong.isClosed).toBe(false);
    expect(wrong.stream.isEnded).toBe(true);
  });

  test("GO and INFO tell the export, its block sizes, and what else is asked for", () => {
    const world = new World();
    world.stream.hex();
    world.send([4, 3]);
    const name: readonly Piece[] = [[4, 4], "disk"];
    const about: readonly Piece[] = [
      [2, 0],
      [8, 64 * MIB],
      [2, FLAGS],
    ];
    expect(world.send(option(6, ...name, [2, 0]))).toBe(
      optionReply(6, 3, ...about) + optionReply(6, 3, ...BLOCK_SIZES) + optionReply(6, 1),
    );
    expect(world.send(option(7, ...name, [2, 2], [2, 1], [2, 2]))).toBe(
      optionReply(7, 3, ...about) +
        optionReply(7, 3, [2, 1], "disk") +
        optionReply(7, 3, [2, 2], "a disk") +
        optionReply(7, 3, ...BLOCK_SIZES) +
        optionReply(7, 1),
    );
    expect(world.send(request({ type: FLUSH, cookie: 1n, offset: 0, length: 0 }))).toBe(
      "67446698" + "00000000" + "0000000000000001",
    );
  });

  test("LIST names all exports, ABORT is acknowledged and ends it", () => {
    const world = new World();
    world.stream.hex();
    world.send([4, 3]);
    expect(world.send(option(3))).toBe(
      optionReply(3, 2, [4, 4], "disk") +
        optionReply(3, 2, [4, 10], "ötherwise") +
        optionReply(3, 1),
    );
    expect(world.send(option(2))).toBe(optionReply(2, 1));
    expect(world.stream.isEnded).toBe(true);
  });

  test("structured replies, and base:allocation with them", () => {
    const world = new World();
    world.stream.hex();
    world.send([4, 3]);
    const query = (...queries: string[]): readonly Piece[] => [
      ...([[4, 4], "disk", [4, queries.length]] as const),
      ...queries.flatMap((text): Piece[] => [[4, text.length], text]),
    ];
    expect(errorOf(world.send(option(10, ...query("base:allocation"))))).toBe(INVALID);
    expect(world.send(option(8))).toBe(optionReply(8, 1));
    const allocation: Piece = "base:allocation";
    for (const [queries, id] of [
      [[], 0],
      [["base:"], 0],
      [["x:y", "base:allocation"], 0],
    ] as const) {
      expect(world.send(option(9, ...query(...queries)))).toBe(
        optionReply(9, 4, [4, id], allocation) + optionReply(9, 1),
      );
    }
    expect(world.send(option(9, ...query("x:")))).toBe(optionReply(9, 1));
    expect(world.send(option(10, ...query("base:")))).toBe(optionReply(10, 1));
    expect(world.send(option(10, ...query("base:allocation")))).toBe(
      optionReply(10, 4, [4, 1], allocation) + optionReply(10, 1),
    );
    const about: readonly Piece[] = [
      [2, 0],
      [8, 64 * MIB],
      [2, FLAGS_STRUCTURED],
    ];
    expect(world.send(option(7, [4, 0], [2, 0]))).toStartWith(optionReply(7, 3, ...about));
    world.send(request({ type: BLOCK_STATUS, cookie: 1n, offset: 0, length: 4096 }));
    expect(world.requests).toEqual(["7 0+4096"]);
  });

  test("contexts of another export than the one that is chosen do not count", () => {
    const world = new World();
    world.send([4, 3], option(8));
    world.send(option(10, [4, 4], "disk", [4, 1], [4, 15], "base:allocation"));
    world.send(option(7, [4, 10], "ötherwise", [2, 0]));
    const reply = world.send(request({ type: BLOCK_STATUS, cookie: 1n, offset: 0, length: 4096 }));
    expect(reply).toBe(
      "668e33ef" + "0001" + "8001" + "0000000000000001" + "00000006" + "000000160000",
    );
  });

  test("options that are unknown, malformed or for other exports are refused, and it goes on", () => {
    const world = new World();
    world.send([4, 3]);
    const refusals: ReadonlyArray<readonly [Uint8Array, number]> = [
      [option(0), UNSUP],
      [option(4), UNSUP],
      [option(11), UNSUP],
      [option(0xffff_ffff, "data"), UNSUP],
      [option(3, "x"), INVALID],
      [option(8, "x"), INVALID],
      [option(5), POLICY],
      [option(7), INVALID],
      [option(7, [4, 4], "disk"), INVALID],
      [option(7, [4, 5], "disk", [2, 0]), INVALID],
      [option(7, [4, 4], "disk", [2, 1]), INVALID],
      [option(7, [4, 4], "disk", [2, 0], "x"), INVALID],
      [option(7, [4, 0xffff_ffff], "disk", [2, 0]), INVALID],
      [option(7, [4, 2], new Uint8Array([0xff, 0xfe]), [2, 0]), INVALID],
      [option(6, [4, 4], "dusk", [2, 0]), UNKNOWN],
      [option(7, [4, 5000], "n".repeat(5000), [2, 0]), INVALID],
    ];
    for (const [bytes, error] of refusals) expect(errorOf(world.send(bytes))).toBe(error);
    expect(world.send(option(3))).not.toBe("");
  });

  test("an option of 4 GiB is thrown away as it comes, and refused", () => {
    const world = new World();
    world.send([4, 3]);
    expect(world.send("IHAVEOPT", [4, 7], [4, 0xffff_ffff])).toBe("");
    const chunk = new Uint8Array(64 * MIB);
    for (let sent = 0; sent < 2 ** 32 - 1; ) {
      const count = Math.min(chunk.length, 2 ** 32 - 1 - sent);
      const reply = world.send(chunk.subarray(0, count));
      sent += count;
      if (sent < 2 ** 32 - 1) expect(reply).toBe("");
      else expect(errorOf(reply)).toBe(TOO_BIG);
    }
    expect(world.send(option(8))).toBe(optionReply(8, 1));
  });

  test("a wrong magic, and options without end, close the stream", () => {
    const wrong = new World();
    wrong.send([4, 3], "IHAVEOPS", [4, 3], [4, 0]);
    expect(wrong.isClosed).toBe(true);
    const many = new World();
    many.send([4, 3]);
    for (let i = 0; i < 2000 && !many.isClosed; i += 1) many.send(option(3));
    expect(many.isClosed).toBe(true);
    const silent = new World();
    silent.connection.tick(silent.clock.now() + 29_000);
    expect(silent.isClosed).toBe(false);
    silent.connection.tick(silent.clock.now() + 31_000);
    expect(silent.isClosed).toBe(true);
  });

  test("many options in one chunk, of which the last ends with its header", () => {
    const world = new World();
    const options = Array.from({ length: 200 }, () => option(3));
    world.send([4, 3], ...options);
    const one = new World();
    one.send([4, 3]);
    expect(world.isClosed).toBe(false);
    expect(world.send(option(8))).toBe(one.send(option(8)));
  });

  test("TLS where it is required comes before everything else", () => {
    const world = new World("required");
    world.send([4, 3]);
    for (const bytes of [option(3), option(8), option(7, [4, 0], [2, 0])]) {
      expect(errorOf(world.send(bytes))).toBe(TLS_REQD);
    }
    expect(world.send(option(5))).toBe(optionReply(5, 1));
    expect(world.stream.isSecured).toBe(true);
    world.connection.onOpen(world.stream);
    expect(errorOf(world.send(option(5)))).toBe(INVALID);
    expect(world.send(option(8))).toBe(optionReply(8, 1));
    const named = new World("required");
    named.send([4, 3], option(1, "disk"));
    expect(named.stream.isEnded).toBe(true);
  });

  test("what comes in clear behind STARTTLS is not taken for secured", () => {
    const world = new World("offered");
    world.send([4, 3]);
    world.send(option(5), option(7, [4, 0], [2, 0]));
    expect(world.isClosed).toBe(true);
    expect(world.stream.isSecured).toBe(false);
  });

  test("what was agreed upon in clear counts for nothing under TLS", () => {
    const world = new World("offered");
    const set = option(10, [4, 4], "disk", [4, 1], [4, 15], "base:allocation");
    world.send([4, 3], option(8), set);
    expect(world.send(option(5))).toBe(optionReply(5, 1));
    world.connection.onOpen(world.stream);
    expect(errorOf(world.send(set))).toBe(INVALID); // It needs structured replies.
    world.send(option(7, [4, 4], "disk", [2, 0]));
    expect(world.send(request({ ...one, type: READ }))).toBe(`6744669800000000${COOKIE}abab`);
    expect(world.send(request({ ...one, type: READ, flags: 4 }))).toBe(`6744669800000016${COOKIE}`);
  });

  test("nobody is taken in while the node stops", () => {
    const world = new World();
    world.send([4, 3]);
    world.isStopping = true;
    expect(errorOf(world.send(option(7, [4, 0], [2, 0])))).toBe(SHUTDOWN);
    expect(world.send(option(2))).toBe(optionReply(2, 1));
  });
});

const COOKIE = "fedcba9876543210";
const one = { cookie: 0xfedcba9876543210n, offset: 4096, length: 2 };

describe("the transmission", () => {
  test("simple replies", () => {
    const world = new World().begin();
    expect(world.send(request({ ...one, type: READ }))).toBe(`6744669800000000${COOKIE}abab`);
    const data = new Uint8Array([1, 2]);
    expect(world.send(request({ ...one, type: WRITE, data }))).toBe(`6744669800000000${COOKIE}`);
    expect(world.requests).toEqual(["0 4096+2", "1 4096+2 0102"]);
  });

  test("chunks", () => {
    const world = new World().begin(true);
    expect(world.send(request({ ...one, type: READ, flags: 4 }))).toBe(
      `668e33ef00010001${COOKIE}0000000a0000000000001000abab`,
    );
    expect(world.send(request({ ...one, type: READ, offset: 64 * MIB }))).toBe(
      `668e33ef00018001${COOKIE}00000006000000160000`,
    );
    expect(world.send(request({ ...one, type: TRIM }))).toBe(`6744669800000000${COOKIE}`);
  });

  test("what is not allowed is answered with its error, and its data is passed over", () => {
    const world = new World().begin();
    const big = 33 * MIB;
    const cases: ReadonlyArray<readonly [Parameters<typeof request>[0], number]> = [
      [{ ...one, type: READ, offset: 64 * MIB - 1 }, ERRNO.EINVAL],
      [{ ...one, type: READ, offset: 0xffff_ffff_ffff_ffffn }, ERRNO.EINVAL],
      [{ ...one, type: READ, length: big }, ERRNO.EINVAL],
      [{ ...one, type: READ, flags: 2 }, ERRNO.EINVAL],
      [{ ...one, type: READ, flags: 4 }, ERRNO.EINVAL],
      [{ ...one, type: WRITE, offset: 64 * MIB - 1, data: new Uint8Array(2) }, ERRNO.ENOSPC],
      [{ ...one, type: WRITE, flags: 0x8000, data: new Uint8Array(2) }, ERRNO.EINVAL],
      [{ ...one, type: WRITE, length: big, data: new Uint8Array(big) }, ERRNO.EINVAL],
      [{ ...one, type: WRITE_ZEROES, offset: 64 * MIB - 1 }, ERRNO.ENOSPC],
      [{ ...one, type: TRIM, offset: 64 * MIB - 1 }, ERRNO.EINVAL],
      [{ ...one, type: FLUSH }, ERRNO.EINVAL],
      [{ ...one, type: BLOCK_STATUS }, ERRNO.EINVAL],
      [{ ...one, type: 8 }, ERRNO.EINVAL],
      [{ ...one, type: 0xffff }, ERRNO.EINVAL],
    ];
    for (const [it, error] of cases) {
      const expected = `67446698${error.toString(16).padStart(8, "0")}${COOKIE}`;
      expect({ type: it.type, reply: world.send(request(it)) }).toEqual({
        type: it.type,
        reply: expected,
      });
    }
    expect(world.requests).toEqual([]);
    world.send(request({ ...one, type: WRITE_ZEROES, flags: 0x13, length: 60 * MIB }));
    expect(world.requests).toEqual([`6 4096+${60 * MIB}`]);
  });

  test("a wrong magic closes the stream", () => {
    const world = new World().begin();
    world.send([4, 0x25609514], new Uint8Array(24));
    expect(world.isClosed).toBe(true);
  });

  test("requests cut anywhere, down to single bytes, are the same requests", () => {
    const data = new Uint8Array([1, 2, 3, 4, 5]);
    const bytes = bytesOf(
      ...greetingOf({ isStructured: false }),
      request({ ...one, type: WRITE, length: 5, data }),
      request({ ...one, type: READ }),
    );
    const whole = new World();
    const expected = whole.send(bytes);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const world = new World();
      const reply = world.send(bytes.subarray(0, cut)) + world.send(bytes.subarray(cut));
      expect(reply).toBe(expected);
      expect(world.requests).toEqual(whole.requests);
    }
    const single = new World();
    let reply = single.stream.hex();
    for (const byte of bytes) reply += single.send([1, byte]);
    expect(reply).toBe(expected);
  });

  test("a client that goes at any byte of a request leaves nothing behind", () => {
    const bytes = request({ ...one, type: WRITE, length: 2 * MIB, data: new Uint8Array(2 * MIB) });
    const places = [...Array(29).keys(), 1000, MIB, 2 * MIB, bytes.length - 1];
    for (const cut of places) {
      const world = new World().begin();
      world.send(bytes.subarray(0, cut));
      world.connection.onClose(world.stream, "gone");
      expect({ cut, longBytes: world.longBytes }).toEqual({ cut, longBytes: 0 });
      expect(world.requests).toEqual([]);
    }
  });

  test("a client that never reads is no longer read from, and goes on when it does", () => {
    const world = new World().begin();
    world.stream.room = 0;
    const read = request({ type: READ, cookie: 1n, offset: 0, length: 4096 });
    for (let i = 0; i < 2000; i += 1) world.send(read);
    expect(world.stream.isPaused).toBe(true);
    const served = world.requests.length;
    expect(served).toBeLessThan(600);
    expect(world.connection.output.pendingBytes).toBeLessThan(3 * MIB);
    world.stream.room = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 20; i += 1) world.connection.onDrain();
    expect(world.requests.length).toBe(2000);
    expect(world.stream.isPaused).toBe(false);
    expect(world.stream.written.length).toBe(2000 * (16 + 4096));
  });

  test("requests that are kept hold back others, and replies go out in any order", () => {
    const world = new World().begin();
    world.keepsRequests = true;
    for (let i = 0n; i < 40n; i += 1n) {
      world.send(request({ type: TRIM, cookie: i, offset: 0, length: 64 * 1024 }));
    }
    expect(world.requests.length).toBe(32);
    expect(world.stream.isPaused).toBe(true);
    for (const it of world.kept.toReversed()) {
      world.connection.replies.empty({ ...it, offset: 0, byteCount: 0 }, ERRNO.OK);
      world.connection.release(64 * 1024);
    }
    world.soon();
    expect(world.requests.length).toBe(40);
    const cookies = world.stream
      .hex()
      .match(/.{32}/g)
      ?.map((it) => Number.parseInt(it.slice(16), 16));
    expect(cookies).toEqual(Array.from({ length: 32 }, (_, i) => 31 - i));
  });

  test("a long request waits until there is memory for it", () => {
    const world = new World().begin();
    world.longMax = 0;
    world.send(request({ type: READ, cookie: 1n, offset: 0, length: 4 * MIB }));
    world.send(request({ type: READ, cookie: 2n, offset: 0, length: 1 }));
    expect(world.requests).toEqual([]);
    expect(world.stream.isPaused).toBe(true);
    world.longMax = 64 * MIB;
    world.connection.goOn();
    world.soon();
    expect(world.requests).toEqual([`0 0+${4 * MIB}`, "0 0+1"]);
  });

  test("DISC ends the stream once what is kept is answered, without a reply of its own", () => {
    const world = new World().begin();
    world.keepsRequests = true;
    world.send(request({ type: FLUSH, cookie: 7n, offset: 0, length: 0 }));
    world.send(request({ type: DISC, cookie: 8n, offset: 0, length: 0 }));
    expect(world.stream.isEnded).toBe(false);
    const [it] = world.kept;
    if (it === undefined) throw new Error("nothing was kept");
    world.connection.replies.empty({ ...it, offset: 0, byteCount: 0 }, ERRNO.OK);
    world.connection.release(0);
    world.soon();
    expect(world.stream.hex()).toBe("67446698" + "00000000" + "0000000000000007");
    expect(world.stream.isEnded).toBe(true);
  });

  test("when the node stops each request that was read is answered, and the stream ends", () => {
    const world = new World().begin();
    world.stream.room = 0;
    const read = request({ type: READ, cookie: 1n, offset: 0, length: MIB });
    world.send(read, read, read, read);
    const served = world.requests.length;
    expect(served).toBeLessThan(4);
    world.isStopping = true;
    world.connection.stop();
    world.stream.room = Number.POSITIVE_INFINITY;
    world.connection.onDrain();
    expect(world.requests.length).toBe(served);
    const refused = 4 - served;
    expect(world.stream.written.length).toBe(served * (16 + MIB) + refused * 16);
    expect(world.stream.isEnded).toBe(true);
  });
});
