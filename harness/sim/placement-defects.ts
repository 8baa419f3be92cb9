/** Defects of placements (src/placement), for defects.ts. */
import type { Defect } from "./defect.ts";

const BLOCK_SPACE = "src/placement/block-space.ts";
const COMPACTOR = "src/placement/compactor.ts";
const COLD_HAND = "src/placement/cold-hand.ts";
const BLOCKS_TEST = "src/placement/blocks.test.ts";
const COLD_TEST = "src/placement/cold-hand.test.ts";

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
    name: "merged-in-the-wrong-frame",
    about: "zpages of a merged block are looked for in the first frames of the other one",
    caughtBy: { file: BLOCKS_TEST, test: "compaction merges blocks of few frames" },
    edits: [
      {
        file: BLOCK_SPACE,
        find: "withOffset(slot, before * FRAME_BYTES + slotOffset(slot))",
        replace: "withOffset(slot, slotOffset(slot))",
      },
    ],
  },
  {
    name: "merged-without-its-table",
    about: "the slot table of a merged block runs into a zpage",
    caughtBy: { file: "src/placement/block-space.test.ts", test: "a merge makes room" },
    edits: [
      {
        file: BLOCK_SPACE,
        find: "if (rows.gap(target) < growth) this.slide(target, before);",
        replace: "",
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
  {
    name: "saved-bytes-not-free",
    about: "a block does not get the bytes back that a shorter zpage leaves",
    caughtBy: { file: COLD_TEST, test: "a shorter zpage leaves room for others in its block" },
    edits: [
      {
        file: BLOCK_SPACE,
        find: "rows.setRoom(row, rows.freeBytes(row) + saved, rows.low(row));",
        replace: "rows.setRoom(row, rows.freeBytes(row), rows.low(row));",
      },
    ],
  },
  {
    name: "moved-and-no-longer-settled",
    about: "a settled zpage that compaction moves is cold again",
    caughtBy: { file: COLD_TEST, test: "compaction leaves settled zpages settled" },
    edits: [
      {
        file: COMPACTOR,
        find: "const ref = space.store(target, scratch, 0, this.hand.kept(kind, slot));",
        replace:
          "const ref = space.store(target, scratch, 0, this.hand.kept(kind, slot) & ~(1 << 31));",
      },
    ],
  },
  {
    name: "replaced-under-the-old-header",
    about: "a shorter zpage is found under the checksum of the zpage that it replaced",
    caughtBy: { file: COLD_TEST, test: "a replaced zpage has its own checksum" },
    edits: [
      {
        file: BLOCK_SPACE,
        find: "rows.write(row, slotOffset(slot), source, at, HEADER_BYTES + slotZpageBytes(slot));",
        replace:
          "rows.write(row, slotOffset(slot) + 8, source, at + HEADER_BYTES, slotZpageBytes(slot));",
      },
    ],
  },
  {
    name: "whole-page-waits-for-a-frame",
    about: "a whole page that is replaced gives its frame back, and is refused another one",
    caughtBy: { file: COLD_TEST, test: "a whole page finds room in its own frame" },
    edits: [
      {
        file: COLD_HAND,
        find: "else target = space.giveToBlock(row);",
        replace: "else space.giveBlock(row);\n    target ||= space.grow(kind);",
      },
    ],
  },
  {
    name: "saved-bytes-unseen",
    about: "compaction that was in vain is not tried again, however many zpages get shorter",
    caughtBy: { file: COLD_TEST, test: "compaction that was in vain is tried again" },
    edits: [
      {
        file: COLD_HAND,
        find: "this.compactor.freed(slotBytes(before) - slotBytes(slot));",
        replace: "void slotBytes;",
      },
    ],
  },
];
