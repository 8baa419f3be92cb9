/**
 * `ramster swap on|off|rotate|status`: makes this machine's kernel swap on an export of a node, and
 * ends that again. The steps are in swap-steps.ts. The units in packaging/systemd/ do the same at
 * boot and at shutdown.
 */
import { unreachable } from "../../core/assert.ts";
import type { NodeStats } from "../../wire/stats.ts";
import { withClient } from "../door.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { localNodes } from "../local-nodes.ts";
import type { SwapOptions } from "../options.ts";
import { printAnswer, printError } from "../print.ts";
import { Progress } from "../progress.ts";
import { stopSignal } from "../stop-signal.ts";
import { LocalNodeDevices } from "./node-devices.ts";
import { BunShell } from "./shell.ts";
import { type NodeSpace, swapRotate } from "./swap-rotate.ts";
import { type Change, swapOff, swapOn, swapReport, swapStatus } from "./swap-steps.ts";

export async function run(options: SwapOptions): Promise<ExitCode> {
  const shell = new BunShell();
  if (options.action === "status") {
    const text = swapStatus(shell).join("\n");
    await printAnswer({ text, json: { devices: swapReport(shell) } }, options);
    return EXIT.DONE;
  }
  const { text, isChanged } = await change(shell, options, stopSignal());
  const json = { is_changed: isChanged, message: text, devices: swapReport(shell) };
  await printAnswer({ text, json }, options);
  return EXIT.DONE;
}

async function change(
  shell: BunShell,
  options: Exclude<SwapOptions, { action: "status" }>,
  stop: AbortSignal,
): Promise<Change> {
  const { client } = options;
  const clients = client.kind === "local" ? localNodes(client.name) : [client];
  shell.nodes = new LocalNodeDevices(shell, clients);
  switch (options.action) {
    case "on":
      return { text: await swapOn(shell, options, stop), isChanged: true };
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
