/**
 * ProcessClock: the clock of one process, whose event loop can be stopped: its timers then fire
 * late, and network events wait behind them. Its time can jump, and the process can end, as when
 * the power fails: none of its callbacks run any more.
 */
import type { Clock, TimerId } from "../../src/core/clock.ts";
import type { Stream, StreamEvents, Transport } from "../../src/net/transport.ts";
import { Killed } from "../kept/crashing-bytes.ts";
import type { SimClock } from "./clock.ts";

/** Not an id of SimClock. */
const NO_TIMER: TimerId = 0;

export class ProcessClock implements Clock {
  private readonly clock: SimClock;
  private resumeMs = 0;
  private jumpedMs = 0;
  private isDead = false;
  /** The process was killed in the middle of a callback (harness/kept/crashing-bytes.ts). */
  onKilled: (() => void) | null = null;
  private depth = 0;
  private readonly timers = new Set<TimerId>();
  /** Callbacks that wait, in order; timers under their id, others under NO_TIMER. */
  private readonly waiting: Array<{ timer: TimerId; callback: () => void }> = [];

  constructor(clock: SimClock) {
    this.clock = clock;
  }

  now(): number {
    return this.clock.now() + this.jumpedMs;
  }

  after(delayMs: number, callback: () => void): TimerId {
    const timer = this.clock.after(delayMs, () => {
      this.timers.delete(timer);
      this.whenAwake(callback, timer);
    });
    this.timers.add(timer);
    return timer;
  }

  cancel(timer: TimerId): void {
    this.clock.cancel(timer);
    this.timers.delete(timer);
    const at = this.waiting.findIndex((it) => it.timer === timer);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  soon(callback: () => void): void {
    this.clock.soon(() => {
      if (!this.isDead) this.call(callback);
    });
  }

  /**
   * Runs something in the process. @returns false when the process was killed in it: no outer
   * callback goes on either.
   */
  call(callback: () => void): boolean {
    this.depth += 1;
    try {
      callback();
      return true;
    } catch (error) {
      if (!(error instanceof Killed) || this.onKilled === null || this.depth > 1) throw error;
      this.onKilled();
      return false;
    } finally {
      this.depth -= 1;
    }
  }

  get isPaused(): boolean {
    return this.resumeMs > this.clock.now();
  }

  /** Stops the process for this long. */
  pause(ms: number): void {
    this.resumeMs = Math.max(this.resumeMs, this.clock.now() + ms);
  }

  /** Moves `now` by this much, in either direction. Running timers are not affected. */
  jump(ms: number): void {
    this.jumpedMs += ms;
  }

  /** Ends the process: no callback runs any more. */
  kill(): void {
    this.isDead = true;
    this.waiting.length = 0;
    for (const timer of this.timers) this.clock.cancel(timer);
    this.timers.clear();
  }

  /** `transport` for a process with this clock. */
  transport(transport: Transport): Transport {
    return {
      listen: (address, accept, options) => {
        const delayed = (stream: Stream): StreamEvents | null => {
          const events = accept(stream);
          return events === null ? null : this.delayed(events);
        };
        return transport.listen(address, delayed, options);
      },
      connect: (address, events, options) => {
        return transport.connect(address, this.delayed(events), options);
      },
      bind: (address, onDatagram) => {
        return transport.bind(address, (bytes, from) => {
          this.whenAwake(() => onDatagram(bytes, from));
        });
      },
      lookup: (host) => transport.lookup(host),
    };
  }

  private delayed(events: StreamEvents): StreamEvents {
    return {
      onOpen: (stream) => this.whenAwake(() => events.onOpen(stream)),
      onData: (stream, chunk) => this.whenAwake(() => events.onData(stream, chunk)),
      onDrain: (stream) => this.whenAwake(() => events.onDrain(stream)),
      onClose: (stream, reason) => this.whenAwake(() => events.onClose(stream, reason)),
    };
  }

  private whenAwake(callback: () => void, timer = NO_TIMER): void {
    if (this.isDead) return;
    if (!this.isPaused && this.waiting.length === 0) {
      this.call(callback);
      return;
    }
    this.waiting.push({ timer, callback });
    if (this.waiting.length === 1) this.wakeLater();
  }

  private wakeLater(): void {
    this.clock.after(Math.max(0, this.resumeMs - this.clock.now()), () => {
      if (this.isDead) return;
      if (this.isPaused) return this.wakeLater();
      // A callback that requests another is queued at the end.
      for (let left = this.waiting.length; left > 0 && !this.isDead; left -= 1) {
        this.call(this.waiting.shift()?.callback ?? (() => {}));
      }
      if (this.waiting.length > 0) this.wakeLater();
    });
  }
}
