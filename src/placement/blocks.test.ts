import { placementContract } from "../../harness/contract/placement.ts";
import type { MakePlacement } from "../../harness/contract/placement-rig.ts";
import { Blocks } from "./blocks.ts";

const make: MakePlacement = (memory, frames, sink) => {
  return new Blocks(memory, frames, sink, { byUse: true });
};

placementContract("blocks", make);
