/** Makes the placement of a store by its name, with the frames that it needs. */
import type { Memory } from "../core/memory.ts";
import { FramePool } from "../frames/frame-pool.ts";
import { FRAMES_MAX } from "./block-rows.ts";
import { Blocks } from "./blocks.ts";
import type { Order, Placement, PlacementName, PlacementSink } from "./placement.ts";
import { Zbud } from "./zbud.ts";

export interface PlacementOptions {
  readonly placement: PlacementName;
  /** Ignored by zbud, whose order is that of the original. */
  readonly order: Order;
  readonly frameCountMax: number;
  readonly pinned: boolean;
}

export function openPlacement(
  memory: Memory,
  sink: PlacementSink,
  { placement, order, frameCountMax, pinned }: PlacementOptions,
): { frames: FramePool; placement: Placement } {
  if (placement === "zbud") {
    const frames = new FramePool(memory, { frameCountMax, pinned });
    return { frames, placement: new Zbud(memory, frames, sink) };
  }
  const frames = new FramePool(memory, { frameCountMax, pinned, spareCountMax: FRAMES_MAX });
  return { frames, placement: new Blocks(memory, frames, sink, { byUse: order === "lru" }) };
}
