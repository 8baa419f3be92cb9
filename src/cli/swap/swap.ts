/**
 * `ramster swap on|off|rotate|status`: makes this machine's kernel swap on an export of a node, and
 * ends that again. The steps are in swap-steps.ts. The units in systemd/ do the same at boot and at
 * shutdown.
 */
import { unreachable } from "../../core/assert.ts";
import type { NodeStats } from "../../wire/stats.ts";
import { withClient } from "../door.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import type { SwapOptions } from "../options.ts";
import { print, printError } from "../print.ts";
import { Progress } from "../progress.ts";
import { stopSignal } from "../stop-signal.ts";
import { BunShell } from "./shell.ts";
import { type NodeSpace, swapRotate } from "./swap-rotate.ts";
import { swapOff, swapOn, swapStatus } from "./swap-steps.ts";

export async function run(options: SwapOptions): Promise<ExitCode> {
  await print(`${await outcome(options, stopSignal())}\n`);
  return EXIT.DONE;
}

async function outcome(options: SwapOptions, stop: AbortSignal): Promise<string> {
  const shell = new BunShell();
  switch (options.action) {
    case "on":
      return swapOn(shell, options, stop);
    case "off": {
      const progress = new Progress(process.stderr, { quiet: false });
      const line = (text: string): void => printError(`ramster: ${text}`);
      return swapOff(shell, options, { progress, line }, stop);
    }
    case "rotate": {
      const progress = new Progress(process.stderr, { quiet: false });
      const line = (text: string): void => printError(`ramster: ${text}`);
      const node = () => withClient(options, async (client) => spaceOf(await client.stats()));
      return swapRotate(shell, options, node, { progress, line }, stop);
    }
    case "status":
      return swapStatus(shell).join("\n");
    default:
      return unreachable(options);
  }
}

function spaceOf({ exports, counters }: NodeStats): NodeSpace {
  const { space_bytes_max: max = 0, space_bytes_used: used = 0 } = counters;
  return {
    freeBytes: Math.max(0, max - used),
    of: (exportName) => {
      const found = exports.find(({ name }) => name === exportName);
      if (found === undefined) return null;
      return { sizeBytes: found.size_bytes, storedBytes: found.used_bytes };
    },
  };
}
