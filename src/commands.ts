/** The commands of ramster, in the order of the help: those of src/cli, and that of the harness. */
import { stress } from "../harness/stress/command.ts";
import type { Command } from "./cli/command.ts";
import * as cli from "./cli/commands.ts";

export const COMMANDS: readonly Command[] = [
  cli.node,
  cli.server,
  stress,
  cli.status,
  cli.top,
  cli.monitor,
  cli.stats,
  cli.get,
  cli.set,
  cli.drain,
  cli.undrain,
  cli.estimate,
  cli.keygen,
  cli.key,
  cli.swap,
  cli.completion,
  cli.version,
];
