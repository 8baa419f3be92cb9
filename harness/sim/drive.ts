/**
 * Runs virtual time while a promise is pending: for code that awaits, such as the client library.
 */
import type { SimClock } from "./clock.ts";

const STEPS_MAX = 1_000_000;

/** The value of `promise`. Throws when no callback is left and the promise is still pending. */
export async function drive<T>(clock: SimClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => {}); // Awaited below; until then a rejection must not count as unhandled.
  for (let step = 0; step < STEPS_MAX; step += 1) {
    for (let turn = 0; turn < 4 && !settled; turn += 1) await Promise.resolve();
    if (settled) return watched;
    if (clock.step()) continue;
    // Only promises are left, in a chain; the last of them may request time again.
    for (let turn = 0; turn < 100 && !settled; turn += 1) await Promise.resolve();
    if (!settled && clock.pendingCount === 0) break;
  }
  if (settled) return watched;
  throw new Error("a promise that nothing will settle");
}
