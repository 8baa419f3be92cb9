import { describe, expect, test } from "bun:test";
import {
  BLOCK_STATUS,
  bytesOf,
  DISC,
  FLUSH,
  greetingOf,
  READ,
  request,
  TRIM,
  WRITE,
  WRITE_ZEROES,
} from "../../harness/nbd/bare-client.ts";
import { ConnectionWorld as World } from "../../harness/nbd/connection-world.ts";
import { NBD_STALL_TIMEOUT_MS } from "../core/limits.ts";
import { ERRNO } from "./protocol.ts";

const MIB = 1024 * 1024;
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
    const world = new World().begin("structured");
    expect(world.send(request({ ...one, type: READ, flags: 4 }))).toBe(
      `668e33ef00010001${COOKIE}0000000a0000000000001000abab`,
    );
    expect(world.send(request({ ...one, type: READ, offset: 64 * MIB }))).toBe(
      `668e33ef00018001${COOKIE}00000006000000160000`,
    );
    expect(world.send(request({ ...one, type: TRIM }))).toBe(`6744669800000000${COOKIE}`);
  });

  test("extended headers", () => {
    const world = new World().begin("extended");
    const ask = (it: Parameters<typeof request>[0]): string => world.send(request(it, "extended"));
    const head = (type: string, offset: string, length: string): string => {
      return `6e8a278c0001${type}${COOKIE}${offset.padStart(16, "0")}${length.padStart(16, "0")}`;
    };
    const error = (offset: string, errno: number): string => {
      return `${head("8001", offset, "6")}${errno.toString(16).padStart(8, "0")}0000`;
    };
    expect(ask({ ...one, type: READ })).toBe(`${head("0001", "1000", "a")}0000000000001000abab`);
    const data = new Uint8Array([1, 2]);
    expect(ask({ ...one, type: WRITE, data })).toBe(head("0000", "1000", "0"));
    expect(ask({ ...one, type: TRIM })).toBe(head("0000", "1000", "0"));
    expect(world.requests).toEqual(["0 4096+2", "1 4096+2 0102", "4 4096+2"]);
    // An offset that no number holds exactly is repeated exactly.
    expect(ask({ ...one, type: READ, offset: 0xffff_ffff_ffff_fffdn })).toBe(
      error("fffffffffffffffd", ERRNO.EINVAL),
    );
    expect(ask({ ...one, type: TRIM, length: 0xffff_ffff_ffff_ffffn })).toBe(
      error("1000", ERRNO.EINVAL),
    );
    // PAYLOAD_LEN is valid for WRITE only, and may be missing there.
    expect(world.send(request({ ...one, type: WRITE }, "extended"), data)).toBe(
      head("0000", "1000", "0"),
    );
    expect(ask({ ...one, type: TRIM, data })).toBe(error("1000", ERRNO.EINVAL));
    expect(ask({ ...one, type: BLOCK_STATUS, data })).toBe(error("1000", ERRNO.EINVAL));
    expect(world.requests.length).toBe(4);
    expect(world.isClosed).toBe(false);
    ask({ ...one, type: WRITE, length: 32 * MIB + 1, data: new Uint8Array(2) });
    expect(world.isClosed).toBe(true);
  });

  test("a request with other headers than negotiated closes the stream", () => {
    for (const [form, other] of [
      ["structured", "extended"],
      ["extended", "simple"],
    ] as const) {
      const world = new World().begin(form);
      world.send(request({ ...one, type: READ }, other), new Uint8Array(4));
      expect(world.isClosed).toBe(true);
    }
  });

  test("an invalid request is answered with its error, and its data is skipped", () => {
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
      ...greetingOf({ form: "simple" }),
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

  test("a client that leaves at any byte of a request leaves nothing behind", () => {
    const bytes = request({ ...one, type: WRITE, length: 2 * MIB, data: new Uint8Array(2 * MIB) });
    const places = [...Array(29).keys(), 1000, MIB, 2 * MIB, bytes.length - 1];
    for (const cut of places) {
      const world = new World().begin();
      world.send(bytes.subarray(0, cut));
      world.connection.onClose(world.stream, "gone");
      expect({ cut, largeBytes: world.largeBytes }).toEqual({ cut, largeBytes: 0 });
      expect(world.requests).toEqual([]);
    }
  });

  test("a client that never reads is no longer read from, until it reads again", () => {
    const world = new World().begin();
    world.stream.room = 0;
    const read = request({ type: READ, cookie: 1n, offset: 0, length: 4096 });
    for (let i = 0; i < 2000; i += 1) world.send(read);
    expect(world.stream.isPaused).toBe(true);
    const served = world.requests.length;
    expect(served).toBeLessThan(600);
    expect(world.connection.unsentBytes).toBeLessThan(3 * MIB);
    world.stream.room = Number.POSITIVE_INFINITY;
    world.connection.onDrain();
    world.soon();
    expect(world.requests.length).toBe(2000);
    expect(world.stream.isPaused).toBe(false);
    expect(world.stream.written.length).toBe(2000 * (16 + 4096));
  });

  test("replies beyond the bound that are sent at once block no request", () => {
    const world = new World().begin();
    world.sendsSeparately = true;
    const read = request({ type: READ, cookie: 1n, offset: 0, length: 256 * 1024 });
    world.send(...Array.from({ length: 20 }, () => read));
    world.soon();
    expect(world.requests.length).toBe(20);
    expect(world.stream.isPaused).toBe(false);
  });

  test("what exceeds the share of a turn waits for the next, and later bytes behind it", () => {
    const world = new World().begin();
    world.units = 1000;
    const first = request({ type: FLUSH, cookie: 1n, offset: 0, length: 0 });
    const second = request({ type: READ, cookie: 2n, offset: 0, length: 1 });
    world.send(...Array.from({ length: 8 }, () => first));
    expect(world.requests.length).toBe(5);
    expect(world.stream.isPaused).toBe(true);
    world.send(second);
    expect(world.requests.length).toBe(5);
    world.soon();
    expect(world.requests).toEqual([...Array.from({ length: 8 }, () => "3 0+0"), "0 0+1"]);
    expect(world.stream.isPaused).toBe(false);
  });

  test("kept requests block others at the bound, and replies are sent in any order", () => {
    const world = new World().begin();
    world.keepsRequests = true;
    for (let i = 0n; i < 40n; i += 1n) {
      world.send(request({ type: TRIM, cookie: i, offset: 0, length: 64 * 1024 }));
    }
    expect(world.requests.length).toBe(32);
    expect(world.stream.isPaused).toBe(true);
    for (const it of world.kept.toReversed()) {
      world.connection.finish(it, ERRNO.OK);
    }
    world.soon();
    expect(world.requests.length).toBe(40);
    const cookies = world.stream
      .hex()
      .match(/.{32}/g)
      ?.map((it) => Number.parseInt(it.slice(16), 16));
    expect(cookies).toEqual(Array.from({ length: 32 }, (_, i) => 31 - i));
  });

  test("a paused client is served again only once it has taken a reply: it may be gone", () => {
    const world = new World().begin();
    world.keepsRequests = true;
    const trim = request({ type: TRIM, cookie: 1n, offset: 0, length: 64 * 1024 });
    world.send(...Array.from({ length: 40 }, () => trim));
    expect(world.requests.length).toBe(32);
    world.stream.room = 0; // A broken stream looks the same.
    const [it] = world.kept;
    if (it === undefined) throw new Error("nothing was kept");
    world.connection.finish(it, ERRNO.OK);
    world.soon();
    expect(world.requests.length).toBe(32);
    world.stream.room = Number.POSITIVE_INFINITY;
    world.connection.onDrain();
    world.soon();
    expect(world.requests.length).toBe(33);
  });

  test("a large request waits until there is memory for it", () => {
    const world = new World().begin();
    world.largeMax = 0;
    world.send(request({ type: READ, cookie: 1n, offset: 0, length: 4 * MIB }));
    world.send(request({ type: READ, cookie: 2n, offset: 0, length: 1 }));
    expect(world.requests).toEqual([]);
    expect(world.stream.isPaused).toBe(true);
    world.largeMax = 64 * MIB;
    world.connection.wake();
    world.soon();
    expect(world.requests).toEqual([`0 0+${4 * MIB}`, "0 0+1"]);
  });

  test("a client without progress is closed while others wait for its memory", () => {
    const half = request({ ...one, type: WRITE, length: 2 * MIB, data: new Uint8Array(MIB) });
    for (const what of ["write", "read"]) {
      const world = new World().begin();
      if (what === "read") {
        world.sendsSeparately = true;
        world.stream.room = 100;
        world.send(request({ ...one, type: READ, length: 2 * MIB }));
      } else world.send(half);
      world.tickFor(10 * NBD_STALL_TIMEOUT_MS, false);
      expect({ what, isClosed: world.isClosed }).toEqual({ what, isClosed: false });
      world.tickFor(NBD_STALL_TIMEOUT_MS + 1000, true);
      expect({ what, isClosed: world.isClosed }).toEqual({ what, isClosed: true });
      expect(world.largeBytes).toBe(0);
    }
  });

  test("a client that is slow, or only waits itself, is not closed", () => {
    const slow = new World().begin();
    slow.send(request({ ...one, type: WRITE, length: 9 * MIB }));
    for (let i = 0; i < 8; i += 1) {
      slow.tickFor(NBD_STALL_TIMEOUT_MS - 1000, true);
      slow.send(new Uint8Array(MIB));
    }
    expect(slow.isClosed).toBe(false);
    // Only time in which others wait counts.
    const alone = new World().begin();
    alone.send(request({ ...one, type: WRITE, length: 2 * MIB }));
    alone.tickFor(10 * NBD_STALL_TIMEOUT_MS, false);
    alone.tickFor(NBD_STALL_TIMEOUT_MS - 1000, true);
    expect(alone.isClosed).toBe(false);
    const kept = new World().begin();
    kept.keepsRequests = true;
    kept.send(request({ ...one, type: READ, length: 4 * MIB }));
    kept.send(request({ ...one, type: WRITE, length: 4 * MIB }));
    kept.tickFor(10 * NBD_STALL_TIMEOUT_MS, true);
    expect(kept.isClosed).toBe(false);
  });

  test("DISC ends the stream once kept requests are answered, without a reply of its own", () => {
    const world = new World().begin();
    world.keepsRequests = true;
    world.send(request({ type: FLUSH, cookie: 7n, offset: 0, length: 0 }));
    world.send(request({ type: DISC, cookie: 8n, offset: 0, length: 0 }));
    expect(world.stream.isEnded).toBe(false);
    const [it] = world.kept;
    if (it === undefined) throw new Error("nothing was kept");
    world.connection.finish(it, ERRNO.OK);
    world.soon();
    expect(world.stream.hex()).toBe("67446698" + "00000000" + "0000000000000007");
    expect(world.stream.isEnded).toBe(true);
  });

  test("requests under way at DISC are answered, however slow the store and the client", () => {
    const world = new World().begin();
    world.keepsRequests = true;
    world.stream.room = 0;
    world.send(request({ ...one, type: TRIM }), request({ ...one, type: DISC }));
    world.tickFor(10 * NBD_STALL_TIMEOUT_MS, false);
    for (const it of world.kept) world.connection.finish(it, ERRNO.OK);
    for (let i = 0; i < 16; i += 1) {
      world.stream.room = 1;
      world.connection.onDrain();
      world.soon();
      world.tickFor(NBD_STALL_TIMEOUT_MS - 1000, false);
      expect({ i, isClosed: world.isClosed }).toEqual({ i, isClosed: false });
    }
    expect(world.stream.hex()).toBe(`6744669800000000${COOKIE}`);
    expect(world.stream.isEnded).toBe(true);
    world.tickFor(NBD_STALL_TIMEOUT_MS + 1000, false);
    expect(world.isClosed).toBe(true);
  });

  test("when the node stops, each received request is answered and the stream ends", () => {
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
    world.soon();
    expect(world.requests.length).toBe(served);
    const refused = 4 - served;
    expect(world.stream.written.length).toBe(served * (16 + MIB) + refused * 16);
    expect(world.stream.isEnded).toBe(true);
  });
});
