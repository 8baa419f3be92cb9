/** How long things take on a node, in milliseconds. The doors add to the first three. */
import { Histogram, type HistogramSnapshot } from "../core/histogram.ts";

export class Latencies {
  /** A request to put pages, from arrival to answer, waits for frames included. */
  readonly put = new Histogram();
  /** A request to get pages that are all here. */
  readonly local_get = new Histogram();
  /** A request to get pages of which some are remote. */
  readonly remote_get = new Histogram();
  /** A message that asks a holder for pages, from sending to answer. */
  readonly fetch = new Histogram();
  /** A batch of pages to a holder, from sending to answer. */
  readonly remotify = new Histogram();
  /** A page from the disk, and a batch of pages to it. */
  readonly spill_read = new Histogram();
  readonly spill_write = new Histogram();

  snapshot(): Record<string, HistogramSnapshot> {
    const all: Array<[string, Histogram]> = Object.entries(this);
    return Object.fromEntries(all.map(([name, histogram]) => [name, histogram.snapshot()]));
  }
}
