/**
 * Buggify: points where a node may do something rare and allowed, such as send a batch of one page
 * or refuse for want of room. Only the simulator arms them: some in each run, which then fire now
 * and then. So rare paths are tested all the time (BUGGIFY of FoundationDB).
 *
 * No point is on the path of a single page.
 */

export const BUGGIFY_POINTS = [
  /** A remotify batch has one frame. */
  "remotify-short-batch",
  /** Remotify does not begin now, but at the next pump. */
  "remotify-later",
  /** One pending flush is sent, and not all. */
  "flush-alone",
  /** Pending flushes are sent later. */
  "flush-later",
  /** Flushes are sent again although they were answered, as after a late answer. */
  "flush-again",
  /** Another holder is asked at once. */
  "fetch-hedged",
  /** A page that was fetched does not stay home. */
  "fetch-not-home",
  /** A page at risk is repaired later. */
  "repair-later",
  /** A copy is sent by itself. */
  "repair-short-batch",
  /** A step of a walk over the index reads a few records. */
  "short-walk",
  /** A turn frees few of the flushed pages, or comes late. */
  "short-flush",
  /** A holder refuses a page. */
  "foreign-refused",
  /** A holder evicts an ephemeral frame. */
  "foreign-evicted",
  /** A holder reclaims pages that it could keep. */
  "foreign-reclaimed",
  /** An owner is granted only a few pages. */
  "small-grant",
] as const;
export type BuggifyPoint = (typeof BUGGIFY_POINTS)[number];

/** Whether to do the awkward thing now. */
export type Buggify = (point: BuggifyPoint) => boolean;

/** Outside a simulation: no point fires. */
export const NEVER: Buggify = () => false;
