/**
 * Defects: mutations of the code that the simulator must find. Where a defect needs a coincidence
 * that is too rare for chance, a test must find it. Each defect is some edits of source text, made
 * while a file is loaded (with-defect.ts). The text that an edit replaces must appear exactly once,
 * so that no defect is forgotten when the code changes.
 */
import { assert } from "../../src/core/assert.ts";
import { COLD_DEFECTS } from "./cold-defects.ts";
import type { Defect } from "./defect.ts";
import { INDEX_DEFECTS } from "./index-defects.ts";
import { KEPT_DEFECTS } from "./kept-defects.ts";
import { PLACEMENT_DEFECTS } from "./placement-defects.ts";

/** The environment variable that names the defect of a process. */
export const DEFECT_VARIABLE = "RAMSTER_SIM_DEFECT";

const REMOTIFY = "src/ramster/remotify/remotify.ts";
const REPAIR = "src/ramster/repair/repair.ts";
const REPATRIATE = "src/ramster/repatriate/repatriate.ts";
const RAMSTER = "src/ramster/ramster.ts";
const FOREIGN = "src/ramster/foreign/foreign.ts";
const PRESENCE = "src/ramster/holders/presence.ts";
const REMOTE_PAGES = "src/ramster/holders/remote-pages.ts";
const LIVE = "src/node/live-settings.ts";
const SETTINGS_TEST = "harness/scenarios/settings.test.ts";

