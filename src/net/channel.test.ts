import { describe, expect, test } from "bun:test";
import {
  answerWithPages,
  bareAndChannel,
  channelPair,
  frameBytes,
  Outcomes,
} from "../../harness/sim/channel-pair.ts";
import { assert } from "../core/assert.ts";
import {
  GOODBYE_TIMEOUT_MS,
  HEADER_BYTES,
  LANE_BYTES_MAX,
  OUTPUT_PAUSE_BYTES,
  REPLY_BYTES_OUTSTANDING_MAX,
  REQUESTS_OUTSTANDING_MAX,
} from "../core/limits.ts";
import type { Frame } from "../wire/framer.ts";
import { FLAG_REPLY } from "../wire/header.ts";
import { MESSAGE } from "../wire/messages.ts";
import { TRANSPORT_STATUS } from "../wire/status.ts";
import { type Channel, LANE, type LaneId } from "./channel.ts";

const GET_ENTRY_BYTES = 40;
const FLUSH_ENTRY_BYTES = 48;
const TIMEOUT_MS = 60_000;
const LONG_MS = 600_000;

/** Requests `count` pages filled with `fill`. @returns the request number, or 0. */
function get(channel: Channel, sink: Outcomes, context: number, count = 1, fill = 7): number {
  if (!channel.begin(LANE.URGENT, count * GET_ENTRY_BYTES)) return 0;
  channel.bytes.fill(0, channel.at, channel.at + count * GET_ENTRY_BYTES);
  channel.bytes[channel.at] = fill;
  const bodyBytes = count * GET_ENTRY_BYTES;
  return channel.commitRequest(MESSAGE.GET, count, bodyBytes, sink, context, TIMEOUT_MS);
}

