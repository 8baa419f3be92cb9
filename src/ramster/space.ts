/**
 * Space: how much space there is for the pages of this node, and how much of it is used. It counts
 * memory, lenders and disk. The free space at lenders is an estimate (lenders.ts).
 */
import { FRAME_BYTES } from "../core/limits.ts";
import type { Spill } from "../spill/spill.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { Lenders } from "./holders/lenders.ts";
import type { RemotePages } from "./holders/remote-pages.ts";

export interface Space {
  readonly bytesUsed: number;
  /** Bytes in all, used and free. */
  readonly bytesMax: number;
  /** Nothing is free, and no absent holder could free any by coming back. */
  readonly isFull: boolean;
}

export function spaceOf(
  { frames, budget, placement }: Zcache,
  lenders: Lenders,
  spill: Spill | null,
  remotePages: RemotePages,
): Space {
  const framesHere = placement.framesNeeded;
  const framesUsed = framesHere + remotePages.framesTotal;
  const isDiskFull = spill === null || !spill.hasRoom;
  // A page that also needs a copy on the disk goes nowhere while the disk is full.
  const mayLeave = !(isDiskFull && lenders.wantsDiskCopy);
  const framesLent = mayLeave ? lenders.freeFrames : 0;
  const framesFree = Math.max(0, budget.frameCountMax - framesHere) + framesLent;
  const spillFree = spill === null ? 0 : spill.bytesMax - spill.bytesUsed;
  const bytesUsed = framesUsed * FRAME_BYTES + (spill?.bytesUsed ?? 0);
  const bytesMax = bytesUsed + framesFree * FRAME_BYTES + spillFree;
  const isFull =
    frames.framesUsed >= budget.frameCountMax &&
    !(lenders.isHopeful && mayLeave) &&
    isDiskFull &&
    !remotePages.hasAbsent;
  return { bytesUsed, bytesMax, isFull };
}
