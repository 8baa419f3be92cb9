/**
 * The command `ramster stress`. It is part of the binary, since it tests the installed program on
 * the user's own machine.
 */
import type { Command } from "../../src/cli/command.ts";
import { CLUSTER_FLAGS, LOAD_FLAGS, REPORT_FLAGS } from "./flags.ts";
import type { StressOptions } from "./options.ts";
import { readStress } from "./read-options.ts";

export const stress: Command<StressOptions> = {
  name: "stress",
  summary: "Starts a cluster on this machine, loads it, and checks every page",
  groups: [CLUSTER_FLAGS, LOAD_FLAGS, REPORT_FLAGS],
  examples: [
    "ramster stress --nodes 8",
    "ramster stress --nodes 4 --topology ring --data pid:1234 --duration 1m --json report.json",
    "ramster stress --nodes 8 --loss 5 --delay 20ms",
    "ramster stress --join 10.0.0.1:7946 --key cluster.key",
    "ramster stress --connect unix:/run/ramster/n2.sock --working-set 256MiB",
  ],
  read: readStress,
  load: () => import("./main.ts"),
};
