/**
 * Gain: what a node would make of sampled pages, and which `--memory` and `--lend` fit. The codecs
 * and the placements are those of a node, and each placement is filled with the zpages.
 */
import type { Codec } from "../../compress/codec.ts";
import { NOT_SAME_FILLED, sameFilledWord } from "../../compress/same-filled.ts";
import { assert } from "../../core/assert.ts";
import { PERSISTENT } from "../../core/kind.ts";
import {
  BYTES_PER_MIB,
  FRAME_BYTES,
  PAGE_BYTES,
  PERS_ZPAGE_BYTES_MAX_DEFAULT,
  RESERVE_BYTES_MAX_DEFAULT,
  RESERVE_PERCENT_DEFAULT,
  ZPAGE_BYTES_MAX,
} from "../../core/limits.ts";
import type { Memory } from "../../core/memory.ts";
import { below, SeededRandom } from "../../core/random.ts";
import { openPlacement } from "../../placement/open-placement.ts";
import { HEADER_BYTES, type PlacementName } from "../../placement/placement.ts";

/** Index and placement, for each page (docs/operations.md, "Memory of a process"). */
const METADATA_BYTES = 31;
/** After a while four of five pages are compressed again (src/cold). */
const HOT_ONE_IN = 5;
/** So many pages fill a placement: enough that its last block does not matter. */
const FILL_PAGES = 20_000;
const ZPAGE_AT = HEADER_BYTES;
const SEED = 1;

export interface Gain {
  readonly pages: number;
  readonly sameFilled: number;
  /** Pages that do not compress to less than a persistent page may have. */
  readonly whole: number;
  /** The mean of those that compress. 0: there is none. */
  readonly zpageBytes: number;
  /** Bytes of the pages / bytes of their zpages. */
  readonly codecRatio: number;
  /** Pages that are not same-filled / frames. Null: all are. */
  readonly density: Readonly<Record<PlacementName, number | null>>;
  /** Bytes of all pages / bytes of frames and metadata, with the default placement. */
  readonly effectiveRatio: number;
  /** The same once most pages are cold, and were compressed again. */
  readonly coldEffectiveRatio: number;
}

export interface Codecs {
  readonly hot: Codec;
  /** That of cold pages. Without a dictionary, which would bring a little more. */
  readonly cold: Codec;
}

export function gainOf(pages: Uint8Array, { hot, cold }: Codecs, memory: Memory): Gain {
  const count = pages.length / PAGE_BYTES;
  assert(count > 0);
  const zpage = new Uint8Array(2 * PAGE_BYTES);
  const sizes: number[] = [];
  const coldSizes: number[] = [];
  for (let at = 0; at < pages.length; at += PAGE_BYTES) {
    if (sameFilledWord(pages, at) !== NOT_SAME_FILLED) continue;
    const max = PERS_ZPAGE_BYTES_MAX_DEFAULT;
    const size = hot.compress(pages, at, zpage, 0, max) || PAGE_BYTES;
    const isHot = sizes.length % HOT_ONE_IN === 0;
    sizes.push(size);
    const coldMax = Math.min(size - 1, ZPAGE_BYTES_MAX);
    coldSizes.push((isHot ? 0 : cold.compress(pages, at, zpage, 0, coldMax)) || size);
  }
  const compressed = sizes.filter((size) => size !== PAGE_BYTES);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const blocks = framesPerPage(sizes, memory, "blocks");
  const zbud = framesPerPage(sizes, memory, "zbud");
  const effective = (perPage: number): number => {
    const frameBytes = perPage * sizes.length * FRAME_BYTES;
    return (count * PAGE_BYTES) / (frameBytes + count * METADATA_BYTES);
  };
  return {
    pages: count,
    sameFilled: count - sizes.length,
    whole: sizes.length - compressed.length,
    zpageBytes: compressed.length === 0 ? 0 : sum(compressed) / compressed.length,
    codecRatio: sizes.length === 0 ? 1 : (sizes.length * PAGE_BYTES) / sum(sizes),
    density: {
      blocks: blocks === 0 ? null : 1 / blocks,
      zbud: zbud === 0 ? null : 1 / zbud,
    },
    effectiveRatio: effective(blocks),
    coldEffectiveRatio: effective(framesPerPage(coldSizes, memory, "blocks")),
  };
}

/** Fills a placement with zpages of these sizes, in a random order. 0: there are none. */
function framesPerPage(sizes: readonly number[], memory: Memory, name: PlacementName): number {
  if (sizes.length === 0) return 0;
  const count = Math.max(FILL_PAGES, sizes.length);
  const ignore = { onEvict() {}, onMove() {} };
  const options = { placement: name, order: "lru", frameCountMax: count, pinned: false } as const;
  const { frames, placement } = openPlacement(memory, ignore, options);
  const source = new Uint8Array(ZPAGE_AT + PAGE_BYTES);
  const random = new SeededRandom(SEED);
  for (let page = 1; page <= count; page += 1) {
    const size = sizes[below(random, sizes.length)] ?? PAGE_BYTES;
    const ref = placement.put(source, ZPAGE_AT, size, PERSISTENT, page, 0);
    assert(ref !== 0, "a placement with room refused a zpage");
  }
  const used = frames.framesUsed;
  placement.close();
  frames.close();
  return used / count;
}

export interface Suggestion {
  /** Bytes of pages that the node would store. */
  readonly storedBytes: number;
  readonly memoryBytes: number;
  readonly lendBytes: number;
  /** What is left for other nodes to hold. */
  readonly elsewhereBytes: number;
}

/** Sizes are rounded to this. */
const STEP_BYTES = 16 * BYTES_PER_MIB;

/**
 * `--memory` for all of `storedBytes`, as far as the machine has it available beyond its reserve,
 * and `--lend` for what is available after that.
 */
export function suggest(
  storedBytes: number,
  { effectiveRatio }: Gain,
  machine: { totalBytes: number; availableBytes: number; highMarkPercent: number },
): Suggestion {
  const { totalBytes, availableBytes, highMarkPercent } = machine;
  const tenth = (totalBytes * RESERVE_PERCENT_DEFAULT) / 100;
  const free = Math.max(0, availableBytes - Math.min(tenth, RESERVE_BYTES_MAX_DEFAULT));
  const mark = highMarkPercent / 100;
  const wanted = Math.ceil(storedBytes / effectiveRatio / mark / STEP_BYTES) * STEP_BYTES;
  const memoryBytes = Math.max(STEP_BYTES, Math.min(wanted, floorStep(free)));
  const lendBytes = floorStep(Math.max(0, free - memoryBytes));
  const here = memoryBytes * effectiveRatio * mark;
  return { storedBytes, memoryBytes, lendBytes, elsewhereBytes: Math.max(0, storedBytes - here) };
}

function floorStep(bytes: number): number {
  return Math.floor(bytes / STEP_BYTES) * STEP_BYTES;
}
