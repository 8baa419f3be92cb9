/** LinkCounters: what the links to one peer have sent and received, over all its connections. */
import { countersOf } from "../core/figure.ts";
import { LINK_COUNTED } from "../core/figures.ts";

type LinkCount = keyof typeof LINK_COUNTED;

export class LinkCounters extends countersOf(LINK_COUNTED) {
  /** Adds what a connection had counted before its peer was identified. */
  add(other: LinkCounters): void {
    for (const name of Object.keys(LINK_COUNTED) as LinkCount[]) this[name] += other[name];
  }
}
