/** Random operations on a placement, checked against the Map of its rig. */
import { assert } from "../../src/core/assert.ts";
import { EPHEMERAL, type Kind, PERSISTENT } from "../../src/core/kind.ts";
import { ZPAGE_BYTES_MAX } from "../../src/core/limits.ts";
import { below, type Random, SeededRandom } from "../../src/core/random.ts";
import { anySize, type PlacementRig } from "./placement-rig.ts";

/** Ends with an empty store, and closes it. */
export function playRandomly(rig: PlacementRig, seed: number, steps: number): void {
  const play = new Play(rig, new SeededRandom(seed));
  for (let step = 0; step < steps; step += 1) {
    play.step();
    if (step % 97 === 0) rig.placement.verify();
  }
  rig.checkAll();
  rig.freeAll();
  rig.placement.verify();
  assert(rig.frames.framesUsed === 0, "a frame is left");
  rig.placement.close();
  rig.frames.close();
}

class Play {
  private readonly rig: PlacementRig;
  private readonly random: Random;
  /** Pages that were leaving, and pages that were cold, when they were found. */
  private readonly leaving: number[] = [];
  private cold: number[] = [];

  constructor(rig: PlacementRig, random: Random) {
    this.rig = rig;
    this.random = random;
  }

  step(): void {
    const { rig, random } = this;
    const kind = below(random, 2) === 0 ? EPHEMERAL : PERSISTENT;
    const dice = below(random, 28);
    const page = this.anyPage();
    if (dice < 10) this.put(kind);
    else if (dice === 10) this.evict(kind);
    else if (dice === 11) this.leaving.push(...rig.takeOldest(kind));
    else if (dice === 12) this.putBack();
    else if (dice === 13) this.changeLimit();
    else if (dice === 14) rig.placement.compact();
    else if (page === 0) return;
    else if (dice < 20) rig.free(page);
    else if (dice === 20) rig.check(page);
    else if (dice === 21) rig.touch(page);
    else if (dice === 22) {
      if (!rig.isLeaving(page)) rig.renumber(page);
    } else if (rig.placement.cold !== null) this.playCold(dice - 23, page);
  }

  private playCold(dice: number, page: number): void {
    const { rig, random } = this;
    if (dice === 0) this.cold = rig.nextCold(1 + below(random, 16));
    else if (dice === 1) this.replace(page);
    else {
      // What was found may be gone or leaving by now.
      const found = this.cold.shift() ?? 0;
      if (!rig.stored.has(found)) return;
      if (dice === 2) rig.settle(found);
      else this.replace(found);
    }
  }

  private replace(page: number): void {
    const { rig, random } = this;
    const zpageBytes = rig.stored.get(page)?.zpageBytes ?? 0;
    if (rig.isLeaving(page) || zpageBytes < 2) return;
    rig.replace(page, 1 + below(random, Math.min(zpageBytes - 1, ZPAGE_BYTES_MAX)));
  }

  private put(kind: Kind): void {
    const { rig, random } = this;
    if (rig.put(anySize(random), kind) !== 0) return;
    assert(!rig.frames.hasFree, "refused with free frames");
  }

  private evict(kind: Kind): void {
    const { placement } = this.rig;
    const had = placement.hasLive(EPHEMERAL);
    assert(placement.evict(kind) === had, "evicts what there is");
  }

  private putBack(): void {
    const { rig, random } = this;
    const page = this.leaving.shift() ?? 0;
    if (!rig.stored.has(page) || !rig.isLeaving(page)) return;
    rig.putBack(page, below(random, 2) === 0 ? "oldest" : "newest");
  }

  /** All frames may be used, or fewer, which may be fewer than are in use. */
  private changeLimit(): void {
    const { frames } = this.rig;
    const half = Math.floor(frames.frameCountMax / 2);
    const isLow = below(this.random, 3) === 0;
    frames.limit = isLow ? half + below(this.random, half) : frames.frameCountMax;
  }

  private anyPage(): number {
    const pages = [...this.rig.stored.keys()];
    return pages[below(this.random, pages.length)] ?? 0;
  }
}
