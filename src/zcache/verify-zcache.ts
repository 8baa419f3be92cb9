/** Checks what zcache.ts promises about index and placement. Cost: all pages. For tests. */
import { assert } from "../core/assert.ts";
import { Handle } from "../core/handle.ts";
import type { FramePool } from "../frames/frame-pool.ts";
import type { Placement } from "../placement/placement.ts";
import { TAG } from "../tmem/pampd.ts";
import type { Tmem } from "../tmem/tmem.ts";
import type { ZcacheCounters } from "./counters.ts";

interface Parts {
  readonly tmem: Tmem;
  readonly placement: Placement;
  readonly frames: FramePool;
  readonly counters: ZcacheCounters;
}

export function verifyZcache({ tmem, placement, frames, counters }: Parts): void {
  placement.verify();
  const handle = new Handle();
  let sameFilled = 0;
  let local = 0;
  tmem.verify((page, pool) => {
    const tag = tmem.tag(page);
    if (tag === TAG.SAME_FILLED) sameFilled += 1;
    if (tag !== TAG.LOCAL) return;
    local += 1;
    const ref = tmem.place(page);
    assert(placement.pageOf(ref) === page, "the zpage is that of another page");
    assert(placement.zpageBytes(ref) === tmem.zpageBytes(page), "size of a zpage");
    tmem.readHandle(page, handle);
    assert(tmem.find(pool, handle) === page, "handle of a page");
  });
  const { zpages, pageframes } = placement.counters;
  assert(local === zpages[0] + zpages[1], "local pages and zpages");
  assert(sameFilled === counters.same_filled_pages, "same_filled_pages");
  assert(frames.framesUsed === pageframes[0] + pageframes[1], "frames");
}
