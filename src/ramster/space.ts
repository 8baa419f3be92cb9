/**
 * Space: how much space there is for the pages of this node, and how much of it is used. It counts
 * memory, lenders and disk. The free space at lenders is an estimate (lenders.ts). Ephemeral pages
 * that are here make room for others, so what they use is free.
 */
import { EPHEMERAL, PERSISTENT } from "../core/kind.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { Spill } from "../spill/spill.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { Lenders } from "./holders/lenders.ts";
import type { RemotePages } from "./holders/remote-pages.ts";

export interface Space {
  readonly bytesUsed: number;
  /** Bytes in all, used and free. */
  readonly bytesMax: number;
  /** Rounded down. */
  readonly percentUsed: number;
  /** Nothing is free, and no absent holder could free any by coming back. */
  readonly isFull: boolean;
}

/** The space under its names in the stats. `hasRoom` tells whether a page could still be stored. */
export function spaceReport({ bytesUsed, bytesMax, percentUsed, isFull }: Space, hasRoom: boolean) {
  return {
    space_bytes_used: Math.round(bytesUsed),
    space_bytes_max: Math.round(bytesMax),
    space_percent_used: percentUsed,
    space_full_count: Number(isFull && !hasRoom),
  };
}

export function spaceOf(
  { frames, budget, placement }: Zcache,
  lenders: Lenders,
  spill: Spill | null,
  remotePages: RemotePages,
): Space {
  const { zbytes } = placement.counters;
  const evictable = zbytes[EPHEMERAL] / Math.max(1, zbytes[EPHEMERAL] + zbytes[PERSISTENT]);
  const framesHere = placement.framesNeeded * (1 - evictable);
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
    bytesMax > 0 &&
    frames.framesUsed >= budget.frameCountMax &&
    zbytes[EPHEMERAL] === 0 &&
    !(lenders.isHopeful && mayLeave) &&
    isDiskFull &&
    !remotePages.hasAbsent;
  const percentUsed = Math.floor((100 * bytesUsed) / Math.max(1, bytesMax));
  return { bytesUsed, bytesMax, percentUsed, isFull };
}
