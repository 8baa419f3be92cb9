/**
 * Buggify: places where a node may do something awkward that it may always do, such as send a batch
 * of one page or answer that there is no room. Inert, but for the simulator, which arms some of
 * them in a run and has them fire now and then, so that paths which are rare in life are walked all
 * the time (FoundationDB's BUGGIFY).
 *
 * None of them is on the path of a single page.
 */

export const BUGGIFY_POINTS = [
  /** A batch of remotify is of one frame. */
  "remotify-short-batch",
  /** Remotify is not begun now; the next pump does. */
  "remotify-later",
  /** One pending flush goes out, and not all. */
  "flush-alone",
  /** Pending flushes go out later. */
  "flush-later",
  /** Flushes go out again although they were answered, as when the answer is late. */
  "flush-again",
  /** Another holder is asked at once. */
  "fetch-hedged",
  /** A page that was fetched does not come home. */
  "fetch-not-home",
  /** A page at risk has its turn later. */
  "repair-later",
  /** A copy is sent by itself. */
  "repair-short-batch",
  /** A step of a walk over the index is of a few records. */
  "short-walk",
  /** A turn frees a few pages of what was flushed, or comes late. */
  "short-flush",
  /** A holder refuses a page. */
  "foreign-refused",
  /** A holder evicts an ephemeral frame. */
  "foreign-evicted",
  /** A holder asks for pages to be taken back that it could keep. */
  "foreign-reclaimed",
  /** A borrower is granted no more than a few pages. */
  "small-grant",
] as const;
export type BuggifyPoint = (typeof BUGGIFY_POINTS)[number];

/** Whether to do the awkward thing now. */
export type Buggify = (point: BuggifyPoint) => boolean;

/** Outside of a simulation. */
export const NEVER: Buggify = () => false;
