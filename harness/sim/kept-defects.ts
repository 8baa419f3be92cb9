/** Defects of kept memory (core/journal.ts), for defects.ts. */
import type { Defect } from "./defect.ts";

const KEPT_TEST = "src/zcache/kept.test.ts";
const TAKEOVER_TEST = "harness/scenarios/takeover.test.ts";
const KILLS = "a successor has what was acknowledged";

export const KEPT_DEFECTS: readonly Defect[] = [
  {
    name: "plain-stores",
    about: "words that a successor needs are changed in the order of the code, and never undone",
    caughtBy: { file: KEPT_TEST, test: KILLS },
    edits: [
      {
        file: "src/core/journal.ts",
        find: "if (this.isRestoring) return;",
        replace: "return;",
      },
    ],
  },
  {
    name: "replaced-zpage-freed-early",
    about: "a put frees the old zpage first, and the new one is written over it",
    caughtBy: { file: KEPT_TEST, test: KILLS },
    edits: [
      {
        file: "src/zcache/put-operation.ts",
        find: "if (!this.isUnderWay) return false;",
        replace: "return false;",
      },
    ],
  },
  {
    name: "cold-zpage-in-place",
    about: "a shorter zpage is written over the old one, also where that must be kept",
    caughtBy: { file: KEPT_TEST, test: KILLS },
    edits: [
      {
        file: "src/placement/cold-hand.ts",
        find: "if (this.frames.journal !== null) {",
        replace: "if (this.frames.journal !== null && rows.isWhole(row)) {",
      },
    ],
  },
  {
    name: "slots-unsaved",
    about: "a zpage is entered into its block, or leaves it, without the journal",
    caughtBy: { file: KEPT_TEST, test: KILLS },
    edits: [
      {
        file: "src/placement/block-rows.ts",
        find: "else this.frames.setKept(this.get(row, FRAME), index * 4, slot);",
        replace: "else this.markSlot(row, index, slot);",
      },
    ],
  },
  {
    name: "versions-used-again",
    about: "a successor gives versions that its predecessor has given",
    caughtBy: { file: KEPT_TEST, test: KILLS },
    edits: [
      {
        file: "src/tmem/tmem.ts",
        find: "if (this.lastVersion > this.versionEnd) this.reserveVersions();",
        replace: "",
      },
    ],
  },
  {
    name: "epochs-used-again",
    about: "a lender that was killed seems to have the pages that it held for others",
    edits: [
      {
        file: "src/node/kept-node.ts",
        find: "this.epochBefore = word(STARTS) * EPOCHS_PER_START;",
        replace: "this.epochBefore = 0 * EPOCHS_PER_START;",
      },
    ],
  },
  {
    name: "pages-of-predecessor-are-holes",
    about: "TRIM passes over pages that a predecessor wrote, and BLOCK_STATUS calls them holes",
    caughtBy: {
      file: "harness/processes/kept.test.ts",
      test: "knows which pages of an export are there, and frees them on TRIM",
    },
    edits: [{ file: "src/exports/open-export.ts", find: "exp.allocation.markAll();", replace: "" }],
  },
  {
    name: "orphans-stay",
    about: "pages at holders that no record names after a takeover stay there",
    caughtBy: { file: TAKEOVER_TEST, test: "pages whose flush was forgotten" },
    edits: [
      {
        file: "src/ramster/repair/restoring.ts",
        find: "for (const node of presence.linkedNodes()) audit.begin(node);",
        replace: "",
      },
    ],
  },
  {
    name: "audited-once",
    about: "an audit ends with its first pass, and misses pages that got another row in it",
    caughtBy: { file: TAKEOVER_TEST, test: "pages whose flush was forgotten" },
    edits: [
      {
        file: "src/ramster/repair/audit.ts",
        find: "return isClean || progress.passes + 1 >= PASSES_MAX;",
        replace: "return true;",
      },
    ],
  },
  {
    name: "emptied-holder-forgotten",
    about: "a successor counts on copies that its predecessor knew to be gone",
    caughtBy: { file: TAKEOVER_TEST, test: "a successor goes on to give up" },
    edits: [
      {
        file: "src/ramster/repair/restoring.ts",
        find: "for (const node of presence.emptiedNodes()) losses.holderEmptied(node);",
        replace: "for (const node of presence.emptiedNodes()) presence.endEmptied(node);",
      },
    ],
  },
  {
    name: "hidden-pages-unseen",
    about: "a page that a flipped bit has hidden reads as one that was never put",
    caughtBy: { file: KEPT_TEST, test: "a flipped bit loses pages" },
    edits: [
      {
        file: "src/tmem/tmem.ts",
        find: "if (!objects.restoreSums(sums) && !wasCut) pools.markDamaged();",
        replace: "objects.restoreSums(sums);",
      },
    ],
  },
  {
    name: "same-filled-unchecked",
    about: "a word with a flipped bit fills a page",
    caughtBy: { file: KEPT_TEST, test: "a flipped bit in the word of a same-filled page" },
    edits: [
      {
        file: "src/zcache/restore-zcache.ts",
        find: "tmem.zpageBytes(page) === sameFilledCheck(tmem.place(page)) &&",
        replace: "",
      },
    ],
  },
];
