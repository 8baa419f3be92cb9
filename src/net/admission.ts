/**
 * Admission: bounds the connections of one door that are not identified yet. A connection counts
 * from its accept, before TLS, until the other side is identified or gone.
 *
 *     accept --> enter --> waiting, oldest first --> leave     identified: the door's own bound
 *                             \--> closed, when another connection needs its slot
 *
 * A silent connection cannot keep its slot. When all slots are taken, the oldest silent connection
 * is closed. If none is silent, the oldest of all is closed. One source (IPv4 address or IPv6 /64)
 * gets at most a share of the slots. Beyond its share, its own oldest connection is closed.
 * Addresses of known members have slots of their own, so strangers cannot take them.
 *
 * Closed connections are counted, and logged in one line from time to time.
 */
import { ADMISSION_NOTICE_MS, ADMISSION_SHARE_PART } from "../core/admission-limits.ts";
import type { Clock } from "../core/clock.ts";
import { ipBytes } from "./ip.ts";
import type { Stream } from "./transport.ts";

export interface AdmissionSettings {
  /** Name of the door for the log: "peer port". */
  readonly door: string;
  /** Slots for strangers. Known members have as many again. */
  readonly slots: number;
  /** Whether a member of the cluster has this IP address. */
  readonly isKnown?: (host: string) => boolean;
  readonly onNotice: (line: string) => void;
}

/** A connection that is not identified yet. */
export interface Newcomer {
  /** Closes the connection because its slot is needed. */
  close(): void;
  /** Whether the other side has sent nothing yet. */
  isSilent(): boolean;
}

interface Waiting {
  readonly source: string;
  readonly queue: Queue;
  readonly newcomer: Newcomer;
}

/** Oldest first. */
class Queue {
  readonly all = new Set<Stream>();
  readonly bySource = new Map<string, Set<Stream>>();
}

export class Admission {
  /** How many connections were closed or refused because all slots were taken. */
  closedCount = 0;
  private readonly clock: Clock;
  private readonly settings: AdmissionSettings;
  private readonly waiting = new Map<Stream, Waiting>();
  private readonly known = new Queue();
  private readonly strangers = new Queue();
  private noticeMs = Number.NEGATIVE_INFINITY;
  private noticedCount = 0;

  constructor(clock: Clock, settings: AdmissionSettings) {
    this.clock = clock;
    this.settings = settings;
  }

  get count(): number {
    return this.waiting.size;
  }

  /** A stream was accepted. It has a slot until `leave`. */
  enter(stream: Stream, newcomer: Newcomer): void {
    const { slots, isKnown } = this.settings;
    const host = hostOf(stream.remote);
    const source = sourceOf(stream.remote);
    const queue = isKnown?.(host) === true ? this.known : this.strangers;
    const ofSource = queue.bySource.get(source);
    const share = Math.max(1, Math.floor(slots / ADMISSION_SHARE_PART));
    if (ofSource !== undefined && ofSource.size >= share) this.closeOldest(ofSource);
    else if (queue.all.size >= slots) this.closeOldest(queue.all);
    const streams = queue.bySource.get(source) ?? new Set();
    if (streams.size === 0) queue.bySource.set(source, streams);
    streams.add(stream);
    queue.all.add(stream);
    this.waiting.set(stream, { source, queue, newcomer });
  }

  /** The other side is identified, or gone. @returns whether the stream still had its slot. */
  leave(stream: Stream): boolean {
    const waiting = this.waiting.get(stream);
    if (waiting === undefined) return false;
    const { source, queue } = waiting;
    this.waiting.delete(stream);
    queue.all.delete(stream);
    const streams = queue.bySource.get(source);
    streams?.delete(stream);
    if (streams?.size === 0) queue.bySource.delete(source);
    return true;
  }

  /** Closes the oldest stranger. @returns false when there is none. */
  closeOne(): boolean {
    if (this.strangers.all.size === 0) return false;
    this.closeOldest(this.strangers.all);
    return true;
  }

  /** Counts a connection that was refused or closed because all slots were taken, and logs it. */
  countRefused(remote: string): void {
    this.closedCount += 1;
    const nowMs = this.clock.now();
    if (nowMs - this.noticeMs < ADMISSION_NOTICE_MS) return;
    const { door, onNotice } = this.settings;
    const count = this.closedCount - this.noticedCount;
    this.noticeMs = nowMs;
    this.noticedCount = this.closedCount;
    const which = count === 1 ? "1 connection" : `${count} connections`;
    onNotice(
      `Too many connections at the ${door}: closed ${which}, the last from "${hostOf(remote)}"`,
    );
  }

  /** Closes the oldest silent stream, or the oldest of all if none is silent. */
  private closeOldest(streams: ReadonlySet<Stream>): void {
    let oldest: Stream | null = null;
    for (const stream of streams) {
      oldest ??= stream;
      if (this.waiting.get(stream)?.newcomer.isSilent() !== true) continue;
      oldest = stream;
      break;
    }
    if (oldest === null) return;
    const waiting = this.waiting.get(oldest);
    this.leave(oldest);
    this.countRefused(oldest.remote);
    waiting?.newcomer.close();
  }
}

/** The host without brackets and port, since each connection has another port. */
function hostOf(remote: string): string {
  return /^\[?(.*?)\]?:\d+$/.exec(remote)?.[1] ?? remote;
}

/**
 * The source of a stream: its IPv4 address, or its IPv6 /64, since a machine may use a whole /64.
 */
export function sourceOf(remote: string): string {
  const host = hostOf(remote);
  const bytes = ipBytes(host);
  if (bytes === null) return host;
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff;
  if (bytes.byteLength === 4) return bytes.join(".");
  return isMapped ? bytes.subarray(12).join(".") : bytes.subarray(0, 8).join(".");
}
