/**
 * Topology: which node sends pages to which in a stress run, and how much each node lends. Pure.
 *
 *     server     clients -> one of the servers, in turn        pair        0 -> 1, 2 -> 3, ...
 *     ring       each -> the next                              symmetric   0 <-> 1, 2 <-> 3, ...
 */

import { ConfigError } from "../../src/core/errors.ts";
import { FRAME_BYTES, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN } from "../../src/core/limits.ts";
import { formatSize } from "../../src/core/units.ts";
import type { Replicas } from "../../src/ramster/holders/lenders.ts";
import { hasServers, type Topology } from "./options.ts";

export interface NodePlan {
  number: number;
  /** Keeps pages of its own, and is loaded. */
  loaded: boolean;
  target: number | "auto" | null;
  memoryBytes: number;
  lendBytes: number;
}

export interface TopologyOptions {
  topology: Topology;
  nodes: number;
  servers: number;
  replicas: Replicas;
  memoryBytes: number;
  workingSetBytes: number;
}

/** Plans `nodes` nodes. Throws ConfigError when the topology is impossible with this number. */
export function planTopology(options: TopologyOptions): NodePlan[] {
  const plans: NodePlan[] = Array.from({ length: options.nodes }, (_, number) => {
    const target = targetOf(number, options);
    const isServer = hasServers(options.topology) && number < options.servers;
    const isHolder = options.topology === "pair" && number % 2 === 1;
    return {
      number,
      loaded: !isServer && !isHolder,
      target,
      memoryBytes: options.memoryBytes,
      lendBytes: 0,
    };
  });
  const copies = Math.min(options.servers, options.replicas === "auto" ? 2 : options.replicas);
  const borrowerCount = plans.filter((plan) => plan.target === "auto").length;
  const autoBytes = borrowerCount * options.workingSetBytes * copies;
  for (const plan of plans) {
    // Incompressible pages are sent whole, and a zpage may have a frame to itself: room for both.
    const borrowers = plans.filter((other) => other.target === plan.number).length;
    let bytes = borrowers * options.workingSetBytes * 1.25;
    // Lenders rarely fill evenly.
    if (options.topology === "auto" && !plan.loaded) bytes = (autoBytes / options.servers) * 1.5;
    plan.lendBytes = Math.ceil(bytes / FRAME_BYTES) * FRAME_BYTES;
    // A server without borrowers must start, too.
    if (borrowers > 0 || !plan.loaded) plan.lendBytes = Math.max(plan.lendBytes, MEMORY_BYTES_MIN);
    if (plan.lendBytes > MEMORY_BYTES_MAX) {
      const lends = `node ${plan.number} would lend ${formatSize(plan.lendBytes)}`;
      const most = `at most ${formatSize(MEMORY_BYTES_MAX)} can be lent`;
      throw new ConfigError("BAD_CONFIG", `Cannot use that --working-set: ${lends}, ${most}`);
    }
  }
  if (plans.every((plan) => !plan.loaded)) {
    throw new ConfigError("BAD_CONFIG", `Cannot stress ${options.nodes} nodes: all are servers`);
  }
  return plans;
}

function targetOf(number: number, options: TopologyOptions): NodePlan["target"] {
  const { topology, nodes, servers } = options;
  switch (topology) {
    case "auto":
      return number < servers ? null : "auto";
    case "server":
      return number < servers ? null : (number - servers) % servers;
    case "ring":
      return nodes === 1 ? null : (number + 1) % nodes;
    case "pair":
      return number % 2 === 0 && number + 1 < nodes ? number + 1 : null;
    case "symmetric":
      return (number ^ 1) < nodes ? number ^ 1 : null;
  }
}
