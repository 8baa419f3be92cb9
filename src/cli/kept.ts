/** Opens what `--keep` keeps for the successor of a node. */
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import type { KeptFiles } from "../memory/kept-files.ts";
import { openKeptMemory } from "../memory/open-memory.ts";
import type { NodeConfig } from "../node/config.ts";
import { KeptNode } from "../node/kept-node.ts";

export interface Kept {
  readonly node: KeptNode;
  readonly files: KeptFiles;
  /** The number to start with: that of the predecessor, if there is one. */
  readonly number: number | null;
}

/** Null without `--keep`. Throws RamsterError BAD_KEPT_MEMORY. */
export function openKept(
  { keepPath, number }: NodeConfig,
  memory: Memory,
  random: Random,
): Kept | null {
  if (keepPath === null) return null;
  const { memory: kept, files } = openKeptMemory(memory, keepPath);
  const node = new KeptNode(kept, random);
  return { node, files, number: node.numberFor(number) };
}
