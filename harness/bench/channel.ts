/**
 * The cost of Channel: the round trip and the rate of 4 KiB replies between two processes. The
 * reference is a bare Bun TCP loop that moves the same bytes. Both take turns within one run,
 * because figures from different minutes cannot be compared.
 *
 *     bare:     60 bytes  ->  4132 bytes for each 60 received; nobody reads their content
 *     channel:  a GET of one page  ->  its reply; the page is copied into it, as at a holder
 *
 * Run alone, this file prints the result. The bench runner calls `channelBench`.
 */

import { assert } from "../../src/core/assert.ts";
import { BufferPool } from "../../src/core/buffer-pool.ts";
import { HEADER_BYTES, PAGE_BYTES } from "../../src/core/limits.ts";
import { STATUS } from "../../src/core/status.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { parseAddress } from "../../src/net/address.ts";
import { BunClock, BunTransport } from "../../src/net/bun.ts";
import { Channel, type ChannelHandler, LANE, type ReplySink } from "../../src/net/channel.ts";
import { LinkCounters } from "../../src/net/counters.ts";
import type { Frame } from "../../src/wire/framer.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { GET_ENTRY_BYTES, GET_REPLY_ENTRY_BYTES } from "../../src/wire/peer-entries.ts";
import { median } from "./bench.ts";

const REQUEST_BYTES = HEADER_BYTES + GET_ENTRY_BYTES;
const REPLY_BODY_BYTES = GET_REPLY_ENTRY_BYTES + PAGE_BYTES;
const REPLY_BYTES = HEADER_BYTES + REPLY_BODY_BYTES;
const DEPTH = 64;
const TIMEOUT_MS = 60_000;

export interface ChannelBenchResult {
  /** Median over rounds of the median round trip, one request at a time. */
  readonly bareRoundTripUs: number;
  readonly channelRoundTripUs: number;
  /** Best of the rounds, 64 in flight. */
  readonly barePagesPerSecond: number;
  readonly channelPagesPerSecond: number;
  /** Medians of the ratios within each round. */
  readonly roundTripRatio: number;
  readonly throughputRatio: number;
}

export interface ChannelBenchOptions {
  readonly rounds?: number;
  readonly roundTrips?: number;
  readonly pages?: number;
}

/** Fetches `total` pages with `depth` in flight. */
export interface Course {
  run(total: number, depth: number, trips: Float64Array | null): Promise<void>;
  close(): void;
}

export async function channelBench(options: ChannelBenchOptions = {}): Promise<ChannelBenchResult> {
  const { rounds = 5, roundTrips = 5000, pages = 100_000 } = options;
  const { barePort, channelAddress, end } = await spawnServer();
  const bare = await connectBare(barePort);
  const channel = await connectChannel(channelAddress);
  const results = { bareTrip: 0, channelTrip: 0, bareRate: 0, channelRate: 0 };
  const trips: number[][] = [[], []];
  const ratios: number[][] = [[], []];
  try {
    for (const course of [bare, channel]) await measure(course, roundTrips / 5, pages / 5);
    for (let round = 0; round < rounds; round += 1) {
      const first = await measure(bare, roundTrips, pages);
      const second = await measure(channel, roundTrips, pages);
      trips[0]?.push(first.tripUs);
      trips[1]?.push(second.tripUs);
      ratios[0]?.push(second.tripUs / first.tripUs);
      ratios[1]?.push(second.rate / first.rate);
      results.bareRate = Math.max(results.bareRate, first.rate);
      results.channelRate = Math.max(results.channelRate, second.rate);
    }
  } finally {
    bare.close();
    channel.close();
    await end();
  }
  return {
    bareRoundTripUs: median(trips[0] ?? []),
    channelRoundTripUs: median(trips[1] ?? []),
    barePagesPerSecond: results.bareRate,
    channelPagesPerSecond: results.channelRate,
    roundTripRatio: median(ratios[0] ?? []),
    throughputRatio: median(ratios[1] ?? []),
  };
}

/** The other process: a bare echo and a channel, each on its own port. */
export async function spawnServer(): Promise<{
  barePort: number;
  channelAddress: string;
  end(): Promise<void>;
}> {
  const child = Bun.spawn([process.execPath, import.meta.path, "serve"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const [barePort, channelAddress] = new TextDecoder().decode(value).trim().split(" ");
  assert(barePort !== undefined && channelAddress !== undefined);
  const end = async (): Promise<void> => {
    child.stdin.end();
    await child.exited;
  };
  return { barePort: Number(barePort), channelAddress, end };
}

export async function measure(
  course: Course,
  roundTrips: number,
  pages: number,
): Promise<{ tripUs: number; rate: number }> {
  const trips = new Float64Array(roundTrips);
  await course.run(roundTrips, 1, trips);
  const start = performance.now();
  await course.run(pages, DEPTH, null);
  const elapsedMs = performance.now() - start;
  return { tripUs: median([...trips]) * 1000, rate: (pages / elapsedMs) * 1000 };
}

// The bare loop.

export async function connectBare(port: number): Promise<Course> {
  const requests = new Uint8Array(REQUEST_BYTES * DEPTH);
  let onPages: (count: number) => void = () => {};
  let pendingBytes = 0;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => void opened.setNoDelay(true),
      data: (_socket, chunk) => {
        pendingBytes += chunk.byteLength;
        const count = Math.floor(pendingBytes / REPLY_BYTES);
        pendingBytes -= count * REPLY_BYTES;
        if (count > 0) onPages(count);
      },
    },
  });
  const ask = (count: number): void => {
    const byteCount = count * REQUEST_BYTES;
    assert(socket.write(requests, 0, byteCount) === byteCount);
  };
  return {
    run: (total, depth, trips) =>
      drive(total, depth, trips, ask, (listener) => (onPages = listener)),
    close: () => socket.end(),
  };
}

