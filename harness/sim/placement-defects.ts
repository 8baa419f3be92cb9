/** Defects of placements (src/placement), for defects.ts. */
import type { Defect } from "./defect.ts";

const BLOCK_SPACE = "src/placement/block-space.ts";
const COMPACTOR = "src/placement/compactor.ts";
const BLOCKS_TEST = "src/placement/blocks.test.ts";

export const PLACEMENT_DEFECTS: readonly Defect[] = [
  {
    name: "match-keeps-age",
    about: "a frame that gets its second zpage keeps its place in the LRU list",
    caughtBy: {
      file: "src/placement/zbud.test.ts",
      test: "zbud.match() makes its frame the newest",
    },
    edits: [
      {
        file: "src/placement/zbud.ts",
        find: "      lru.remove(frame);\n      lru.append(frame);\n      this.counters.unbuddied",
        replace: "      void lru;\n      this.counters.unbuddied",
      },
    ],
  },
  {
    name: "slide-without-header",
    about: "a slide copies zpages without their headers, so that records and checksums are stale",
    caughtBy: { file: BLOCKS_TEST, test: "a slide leaves refs as they are" },
    edits: [
      {
        file: BLOCK_SPACE,
        find: "rows.copy(row, slotOffset(slot), spares, low, bytes);",
        replace: "rows.copy(row, slotOffset(slot) + 8, spares, low + 8, bytes - 8);",
      },
    ],
  },
  {
    name: "epoch-never-aged",
    about: "nothing keeps an old zpage from looking new when the numbers of epochs start again",
    caughtBy: { file: BLOCKS_TEST, test: "a zpage that is never used stays" },
    edits: [
      {
        file: "src/placement/age-hand.ts",
        find: "if (this.uses % SWEEP_EVERY === 0) this.sweep();",
        replace: "void this.sweep;",
      },
    ],
  },
  {
    name: "slot-table-grows-unseen",
    about: "a block takes a zpage without room for one more slot",
    caughtBy: { file: BLOCKS_TEST, test: "zpages of any size fill blocks" },
    edits: [
      {
        file: BLOCK_SPACE,
        find: "return rows.freeBytes(row) >= this.wanted + this.tableGrowth(row);",
        replace: "return rows.freeBytes(row) >= this.wanted;",
      },
    ],
  },
  {
    name: "moved-without-a-word",
    about: "compaction moves a zpage, and its record goes on naming the old place",
    edits: [
      {
        file: COMPACTOR,
        find: "sink.onMove(page, ref);",
        replace: "void [sink, page, ref];",
      },
    ],
  },
  {
    name: "moved-and-no-longer-leaving",
    about: "a zpage that compaction moves is not leaving any more, though a batch has it",
    caughtBy: { file: BLOCKS_TEST, test: "compaction moves leaving zpages" },
    edits: [
      {
        file: COMPACTOR,
        find: "const ref = space.store(target, scratch, 0, this.hand.kept(kind, slot));",
        replace:
          "const ref = space.store(target, scratch, 0, this.hand.kept(kind, slot) & ~(1 << 30));",
      },
    ],
  },
];
