/**
 * Admission: connections that have not said who they are, at one door: from the accept, before TLS,
 * until the other side is known, or gone.
 *
 *     accept --> enter --> waiting, oldest first --> leave     known: a bound of the door's own
 *                             \--> the next one needs its place: closed
 *
 * Nobody can keep a place by saying nothing: when all are taken the oldest of those makes way, or,
 * where all have said something, the oldest of all. One source (IPv4 address, IPv6 /64) has a share
 * of the places at most, and makes way for itself. Addresses of known members have places of their
 * own, so that strangers cannot take them.
 *
 * Who is refused or makes way is counted, and told in one line now and then.
 */

import { ADMISSION_NOTICE_MS, ADMISSION_SHARE_PART } from "../core/admission-limits.ts";
import type { Clock } from "../core/clock.ts";
import { ipBytes } from "./ip.ts";
import type { Stream } from "./transport.ts";

export interface AdmissionSettings {
  /** What it is at, for the log: "peer port". */
  readonly door: string;
  /** Places of strangers, and as many of known members. */
  readonly places: number;
  /** Whether a member of the cluster has this IP address. */
  readonly isKnown?: (host: string) => boolean;
  readonly onNotice: (line: string) => void;
}

/** A connection as its door has it. */
export interface Newcomer {
  /** It makes way: its stream is to be dropped. */
  close(): void;
  /** Nothing has come from the other side, as far as can be seen. */
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
  /** Connections that were closed to make way for others. */
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

  /** A stream was accepted. It has a place until `leave`. */
  enter(stream: Stream, newcomer: Newcomer): void {
    const { places, isKnown } = this.settings;
    const host = hostOf(stream.remote);
    const source = sourceOf(stream.remote);
    const queue = isKnown?.(host) === true ? this.known : this.strangers;
    const ofSource = queue.bySource.get(source);
    const share = Math.max(1, Math.floor(places / ADMISSION_SHARE_PART));
    if (ofSource !== undefined && ofSource.size >= share) this.closeOldest(ofSource);
    else if (queue.all.size >= places) this.closeOldest(queue.all);
    const streams = queue.bySource.get(source) ?? new Set();
    if (streams.size === 0) queue.bySource.set(source, streams);
    streams.add(stream);
    queue.all.add(stream);
    this.waiting.set(stream, { source, queue, newcomer });
  }

  /** It is known now, or gone. @returns whether it had a place still. */
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

  /** A stream was not accepted, or closed, for want of a place. */
  tellRefused(remote: string): void {
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

  /** Of those that have said nothing, if there are any. */
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
    this.tellRefused(oldest.remote);
    waiting?.newcomer.close();
  }
}

/** Without the port, which is a new one each time, and the brackets. */
function hostOf(remote: string): string {
  return /^\[?(.*?)\]?:\d+$/.exec(remote)?.[1] ?? remote;
}

/**
 * Whom the address of a stream belongs to: a network of IPv6 gives each of its machines 2^64 of
 * them.
 */
export function sourceOf(remote: string): string {
  const host = hostOf(remote);
  const bytes = ipBytes(host);
  if (bytes === null) return host;
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff;
  if (bytes.byteLength === 4) return bytes.join(".");
  return isMapped ? bytes.subarray(12).join(".") : bytes.subarray(0, 8).join(".");
}
