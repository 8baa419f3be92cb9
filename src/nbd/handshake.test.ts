import { describe, expect, test } from "bun:test";
import {
  BLOCK_STATUS,
  bytesOf,
  FLUSH,
  option,
  type Piece,
  READ,
  request,
} from "../../harness/nbd/bare-client.ts";
import { ConnectionWorld as World } from "../../harness/nbd/connection-world.ts";

const MIB = 1024 * 1024;
const COOKIE = "fedcba9876543210";
const one = { cookie: 0xfedcba9876543210n, offset: 4096, length: 2 };
const GREETING = "4e42444d41474943" + "49484156454f5054" + "0003";

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
const EXT_HEADER_REQD = 0x8000000a;

/** NBD_INFO_EXPORT of the disk. */
function exportInfo(flags: number): readonly Piece[] {
  return [
    [2, 0],
    [8, 64 * MIB],
    [2, flags],
  ];
}

describe("the handshake", () => {
  test("greets, and closes a client with flags that were not offered", () => {
    const world = new World();
    expect(world.stream.hex()).toBe(GREETING);
    world.send([4, 4]);
    expect(world.isClosed).toBe(true);
  });

  test("EXPORT_NAME answers with size and flags, and with zeros unless NO_ZEROES is set", () => {
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

  test("GO and INFO describe the export, its block sizes, and what the client requests", () => {
    const world = new World();
    world.stream.hex();
    world.send([4, 3]);
    const name: readonly Piece[] = [[4, 4], "disk"];
    const about = exportInfo(FLAGS);
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
    const about = exportInfo(FLAGS_STRUCTURED);
    expect(world.send(option(7, [4, 0], [2, 0]))).toStartWith(optionReply(7, 3, ...about));
    world.send(request({ type: BLOCK_STATUS, cookie: 1n, offset: 0, length: 4096 }));
    expect(world.requests).toEqual(["7 0+4096"]);
  });

  test("extended headers include structured replies, which are refused afterwards", () => {
    const world = new World();
    world.stream.hex();
    world.send([4, 3], option(8));
    expect(world.send(option(11))).toBe(optionReply(11, 1));
    expect(errorOf(world.send(option(8)))).toBe(EXT_HEADER_REQD);
    expect(world.send(option(11))).toBe(optionReply(11, 1));
    const allocation: Piece = "base:allocation";
    expect(world.send(option(10, [4, 4], "disk", [4, 1], [4, 15], allocation))).toBe(
      optionReply(10, 4, [4, 1], allocation) + optionReply(10, 1),
    );
    const about = exportInfo(FLAGS_STRUCTURED);
    expect(world.send(option(7, [4, 0], [2, 0]))).toStartWith(optionReply(7, 3, ...about));
    // EXPORT_NAME cannot be refused.
    const old = new World();
    old.send([4, 3], option(11), option(1, "disk"));
    expect(old.stream.isEnded).toBe(true);
  });

  test("contexts of another export than the chosen one do not count", () => {
    const world = new World();
    world.send([4, 3], option(8));
    world.send(option(10, [4, 4], "disk", [4, 1], [4, 15], "base:allocation"));
    world.send(option(7, [4, 10], "ötherwise", [2, 0]));
    const reply = world.send(request({ type: BLOCK_STATUS, cookie: 1n, offset: 0, length: 4096 }));
    expect(reply).toBe(
      "668e33ef" + "0001" + "8001" + "0000000000000001" + "00000006" + "000000160000",
    );
  });

  test("unknown and malformed options are refused, and the handshake goes on", () => {
    const world = new World();
    world.send([4, 3]);
    const refusals: ReadonlyArray<readonly [Uint8Array, number]> = [
      [option(0), UNSUP],
      [option(4), UNSUP],
      [option(12), UNSUP],
      [option(0xffff_ffff, "data"), UNSUP],
      [option(3, "x"), INVALID],
      [option(8, "x"), INVALID],
      [option(11, "x"), INVALID],
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

  test("an option of 4 GiB is skipped and refused", () => {
    const world = new World();
    world.send([4, 3]);
    expect(world.send("IHAVEOPT", [4, 7], [4, 0xffff_ffff])).toBe("");
    for (let sent = 0; sent < 2 ** 32 - 1; ) {
      const count = Math.min(64 * MIB, 2 ** 32 - 1 - sent);
      world.connection.onData(world.stream, new Uint8Array(count)); // Not copied.
      const reply = world.stream.hex();
      sent += count;
      if (sent < 2 ** 32 - 1) expect(reply).toBe("");
      else expect(errorOf(reply)).toBe(TOO_BIG);
    }
    expect(world.send(option(8))).toBe(optionReply(8, 1));
  });

  test("a wrong magic, or too many options, close the stream", () => {
    const wrong = new World();
    wrong.send([4, 3], "IHAVEOPS", [4, 3], [4, 0]);
    expect(wrong.isClosed).toBe(true);
    const many = new World();
    many.send([4, 3]);
    for (let i = 0; i < 2000 && !many.isClosed; i += 1) many.send(option(3));
    expect(many.isClosed).toBe(true);
    const silent = new World();
    silent.connection.tick(29_000, false);
    expect(silent.isClosed).toBe(false);
    silent.connection.tick(2000, false);
    expect(silent.isClosed).toBe(true);
  });

  test("many options in one chunk, the last without data", () => {
    const world = new World();
    const options = Array.from({ length: 200 }, () => option(3));
    world.send([4, 3], ...options);
    const one = new World();
    one.send([4, 3]);
    expect(world.isClosed).toBe(false);
    expect(world.send(option(8))).toBe(one.send(option(8)));
  });

  test("where TLS is required, it comes before everything else", () => {
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

  test("plain bytes behind STARTTLS are not taken for encrypted ones", () => {
    const world = new World("offered");
    world.send([4, 3]);
    world.send(option(5), option(7, [4, 0], [2, 0]));
    expect(world.isClosed).toBe(true);
    expect(world.stream.isSecured).toBe(false);
  });

  test("what was negotiated before TLS is void", () => {
    const world = new World("offered");
    const set = option(10, [4, 4], "disk", [4, 1], [4, 15], "base:allocation");
    world.send([4, 3], option(8), set);
    expect(world.send(option(5))).toBe(optionReply(5, 1));
    world.connection.onOpen(world.stream);
    expect(errorOf(world.send(set))).toBe(INVALID); // Contexts need structured replies.
    world.send(option(7, [4, 4], "disk", [2, 0]));
    expect(world.send(request({ ...one, type: READ }))).toBe(`6744669800000000${COOKIE}abab`);
    expect(world.send(request({ ...one, type: READ, flags: 4 }))).toBe(`6744669800000016${COOKIE}`);
  });

  test("every option is refused while the node stops", () => {
    const world = new World();
    world.send([4, 3]);
    world.isStopping = true;
    expect(errorOf(world.send(option(7, [4, 0], [2, 0])))).toBe(SHUTDOWN);
    expect(world.send(option(2))).toBe(optionReply(2, 1));
  });
});
