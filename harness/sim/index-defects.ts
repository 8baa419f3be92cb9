/** Defects of the index (src/tmem), for defects.ts. */
import type { Defect } from "./defect.ts";

const ZCACHE = "src/zcache/zcache.ts";
const ZCACHE_TEST = "src/zcache/zcache.test.ts";
const PAGE_INDEX = "src/tmem/page-index.ts";
const PAGE_INDEX_TEST = "src/tmem/page-index.test.ts";

export const INDEX_DEFECTS: readonly Defect[] = [
  {
    name: "renumbered-without-a-word",
    about: "a page moves into a leaf, and its zpage goes on naming the single row",
    caughtBy: {
      file: ZCACHE_TEST,
      test: "zpages follow their pages into a leaf and out of it",
    },
    edits: [
      {
        file: ZCACHE,
        find: "this.placement.setPage(this.tmem.place(page), page);",
        replace: "void page;",
      },
    ],
  },
  {
    name: "renumbered-while-leaving",
    about: "a page moves into a leaf although a batch knows its number",
    caughtBy: {
      file: ZCACHE_TEST,
      test: "a leaving page keeps its number while others move",
    },
    edits: [
      {
        file: ZCACHE,
        find: "return !this.placement.isLeaving(this.tmem.place(page));",
        replace: "return true;",
      },
    ],
  },
  {
    name: "leaf-breaks-under-a-walk",
    about: "pages move while a walk points at one of them",
    caughtBy: {
      file: PAGE_INDEX_TEST,
      test: "a walk visits each page once, however leaves come and go meanwhile",
    },
    edits: [
      {
        file: PAGE_INDEX,
        find: "if (this.isStill) return;",
        replace: "",
      },
    ],
  },
  {
    name: "single-stays-beside-the-leaf",
    about: "a page that is put again stays a single row, and its group costs a leaf as well",
    caughtBy: {
      file: PAGE_INDEX_TEST,
      test: "a page whose number others know stays, and moves when it is put again",
    },
    edits: [
      {
        file: PAGE_INDEX,
        find: "if (isLeaf(page) || this.isStill) return page;",
        replace: "if (page !== 0) return page;",
      },
    ],
  },
];