function flush(
  channel: Channel,
  sink: Outcomes,
  context: number,
  options: { count?: number; lane?: LaneId; timeoutMs?: number } = {},
): number {
  const { count = 1, lane = LANE.BULK, timeoutMs = TIMEOUT_MS } = options;
  const bodyBytes = count * FLUSH_ENTRY_BYTES;
  if (!channel.begin(lane, bodyBytes)) return 0;
  channel.bytes.fill(0, channel.at, channel.at + bodyBytes);
  return channel.commitRequest(MESSAGE.FLUSH, count, bodyBytes, sink, context, timeoutMs);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

describe("Channel requests", () => {
  for (const seed of [1, 2, 3, 4]) {
    test(`each gets its own reply, both ways at once, however cut (seed ${seed})`, async () => {
      const { clock, near, far } = await channelPair(seed);
      const sinks = [new Outcomes(), new Outcomes()];
      for (const [end, sink] of [
        [near, sinks[0]],
        [far, sinks[1]],
      ] as const) {
        let next = 0;
        const ask = (): void => {
          while (next < 500 && sink !== undefined && next - sink.count < 64) {
            expect(get(end.channel, sink, next, 1 + (next % 3), next % 256)).not.toBe(0);
            next += 1;
          }
        };
        if (sink !== undefined) sink.onEach = ask;
        ask();
      }
      const isDone = (): boolean => sinks.every((sink) => sink.count === 500);
      expect(clock.runUntil(isDone, LONG_MS)).toBe(true);
      for (const sink of sinks) {
        expect(sink.failures).toEqual([]);
        expect(sink.contexts()).toEqual(upTo(500));
        for (const { context, bodyBytes } of sink.replies) {
          expect(bodyBytes).toBe((1 + (context % 3)) * 4112);
        }
      }
      expect(near.channel.outstandingCount).toBe(0);
    });
  }

  test("commitRequest() returns 0 and sends nothing when the table is full", async () => {
    const { clock, near, far } = await channelPair(5);
    const waiting: Frame["request"][] = [];
    far.answer = (_channel, frame) => waiting.push(frame.request);
    const sink = new Outcomes();
    for (let i = 0; i < REQUESTS_OUTSTANDING_MAX; i += 1) {
      expect(flush(near.channel, sink, i)).not.toBe(0);
    }
    expect(flush(near.channel, sink, -1)).toBe(0);
    clock.run(clock.now() + 1000);
    expect(waiting).toHaveLength(REQUESTS_OUTSTANDING_MAX);
    expect(new Set(waiting).size).toBe(REQUESTS_OUTSTANDING_MAX);
    expect(near.rooms).toBe(0);
    far.channel.begin(LANE.URGENT, 1);
    far.channel.bytes[far.channel.at] = 0;
    far.channel.commitReply(MESSAGE.FLUSH, waiting[3] ?? 0, 0, 1, 1);
    clock.run(clock.now() + 1000);
    expect(sink.contexts()).toEqual([3]);
    expect(near.rooms).toBe(1);
    expect(flush(near.channel, sink, 4000)).not.toBe(0);
  });

  test("commitRequest() returns 0 when its reply would exceed the window", async () => {
    const { clock, near } = await channelPair(6);
    const sink = new Outcomes();
    let sent = 0;
    while (get(near.channel, sink, sent, 64) !== 0) sent += 1;
    expect(sent).toBe(Math.floor(REPLY_BYTES_OUTSTANDING_MAX / (64 * 4112)));
    expect(flush(near.channel, sink, 1000)).not.toBe(0); // A small reply still fits.
    expect(clock.runUntil(() => sink.count === sent + 1, LONG_MS)).toBe(true);
    expect(get(near.channel, sink, sent, 64)).not.toBe(0);
  });

  test("past its deadline a request fails with TIMED_OUT, and its late reply is ignored", async () => {
    const { clock, near, far } = await channelPair(7);
    let late: number | null = null;
    far.answer = (_channel, frame) => (late = frame.request);
    const sink = new Outcomes();
    flush(near.channel, sink, 1, { timeoutMs: 500 });
    clock.run(clock.now() + 499);
    expect(sink.count).toBe(0);
    clock.run(clock.now() + 100);
    expect(sink.failures).toEqual([{ context: 1, status: TRANSPORT_STATUS.TIMED_OUT }]);
    expect(near.counters.requests_timed_out).toBe(1);
    far.channel.begin(LANE.URGENT, 1);
    far.channel.bytes[far.channel.at] = 0;
    far.channel.commitReply(MESSAGE.FLUSH, late ?? 0, 0, 1, 1);
    clock.run(clock.now() + 1000);
    expect(sink.count).toBe(1);
    expect(near.counters.replies_late).toBe(1);
    far.answer = answerWithPages;
    flush(near.channel, sink, 2);
    expect(clock.runUntil(() => sink.count === 2, 1000)).toBe(true);
    expect(near.channel.isOpen).toBe(true);
  });

  test("a peer that answers nothing is given up before its table is full for ever", async () => {
    const { clock, near, far } = await channelPair(8);
    far.answer = () => {};
    const sink = new Outcomes();
    for (let i = 0; i < 600; i += 1) flush(near.channel, sink, i, { timeoutMs: 100 });
    clock.run(clock.now() + 5000);
    expect(sink.contexts()).toEqual(upTo(600));
    expect(near.closed).toEqual(["600 requests have no reply"]);
    expect(far.closed).toEqual(["goodbye: 600 requests have no reply"]);
  });

  test("replyFailed() reaches the sink as a failure with its transport status", async () => {
    const { clock, near, far } = await channelPair(9);
    far.answer = (channel, frame) => channel.replyFailed(frame, TRANSPORT_STATUS.NO_HANDLER);
    const sink = new Outcomes();
    flush(near.channel, sink, 4);
    clock.run(clock.now() + 1000);
    expect(sink.failures).toEqual([{ context: 4, status: TRANSPORT_STATUS.NO_HANDLER }]);
  });
});

describe("Channel lanes", () => {
  test("URGENT overtakes BULK at frame boundaries, and each lane keeps its order", async () => {
    const { clock, network, near, far } = await channelPair(10);
    const order: number[] = [];
    far.answer = (channel, frame) => {
      order.push(frame.type === MESSAGE.GET ? -frame.count : frame.count);
      answerWithPages(channel, frame);
    };
    network.block("a", "b");
    const sink = new Outcomes();
    // Far more than the pipe holds, so that most of it waits in the lane.
    for (let i = 1; i <= 40; i += 1) flush(near.channel, sink, i, { count: 900 + i });
    clock.run(clock.now() + 10);
    for (let i = 1; i <= 5; i += 1) get(near.channel, sink, 100 + i, i);
    network.unblock("a", "b");
    expect(clock.runUntil(() => sink.count === 45, LONG_MS)).toBe(true);
    expect(order.filter((entry) => entry > 0)).toEqual(upTo(40).map((i) => 901 + i));
    expect(order.filter((entry) => entry < 0)).toEqual([-1, -2, -3, -4, -5]);
    expect(order.indexOf(-1)).toBeLessThan(15);
    expect(order.indexOf(-5)).toBe(order.indexOf(-1) + 4);
    expect(sink.failures).toEqual([]);
  });

  test("begin() fails over LANE_BYTES_MAX, and onRoom follows when there is room", async () => {
    const { clock, network, near, far } = await channelPair(11);
    network.block("a", "b");
    const sink = new Outcomes();
    let sent = 0;
    const send = (): void => {
      while (sent < 300 && flush(near.channel, sink, sent, { count: 1024 }) !== 0) sent += 1;
    };
    send();
    expect(sent).toBeLessThan(300);
    expect(near.channel.pendingBytes).toBeLessThanOrEqual(LANE_BYTES_MAX);
    clock.run(clock.now() + 1000);
    expect(near.rooms).toBe(0);
    network.unblock("a", "b");
    near.onRoom = () => {
      near.rooms += 1;
      send();
    };
    expect(clock.runUntil(() => sink.replies.length === 300, LONG_MS)).toBe(true);
    expect(near.rooms).toBeGreaterThan(0);
    expect(far.requests).toHaveLength(300);
    expect(sink.contexts()).toEqual(upTo(300));
  });

  test("a begin() without a commit leaves no trace", async () => {
    const { clock, near, far } = await channelPair(12);
    const sink = new Outcomes();
    near.channel.begin(LANE.BULK, 1000);
    near.channel.bytes.fill(0xff, near.channel.at, near.channel.at + 1000);
    flush(near.channel, sink, 1);
    clock.run(clock.now() + 1000);
    expect(sink.contexts()).toEqual([1]);
    expect(far.requests).toEqual([MESSAGE.FLUSH]);
  });
});

test("Channel frees what it has read", async () => {
  const { bare, far } = await bareAndChannel(15);
  assert(bare.stream !== null);
  const body = new Uint8Array(100 * GET_ENTRY_BYTES);
  const chunk = frameBytes({ type: MESSAGE.GET, request: 1, count: 100, body });
  far.channel.onData(bare.stream, chunk);
  expect(far.requests).toEqual([MESSAGE.GET]);
  expect(chunk.byteLength).toBe(0);
});

describe("Channel against a slow reader", () => {
  test("defers requests while replies pile up, and serves them all later", async () => {
    const { clock, bare, far } = await bareAndChannel(13);
    bare.stream?.pause();
    const body = new Uint8Array(GET_ENTRY_BYTES);
    bare.send(
      ...upTo(3000).map((i) => frameBytes({ type: MESSAGE.GET, request: i + 1, count: 1, body })),
    );
    clock.run(clock.now() + 10_000);
    expect(far.channel.pendingBytes).toBeGreaterThan(OUTPUT_PAUSE_BYTES);
    expect(far.channel.pendingBytes).toBeLessThan(OUTPUT_PAUSE_BYTES + 2 * 4200);
    expect(far.counters.requests_held).toBeGreaterThan(0);
    expect(far.channel.isOpen).toBe(true);
    const served = far.requests.length;
    clock.run(clock.now() + 10_000);
    expect(far.requests.length).toBe(served);

    bare.stream?.resume();
    expect(clock.runUntil(() => far.requests.length === 3000, LONG_MS)).toBe(true);
    clock.run(clock.now() + 10_000);
    expect(far.channel.pendingBytes).toBe(0);
    const { received } = bare;
    expect(received.byteLength).toBe(3000 * (HEADER_BYTES + 4112));
    const view = new DataView(received.buffer);
    for (let i = 0; i < 3000; i += 1) {
      expect(view.getUint32(i * (HEADER_BYTES + 4112) + 8)).toBe(i + 1); // In order, each once.
    }
  });

  test("deferRequests() keeps requests waiting, and in order, until resumeRequests()", async () => {
    const { clock, near, far } = await channelPair(24);
    const sink = new Outcomes();
    far.channel.deferRequests();
    for (let i = 0; i < 50; i += 1) flush(near.channel, sink, i, { count: 1 + i });
    clock.run(clock.now() + 1000);
    expect([far.requests.length, sink.count]).toEqual([0, 0]);
    const order: number[] = [];
    far.answer = (channel, frame) => {
      order.push(frame.count);
      answerWithPages(channel, frame);
      if (frame.count === 10) channel.deferRequests(); // Deferred again, within a handler.
    };
    far.channel.resumeRequests();
    clock.run(clock.now() + 1000);
    expect(order).toEqual(upTo(10).map((i) => i + 1));
    far.channel.resumeRequests();
    clock.run(clock.now() + 1000);
    expect(order).toEqual(upTo(50).map((i) => i + 1));
    expect(sink.contexts()).toEqual(upTo(50));
  });

  test("two peers that request all that their windows allow never deadlock", async () => {
    const { clock, near, far } = await channelPair(14);
    const sinks = [new Outcomes(), new Outcomes()];
    for (const [end, sink] of [
      [near, sinks[0]],
      [far, sinks[1]],
    ] as const) {
      if (sink === undefined) continue;
      let next = 0;
      const ask = (): void => {
        while (next < 60 && get(end.channel, sink, next, 200) !== 0) next += 1;
      };
      end.onRoom = ask;
      sink.onEach = ask;
      ask();
    }
    const isDone = (): boolean => sinks.every((sink) => sink.replies.length === 60);
    expect(clock.runUntil(isDone, LONG_MS)).toBe(true);
    expect(near.counters.requests_held + far.counters.requests_held).toBe(0);
  });
});

describe("Channel close", () => {
  const endings: ReadonlyArray<
    readonly [string, (pair: Awaited<ReturnType<typeof channelPair>>) => void, RegExp]
  > = [
    ["goodbye() here", ({ near }) => near.channel.goodbye(1, "enough"), /^enough$/],
    ["goodbye() there", ({ far }) => far.channel.goodbye(1, "enough"), /^goodbye: enough$/],
    ["close() here", ({ near }) => near.channel.close("no word"), /^no word$/],
    ["terminate() here", ({ near }) => near.channel.terminate("at once"), /^at once$/],
    ["terminate() there", ({ far }) => far.channel.terminate("at once"), /connection reset/],
    ["a cut", ({ network }) => network.cut("a", "b"), /connection reset/],
  ];
  for (const [name, end, reason] of endings) {
    test(`by ${name}: every outstanding request has one outcome and nothing is left`, async () => {
      for (const seed of [15, 16, 17]) {
        const pair = await channelPair(seed);
        const { clock, network, near, far } = pair;
        const sinks = [new Outcomes(), new Outcomes()];
        // A sink that makes a request in its outcome is refused, and must not get the outcome
        // twice.
        for (const [channelEnd, sink] of [
          [near, sinks[0]],
          [far, sinks[1]],
        ] as const) {
          if (sink === undefined) continue;
          for (let i = 0; i < 200; i += 1) get(channelEnd.channel, sink, i);
          sink.onEach = () => {
            if (!channelEnd.channel.isOpen) expect(flush(channelEnd.channel, sink, 999)).toBe(0);
          };
        }
        clock.runUntil(() => (sinks[0]?.count ?? 0) > 20, 1000);
        end(pair);
        clock.run(clock.now() + 10_000);
        for (const sink of sinks) {
          expect(sink.contexts()).toEqual(upTo(200));
          for (const { status } of sink.failures) expect(status).toBe(TRANSPORT_STATUS.DIED);
        }
        expect(near.closed).toHaveLength(1);
        expect(near.closed[0]).toMatch(reason);
        expect([near.gone, far.gone, far.closed.length]).toEqual([1, 1, 1]);
        expect(network.streams.size).toBe(0);
        expect(clock.pendingCount).toBe(0);
      }
    });
  }

  test("a cut anywhere completes outstanding requests and delivers no half frame", async () => {
    const frame = HEADER_BYTES + GET_ENTRY_BYTES;
    for (let cutAt = 0; cutAt <= 2 * frame; cutAt += 1) {
      const { clock, network, near, far } = await channelPair(100 + cutAt);
      const sink = new Outcomes();
      network.cutAfter("a", "b", cutAt);
      get(near.channel, sink, 0);
      get(near.channel, sink, 1);
      clock.run(clock.now() + 5000);
      expect(far.requests).toHaveLength(Math.floor(cutAt / frame));
      expect(sink.contexts()).toEqual([0, 1]);
      expect(clock.pendingCount).toBe(0);
    }
  });

  test("a goodbye to a silent side ends at its deadline", async () => {
    const { clock, network, near } = await channelPair(18);
    network.block("b", "a");
    network.block("a", "b");
    near.channel.goodbye(1, "leaving");
    expect(near.closed).toEqual(["leaving"]);
    expect(near.gone).toBe(0);
    clock.run(clock.now() + GOODBYE_TIMEOUT_MS);
    expect(near.gone).toBe(1);
    clock.run(clock.now() + 10); // The network finishes what is under way.
    expect(clock.pendingCount).toBe(0);
  });
});

describe("Channel against broken bytes", () => {
  const body = new Uint8Array(GET_ENTRY_BYTES);
  const whole = frameBytes({ type: MESSAGE.GET, request: 1, count: 1, body });
  const wrong: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["a 4 GiB length", frameBytes({ type: MESSAGE.GET, request: 1, declared: 0xffffffff })],
    ["another protocol version", Uint8Array.from(whole, (byte, i) => (i === 2 ? 9 : byte))],
    [
      "a reply to a request that was not made",
      frameBytes({ type: MESSAGE.GET, request: 1025, flags: FLAG_REPLY }),
    ],
    ["random bytes", Uint8Array.from({ length: 500 }, (_, i) => (i * 167 + 13) % 256)],
  ];
  for (const [name, bytes] of wrong) {
    test(`${name}: served up to there, then closed with a reason that is sent`, async () => {
      for (const seed of [19, 20, 21]) {
        const { clock, bare, far } = await bareAndChannel(seed);
        bare.send(whole);
        bare.send(bytes);
        bare.send(whole);
        clock.run(clock.now() + 5000);
        expect(far.requests).toEqual([MESSAGE.GET]);
        expect(far.counters.malformed).toBe(1);
        expect(far.closed).toHaveLength(1);
        expect(bare.text).toContain(far.closed[0] ?? "?");
        expect(bare.closedFor).not.toBeNull();
        expect(far.gone).toBe(1);
        expect(clock.pendingCount).toBe(0);
      }
    });
  }

  test("a reply of another type than its request closes the channel", async () => {
    const { clock, bare, far } = await bareAndChannel(22);
    const sink = new Outcomes();
    const request = flush(far.channel, sink, 1);
    bare.send(frameBytes({ type: MESSAGE.KEEPALIVE, request, flags: FLAG_REPLY }));
    clock.run(clock.now() + 5000);
    expect(far.counters.malformed).toBe(1);
    expect(sink.failures).toEqual([{ context: 1, status: TRANSPORT_STATUS.DIED }]);
  });

  test("a second reply to one request closes the channel", async () => {
    const { clock, bare, far } = await bareAndChannel(23);
    const sink = new Outcomes();
    const request = flush(far.channel, sink, 1);
    const status = new Uint8Array(1);
    const reply = { type: MESSAGE.FLUSH, request, flags: FLAG_REPLY, count: 1, body: status };
    bare.send(frameBytes(reply));
    bare.send(frameBytes(reply));
    clock.run(clock.now() + 5000);
    expect(sink.replies).toHaveLength(1);
    expect(far.counters.malformed).toBe(1);
  });
});
