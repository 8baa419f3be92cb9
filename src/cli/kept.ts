/** Opens what `--keep` keeps for the successor of a node. */
import type { Memory } from "../core/memory.ts";
import type { Random } from "../core/random.ts";
import { keepFolder } from "../memory/keep-folder.ts";
import { openKeptMemory } from "../memory/open-memory.ts";
import type { NodeConfig } from "../node/config.ts";
import { KeptNode } from "../node/kept-node.ts";
import { KEEP_AUTO } from "../node/setting-types.ts";

export interface Kept {
  readonly node: KeptNode;
  /** The number to start with: that of the predecessor, if there is one. */
  readonly number: number | null;
  /** The node has ended in good order. */
  remove(): void;
}

/** Null without `--keep`. Throws RamsterError BAD_KEPT_MEMORY. */
export function openKept(
  { keepPath, name, number, swap }: NodeConfig,
  memory: Memory,
  random: Random,
): Kept | null {
  if (keepPath === null) return null;
  const isAuto = keepPath === KEEP_AUTO;
  const own = isAuto ? keepFolder(name, { inSwapMode: swap !== "off" }) : null;
  const { memory: kept, files } = openKeptMemory(memory, own?.path ?? keepPath);
  const node = new KeptNode(kept, random);
  const remove = (): void => {
    files.remove();
    own?.remove();
  };
  return { node, number: node.numberFor(number), remove };
}
