/**
 * The bounds and constants of `ramster stress`, as core/limits.ts has those of a node.
 */
import { assert } from "../../src/core/assert.ts";
import { MEMORY_BYTES_MIN, REQUEST_TIMEOUT_MS_DEFAULT } from "../../src/core/limits.ts";

export const STRESS_NODES_DEFAULT = 8;
/** Processes on one machine, each of which takes 30 MiB before its first page. */
export const STRESS_NODES_MAX = 128;
/** Memory of a node in a stress run: small, so that its working set soon exceeds it many times. */
export const STRESS_MEMORY_BYTES_DEFAULT = 4 * 1024 * 1024;
/**
 * Memory of all nodes together, by default. Beyond 16 nodes each has less, down to the least that a
 * node can have, so that 64 nodes are loaded and checked as quickly as 16.
 */
export const STRESS_MEMORY_BYTES_ALL = 64 * 1024 * 1024;
/** Percent of datagrams between nodes; at half of this bound gossip still holds together. */
export const STRESS_LOSS_PERCENT_MAX = 50;
/** One way. A round trip stays below a request's deadline, with time for the work. */
export const STRESS_DELAY_MS_MAX = 500;
/** Between two disturbances of --chaos. */
export const STRESS_CHAOS_MS_DEFAULT = 2000;
/** Working set of a node, in units of its memory: compressed, nine pages in ten are away. */
export const STRESS_WORKING_SET_RATIO = 12;
/** With start, stop and final checks a default run stays well under a minute. */
export const STRESS_DURATION_MS_DEFAULT = 20_000;

assert(MEMORY_BYTES_MIN <= STRESS_MEMORY_BYTES_DEFAULT);
assert(2 * STRESS_DELAY_MS_MAX < REQUEST_TIMEOUT_MS_DEFAULT);
