/**
 * Room for pages that come home: what the machine has available, and other swap. swapoff would find
 * out too, but only after it has pushed everything else out of memory, and woken the OOM killer.
 */
import { RamsterError } from "../../core/errors.ts";
import { formatSize } from "../../core/units.ts";
import { parseKib } from "../../memory/proc-text.ts";
import type { Shell } from "./shell.ts";
import { parseSwaps } from "./swap-devices.ts";

/** Throws RamsterError COMMAND_FAILED when the pages on `paths` do not fit. */
export function checkRoomAtHome(shell: Shell, paths: readonly string[], failing: string): void {
  const swaps = parseSwaps(shell.read("/proc/swaps") ?? "");
  const availableBytes = parseKib(shell.read("/proc/meminfo") ?? "", "MemAvailable");
  if (availableBytes === null) return;
  let usedBytes = 0;
  let otherBytes = 0;
  for (const [path, swap] of swaps) {
    if (paths.includes(path)) usedBytes += swap.usedBytes;
    else otherBytes += swap.byteCount - swap.usedBytes;
  }
  if (usedBytes <= availableBytes + otherBytes) return;
  const has = `${formatSize(availableBytes)} of memory and ${formatSize(otherBytes)} of other swap`;
  const how = "end programs, or add --force to try all the same";
  const what = `${formatSize(usedBytes)} would come home, and there are ${has}`;
  throw new RamsterError("COMMAND_FAILED", `${failing}: ${what}: ${how}`);
}