/** Keeps `depth` requests in flight until `total` replies have come. */
export function drive(
  total: number,
  depth: number,
  trips: Float64Array | null,
  ask: (count: number) => void,
  listen: (listener: (count: number) => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let requested = 0;
    let done = 0;
    let startedAt = performance.now();
    const askMore = (most: number): void => {
      const count = Math.min(most, total - requested);
      if (count === 0) return;
      requested += count;
      ask(count);
    };
    listen((count) => {
      if (trips !== null) {
        const now = performance.now();
        trips[done] = now - startedAt;
        startedAt = now;
      }
      done += count;
      if (done === total) resolve();
      else askMore(count);
    });
    askMore(depth);
  });
}

// The channel.

class Asker implements ChannelHandler, ReplySink {
  readonly channel: Channel;
  onPages: (count: number) => void = () => {};
  onOpened: () => void = () => {};

  constructor() {
    const env = { clock: new BunClock(), memory: openMemory() };
    this.channel = new Channel({ ...env, pool: new BufferPool() }, this, new LinkCounters());
  }

  ask(count: number): void {
    const { channel } = this;
    for (let i = 0; i < count; i += 1) {
      assert(channel.begin(LANE.URGENT, GET_ENTRY_BYTES));
      channel.bytes.fill(0, channel.at, channel.at + GET_ENTRY_BYTES);
      const number = channel.commitRequest(MESSAGE.GET, 1, GET_ENTRY_BYTES, this, i, TIMEOUT_MS);
      assert(number !== 0);
    }
  }

  onReply(_context: number, reply: Frame): void {
    assert(reply.bodyBytes === REPLY_BODY_BYTES);
    this.onPages(1);
  }

  onFailure(): void {
    assert(false, "a request failed");
  }

  onOpen(): void {
    this.onOpened();
  }

  onRequest(): void {}
  onRoom(): void {}
  onClosed(): void {}
  onGone(): void {}
}

async function connectChannel(address: string): Promise<Course> {
  const asker = new Asker();
  const opened = new Promise<void>((resolve) => (asker.onOpened = resolve));
  asker.channel.attach(new BunTransport().connect(parseAddress(address), asker.channel));
  await opened;
  const ask = (count: number): void => asker.ask(count);
  return {
    run: (total, depth, trips) =>
      drive(total, depth, trips, ask, (listener) => (asker.onPages = listener)),
    close: () => asker.channel.terminate("done"),
  };
}

// The other process.

class Holder implements ChannelHandler {
  private readonly page = new Uint8Array(PAGE_BYTES).fill(0xa5);
  private readonly memory = openMemory();

  onRequest(channel: Channel, frame: Frame): void {
    assert(channel.begin(LANE.URGENT, REPLY_BODY_BYTES));
    const { bytes, view, at } = channel;
    bytes.fill(0, at, at + GET_REPLY_ENTRY_BYTES);
    view.setUint16(at + 12, PAGE_BYTES);
    this.memory.copy(bytes, at + GET_REPLY_ENTRY_BYTES, this.page, 0, PAGE_BYTES);
    channel.commitReply(MESSAGE.GET, frame.request, STATUS.OK, 1, REPLY_BODY_BYTES);
  }

  onOpen(): void {}
  onRoom(): void {}
  onClosed(): void {}
  onGone(): void {}
}

async function serve(): Promise<void> {
  const replies = new Uint8Array(REPLY_BYTES * 1024);
  const owed = { requestBytes: 0, replyBytes: 0 };
  const bare = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => void socket.setNoDelay(true),
      data: (socket, chunk) => {
        owed.requestBytes += chunk.byteLength;
        const count = Math.floor(owed.requestBytes / REQUEST_BYTES);
        owed.requestBytes -= count * REQUEST_BYTES;
        owed.replyBytes += count * REPLY_BYTES;
        const taken = socket.write(replies, 0, owed.replyBytes);
        if (taken > 0) owed.replyBytes -= taken;
      },
      drain: (socket) => {
        if (owed.replyBytes === 0) return;
        const taken = socket.write(replies, 0, owed.replyBytes);
        if (taken > 0) owed.replyBytes -= taken;
      },
    },
  });
  const holder = new Holder();
  const env = { clock: new BunClock(), memory: openMemory() };
  const listener = await new BunTransport().listen(parseAddress("127.0.0.1:0"), () => {
    return new Channel({ ...env, pool: new BufferPool() }, holder, new LinkCounters());
  });
  console.log(`${bare.port} ${listener.address}`);
  // The input ends when the parent is done or has died.
  for await (const _chunk of Bun.stdin.stream());
  process.exit(0);
}

if (import.meta.main) {
  if (process.argv[2] === "serve") await serve();
  else console.log(JSON.stringify(await channelBench(), null, 2));
}