export const DEFECTS: readonly Defect[] = [
  {
    name: "remotify-without-compare",
    about: "a page that was put again while it travelled turns remote all the same",
    edits: [
      {
        file: REMOTIFY,
        find: "const isSameVersion = tmem.version(page) === batch.versions[i];",
        replace: "const isSameVersion = true;",
      },
    ],
  },
  {
    name: "free-before-ack",
    about: "the local copy goes although no holder has taken the page",
    edits: [
      { file: REMOTIFY, find: "if (areThere && batch.isTaken(i)) {", replace: "if (true) {" },
    ],
  },
  {
    name: "one-holder-is-enough",
    about: "a page turns remote once any of its holders has it",
    edits: [
      {
        file: REMOTIFY,
        find: "if (areThere && batch.isTaken(i)) {",
        replace: "if (areThere && batch.taken[i] !== 0) {",
      },
    ],
  },
  {
    name: "raced-copy-stays",
    about: "the copy of a page that was put again while it travelled is not flushed",
    edits: [
      {
        file: REMOTIFY,
        find: "remotePages.addFlush(node, this.handle, version, FLUSH_SCOPE.PAGE);",
        replace: "void [version, FLUSH_SCOPE];",
      },
    ],
  },
  {
    name: "failed-zombie",
    about: "the zpages of a batch that fails go on leaving, as in the original",
    edits: [
      {
        file: REMOTIFY,
        find: 'if (zcache.placement.isLeaving(ref)) zcache.placement.putBack(ref, "oldest");',
        replace: "void ref;",
      },
    ],
  },
  {
    name: "put-overtakes-flush",
    about: "a put is sent although flushes are pending for the holder",
    edits: [
      {
        file: "src/ramster/holders/put-batches.ts",
        find: "return remotePages.sendFlushes(node) && lenders.credit(node)",
        replace: "return lenders.credit(node)",
      },
    ],
  },
  {
    name: "flush-of-any-version",
    about: "a holder flushes a page whatever its version",
    edits: [
      {
        file: "src/ramster/foreign/foreign-flushes.ts",
        find: "if (page === 0 || tmem.version(page) > version) return 0;",
        replace: "if (page === 0) return 0;",
      },
    ],
  },
  {
    name: "destructive-get",
    about: "a holder gives its copy away with the answer, as in the original",
    edits: [
      {
        file: FOREIGN,
        find: "      at += GET_REPLY_ENTRY_BYTES + zpageBytes;\n",
        replace:
          "      at += GET_REPLY_ENTRY_BYTES + zpageBytes;\n      this.zcache.tmem.flush(page);\n",
      },
    ],
  },
  {
    name: "boot-id-ignored-by-holder",
    about: "pages of an owner that was restarted are kept and served",
    edits: [
      {
        file: FOREIGN,
        find: "const isBack = known !== undefined && known.bootId === bootId;",
        replace: "const isBack = known !== undefined;",
      },
      {
        file: FOREIGN,
        find: "if (owner === undefined || owner.channel !== null) return 0;",
        replace: "if (owner !== undefined || bootId > 0n) return 0;",
      },
    ],
  },
  {
    name: "boot-id-ignored-by-owner",
    about: "a holder that comes back empty is taken to have all that it had",
    edits: [
      {
        file: PRESENCE,
        find: '    if (row.bootId === bootId) return "same";\n',
        replace: '    row.bootId = bootId;\n    if (row.bootId === bootId) return "same";\n',
      },
    ],
  },
  {
    name: "flush-forgotten",
    about: "a flush whose link is lost is not sent again",
    edits: [
      {
        file: REMOTE_PAGES,
        find: "    }\n    flushes.rewind();\n",
        replace: "    }\n    flushes.acknowledge(flushes.inFlightCount);\n",
      },
    ],
  },
  {
    name: "fetch-outlives-put",
    about: "the answer to a fetch counts for a page that was put again meanwhile",
    edits: [
      {
        file: RAMSTER,
        find: "    if (tmem.inTransit(page)) this.repatriate.detach(page);\n",
        replace: "",
      },
    ],
  },
  {
    name: "checksum-ignored",
    about: "bytes are delivered although they do not match their checksum",
    edits: [
      {
        file: "src/zcache/zcache.ts",
        find: "this.checksumOf(handle, zpage.version, zpageBytes, this.seed) === zpage.checksum &&\n      codec",
        replace: "codec",
      },
      {
        file: "src/zcache/zcache.ts",
        find: "    if (this.checksumZpage(handle, zpage) === zpage.checksum) return true;\n",
        replace: "    if (this.checksumZpage(handle, zpage) !== -1) return true;\n",
      },
    ],
  },
  {
    name: "no-repair",
    about: "pages that lost a copy get no other one",
    edits: [
      {
        file: REPAIR,
        find: "  private sweepSlice(): boolean {\n",
        replace:
          "  private sweepSlice(): boolean {\n    this.sweepAt = 0;\n    if (this.sweepAt === 0) return false;\n",
      },
    ],
  },
  {
    name: "repair-without-compare",
    about: "a copy of a page that was put again while it was made counts as a copy of the new page",
    caughtBy: {
      file: "harness/scenarios/repair.test.ts",
      test: "the answer to a copy does not count",
    },
    edits: [
      {
        file: REPAIR,
        find: "const isThere = tmem.isLive(page) && tmem.version(page) === batch.versions[i];",
        replace: "const isThere = tmem.isLive(page);",
      },
    ],
  },
  {
    name: "reclaim-drops",
    about: "a lender that needs memory drops pages as soon as their owner has heard of it",
    edits: [
      {
        file: "src/ramster/foreign/reclaim.ts",
        find: "if (status === STATUS.OK) this.refusedInRow = 0;",
        replace: "if (status === STATUS.OK) this.dropOrphan(owner, batch, i);",
      },
    ],
  },
  {
    name: "copies-on-one-machine",
    about: "both copies of a page go to one zone",
    edits: [
      {
        file: "src/ramster/holders/lenders.ts",
        find: "if (node === lender.node || this.byNode.get(node)?.zone === lender.zone) return true;",
        replace: "if (node === lender.node) return false;",
      },
    ],
  },
  // Defects that the simulator once found in this code, put back.
  {
    name: "restart-unnoticed",
    about: "news of a restart that comes while the old link seems to be up is forgotten",
    edits: [
      {
        file: "src/node/node.ts",
        find: "    this.dropOfEarlierBoot(node); // News of",
        replace: "    // News of",
      },
    ],
  },
  {
    name: "flush-of-named-copy",
    about: "a page is copied twice to one holder, and the flush for one copy takes both",
    edits: [
      {
        file: REPAIR,
        find: "if (!this.isRemote(page) || puts.has(page, tmem.version(page))) return true;",
        replace: "if (!this.isRemote(page)) return true;",
      },
    ],
  },
  {
    name: "too-few-unnoticed",
    about: "a page that turns remote with fewer copies than are wanted by then stays so",
    caughtBy: {
      file: "harness/scenarios/repair.test.ts",
      test: "a page that is in flight when replicas",
    },
    edits: [
      {
        file: REMOTIFY,
        find: "if (isShort && !hasCopy(holders, SPILL)) atRisk.pushNew(page);",
        replace: "void isShort;",
      },
    ],
  },
  {
    name: "stopping-lender-takes",
    about: "a lender that keeps nothing when it stops takes pages while it says good-bye",
    caughtBy: {
      file: "harness/processes/drain.test.ts",
      test: "moves its foreign pages to another lender",
    },
    edits: [
      {
        file: "src/node/drain.ts",
        find: "    this.lending?.setDrained(true);\n    if (foreign === null",
        replace: "    if (foreign === null",
      },
    ],
  },
  {
    name: "wish-of-one-gone",
    about: "a page is whole once the holder that wanted to be rid of it is gone",
    caughtBy: {
      file: "harness/scenarios/repair.test.ts",
      test: "a page stays at risk when its new copy fails",
    },
    edits: [
      {
        file: REPAIR,
        find: "const from = givenUpBy !== NOBODY && hasCopy(copies, givenUpBy) ? givenUpBy : NOBODY;\n    const kept",
        replace:
          "if (givenUpBy !== NOBODY && !hasCopy(copies, givenUpBy)) return true;\n    const from = givenUpBy;\n    const kept",
      },
    ],
  },
  {
    name: "link-lost-for-good",
    about: "a holder whose link was lost is not asked again when the others have no good copy",
    caughtBy: { file: "harness/scenarios/repair.test.ts", test: "a holder whose link was lost" },
    edits: [
      {
        file: REPATRIATE,
        find: "    if (linkLost && this.asks.msLeft(fetch) > 0) {\n",
        replace:
          "    if (linkLost && !fetches.hasUntried(fetch) && this.asks.msLeft(fetch) > 0) {\n",
      },
    ],
  },
  {
    name: "emptied-holder-counts",
    about: "a holder is counted on for pages that it took along, until all records say so",
    caughtBy: {
      file: "harness/scenarios/repair.test.ts",
      test: "no copy is given up when the record names",
    },
    edits: [
      {
        file: PRESENCE,
        find: "return !(this.isAbsent(node) || this.isEmptied(node));",
        replace: "return !this.isAbsent(node);",
      },
    ],
  },
  // Settings, controls and counters, which no seed looks at.
  {
    name: "no-trickle",
    about: "the periodic trickle moves nothing",
    caughtBy: { file: SETTINGS_TEST, test: "--trickle moves this many frames a period" },
    edits: [
      {
        file: RAMSTER,
        find: "if (this.target !== null) this.remotify.allowTrickle(this.settings.trickle.frames);",
        replace: "void this.settings;",
      },
    ],
  },
  {
    name: "remotify-pers-ignored",
    about: "--remotify-pers off moves persistent pages all the same",
    caughtBy: {
      file: SETTINGS_TEST,
      test: "pers_remotify_enable: persistent pages leave when it is set",
    },
    edits: [
      {
        file: "src/node/store-options.ts",
        find: "persEnabled: config.remotifyPers,",
        replace: "persEnabled: true,",
      },
    ],
  },
  {
    name: "pers-remotify-enable-ignored",
    about: "`set pers_remotify_enable` changes nothing",
    caughtBy: {
      file: SETTINGS_TEST,
      test: "pers_remotify_enable: persistent pages stay when it is cleared",
    },
    edits: [
      {
        file: LIVE,
        find: 'remotifyPers: field(settings, "persEnabled"),',
        replace: 'remotifyPers: field({ persEnabled: true }, "persEnabled"),',
      },
    ],
  },
  {
    name: "eph-remotify-enable-ignored",
    about: "`set eph_remotify_enable` changes nothing",
    caughtBy: {
      file: SETTINGS_TEST,
      test: "eph_remotify_enable: ephemeral pages stay when it is cleared",
    },
    edits: [
      {
        file: LIVE,
        find: 'remotifyEph: field(settings, "ephEnabled"),',
        replace: 'remotifyEph: field({ ephEnabled: true }, "ephEnabled"),',
      },
    ],
  },
  {
    name: "pers-remotify-enable-renamed",
    about: "the original's pers_remotify_enable has another name",
    caughtBy: {
      file: SETTINGS_TEST,
      test: "pers_remotify_enable: persistent pages stay when it is cleared",
    },
    edits: [
      {
        file: "src/node/settings.ts",
        find: 'original: "pers_remotify_enable",',
        replace: 'original: "pers_remotify",',
      },
    ],
  },
  {
    name: "eph-remotify-enable-renamed",
    about: "the original's eph_remotify_enable has another name",
    caughtBy: {
      file: SETTINGS_TEST,
      test: "eph_remotify_enable: ephemeral pages stay when it is cleared",
    },
    edits: [
      {
        file: "src/node/settings.ts",
        find: 'original: "eph_remotify_enable",',
        replace: 'original: "eph_remotify",',
      },
    ],
  },
  {
    name: "frozen-ignored",
    about: "`set frozen` refuses no put",
    caughtBy: { file: SETTINGS_TEST, test: "frozen: puts are refused" },
    edits: [
      { file: "src/node/controls.ts", find: "tmem.frozen = isFrozen;", replace: "void isFrozen;" },
    ],
  },
  {
    name: "persistent-first",
    about: "persistent pages leave before ephemeral ones",
    caughtBy: { file: SETTINGS_TEST, test: "ephemeral pages leave before" },
    edits: [
      {
        file: REMOTIFY,
        find: "if (ephEnabled && mayMove(EPHEMERAL)) return EPHEMERAL;\n    if (persEnabled && mayMove(PERSISTENT)) return PERSISTENT;",
        replace:
          "if (persEnabled && mayMove(PERSISTENT)) return PERSISTENT;\n    if (ephEnabled && mayMove(EPHEMERAL)) return EPHEMERAL;",
      },
    ],
  },
  {
    name: "flush-found-uncounted",
    about: "a flush of a page that is there is not counted",
    caughtBy: { file: SETTINGS_TEST, test: "flush_found and flobj_found" },
    edits: [
      {
        file: "src/zcache/zcache.ts",
        find: "this.counters.flush_found += 1;",
        replace: "void this.counters;",
      },
    ],
  },
  {
    name: "flobj-found-uncounted",
    about: "a flush of an object that is there is not counted",
    caughtBy: { file: SETTINGS_TEST, test: "flush_found and flobj_found" },
    edits: [
      {
        file: "src/ramster/holders/flushes.ts",
        find: "counters.flobj_found += 1;",
        replace: "void counters;",
      },
    ],
  },
  {
    name: "foreign-peak-forgotten",
    about: "foreign_pers_pages_max falls with foreign_pers_pages",
    caughtBy: { file: SETTINGS_TEST, test: "foreign_pers_pages_max stays" },
    edits: [
      {
        file: FOREIGN,
        find: "Math.max(counters.foreign_pers_pages_max, zpages[1])",
        replace: "zpages[1]",
      },
    ],
  },
  {
    name: "zpage-mean-ignored",
    about: "--pers-zpage-mean changes nothing",
    caughtBy: { file: SETTINGS_TEST, test: "--pers-zpage-mean: a larger zpage is accepted only" },
    edits: [
      {
        file: "src/node/store-options.ts",
        find: "persZpageMeanBytes: config.persZpageMeanBytes,",
        replace: "persZpageMeanBytes: 2560,",
      },
    ],
  },
  {
    name: "zpage-max-ignored",
    about: "--pers-zpage-max changes nothing",
    caughtBy: { file: "harness/scenarios/scenarios.test.ts", test: "zpages of 4000 bytes" },
    edits: [
      {
        file: "src/node/store-options.ts",
        find: "persZpageBytesMax: config.persZpageBytesMax,",
        replace: "persZpageBytesMax: 3584,",
      },
    ],
  },
  ...INDEX_DEFECTS,
  ...COLD_DEFECTS,
  ...KEPT_DEFECTS,
  ...PLACEMENT_DEFECTS,
];

export function defectNamed(name: string): Defect {
  const defect = DEFECTS.find((it) => it.name === name);
  if (defect !== undefined) return defect;
  const names = DEFECTS.map((it) => it.name).join(", ");
  throw new Error(`Cannot put in defect "${name}": there are ${names}`);
}

/** The text of the file with the defect in it. */
export function editedText(defect: Defect, file: string, text: string): string {
  let edited = text;
  for (const edit of defect.edits.filter((it) => it.file === file)) {
    const parts = edited.split(edit.find);
    assert(parts.length === 2, `"${defect.name}" wants to replace what is not once in ${file}`);
    edited = parts.join(edit.replace);
  }
  return edited;
}
