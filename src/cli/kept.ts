/** Opens what `--keep` keeps for the successor of a node. */
import { assert } from "../core/assert.ts";
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import { type KeepFolder, keepFolder } from "../memory/keep-folder.ts";
import { openKeptMemory } from "../memory/open-memory.ts";
import type { NodeConfig } from "../node/config.ts";
import { KeptNode } from "../node/kept-node.ts";
import { KEEP_AUTO } from "../node/setting-types.ts";

export interface Kept {
  readonly node: KeptNode;
  /** The number to start with: that of the predecessor, if there is one. */
  readonly number: number | null;
  /** Whether the kernel may swap it out while no process has it. */
  readonly mayBeSwapped: boolean;
  /** Takes the lock of the memory. @returns false: another process has it. */
  lock(): boolean;
  /** The node has ended in good order. */
  remove(): void;
}

/**
 * Null without `--keep`. A standby opens what another process uses. Throws RamsterError
 * BAD_KEPT_MEMORY.
 */
export function openKept(
  config: NodeConfig,
  memory: Memory,
  { random, isStandby }: { random: Random; isStandby: boolean },
): Kept | null {
  if (config.keepPath === null) return null;
  const folder = keptFolder(config);
  const { memory: kept, files } = openKeptMemory(memory, folder.path, { isStandby });
  const node = new KeptNode(kept, random);
  const remove = (): void => {
    files.remove();
    folder.remove();
  };
  const number = node.numberFor(config.number);
  const { mayBeSwapped } = files;
  return { node, number, mayBeSwapped, lock: () => files.lock(), remove };
}

/** Where kept memory is. */
export function keptFolder({ keepPath, name, swap }: NodeConfig): KeepFolder {
  assert(keepPath !== null);
  if (keepPath !== KEEP_AUTO) return { path: keepPath, remove: () => {} };
  return keepFolder(name, { inSwapMode: swap !== "off" });
}
