/**
 * Space: how much room there is for the pages of this node, in its memory, at its lenders and on
 * its disk, and how much of that is used. The free room of lenders is an estimate (lenders.ts).
 */
import { FRAME_BYTES } from "../core/limits.ts";
import type { Spill } from "../spill/spill.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { Lenders } from "./holders/lenders.ts";
import type { RemotePages } from "./holders/remote-pages.ts";

export interface Space {
  readonly bytesUsed: number;
  /** Used and free. */
  readonly bytesMax: number;
  /** Nothing is free, and no absent holder could change that by coming back. */
  readonly isFull: boolean;
}

export function spaceOf(
  { frames, budget }: Zcache,
  lenders: Lenders,
  spill: Spill | null,
  remotePages: RemotePages,
): Space {
  const framesUsed = frames.framesUsed + remotePages.framesTotal;
  const isDiskFull = spill === null || !spill.hasRoom;
  // A page that needs a copy on the disk as well goes nowhere while the disk is full.
  const mayLeave = !(isDiskFull && lenders.wantsDiskCopy);
  const framesLent = mayLeave ? lenders.freeFrames : 0;
  const framesFree = Math.max(0, budget.frameCountMax - frames.framesUsed) + framesLent;
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
