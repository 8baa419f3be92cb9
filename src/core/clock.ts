/** Time, given from outside so that the same code runs under virtual time. */

export type TimerId = number;

export interface Clock {
  /** Monotonic milliseconds with a fraction; the origin is arbitrary. */
  now(): number;
  /** Calls `callback` once, `delayMs` or more from now, never before this call returns. */
  after(delayMs: number, callback: () => void): TimerId;
  /** Cancels a timer. One that has fired already is ignored. */
  cancel(timer: TimerId): void;
  /**
   * Calls `callback` once at the end of the current turn of the loop: where small writes are
   * gathered.
   */
  soon(callback: () => void): void;
}
