/** Defects of the cold tier (src/cold), for defects.ts. */
import type { Defect } from "./defect.ts";

const TIER = "src/cold/cold-tier.ts";
const TIER_TEST = "src/cold/cold-tier.test.ts";

export const COLD_DEFECTS: readonly Defect[] = [
  {
    name: "dictionary-freed-early",
    about: "a retired dictionary is freed although zpages use it",
    caughtBy: {
      file: TIER_TEST,
      test: "a dictionary that fits worse and worse is followed by another one",
    },
    edits: [
      {
        file: "src/cold/dictionaries.ts",
        find: "if (usesOf(pool, slot) > 0) continue;",
        replace: "",
      },
    ],
  },
  {
    name: "replaced-while-leaving",
    about: "a zpage is replaced while its former bytes are under way to a holder",
    caughtBy: {
      file: TIER_TEST,
      test: "pages that are put, flushed or leave while their job runs are not touched",
    },
    edits: [
      {
        file: TIER,
        find: "if (tmem.tag(page) !== TAG.LOCAL || placement.isLeaving(tmem.place(page))) return;",
        replace: "if (tmem.tag(page) !== TAG.LOCAL) return; void placement;",
      },
    ],
  },
  {
    name: "replaced-though-put-again",
    about: "a page that was put while its job ran gets its former bytes back",
    edits: [
      {
        file: TIER,
        find: "if (!tmem.isLive(page) || tmem.version(page) !== this.versions[i]) return;",
        replace: "if (!tmem.isLive(page)) return;",
      },
    ],
  },
  {
    name: "damaged-zpage-made-good",
    about: "a damaged zpage is compressed again and gets a checksum that matches",
    caughtBy: {
      file: TIER_TEST,
      test: "a zpage that was damaged is not compressed again, so that its get still fails",
    },
    edits: [
      {
        file: "src/zcache/zcache.ts",
        find: "if (!this.isIntactHere(page, this.scratchHandle)) return false;",
        replace: "this.stage(page);",
      },
    ],
  },
  {
    name: "codec-lost-on-the-way",
    about: "a page that moves away counts as compressed with lz4",
    edits: [
      {
        file: "src/zcache/zcache.ts",
        find: "tmem.describe(page, TAG.REMOTE, copies, tmem.zpageBytes(page), tmem.codec(page));",
        replace: "tmem.describe(page, TAG.REMOTE, copies, tmem.zpageBytes(page), 1);",
      },
    ],
  },
];
