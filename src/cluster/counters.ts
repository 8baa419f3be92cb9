/** Counters of membership. */
import { countersOf } from "../core/figure.ts";
import { GOSSIP_COUNTED } from "../core/figures.ts";

export const ClusterCounters = countersOf(GOSSIP_COUNTED);
export type ClusterCounters = InstanceType<typeof ClusterCounters>;
