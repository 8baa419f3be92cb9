/**
 * Runs virtual time while a promise is pending: for code that awaits, such as the client library.
 */
import type { SimClock } from "./clock.ts";

const STEPS_MAX = 1_000_000;

/** What `promise` settles to. Throws when nothing is left to happen and it is still pending. */
export async function drive<T>(clock: SimClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => {}); // It is awaited below; until then a rejection is no loose end.
  for (let step = 0; step < STEPS_MAX; step += 1) {
    for (let turn = 0; turn < 4 && !settled; turn += 1) await Promise.resolve();
    if (settled) return watched;
    if (clock.step()) continue;
    // Only promises are left, one behind the other; the last of them may ask for time again.
    for (let turn = 0; turn < 100 && !settled; turn += 1) await Promise.resolve();
    if (!settled && clock.pendingCount === 0) break;
  }
  if (settled) return watched;
  throw new Error("a promise that nothing will settle");
}
