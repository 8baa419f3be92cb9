import { describe, expect, test } from "bun:test";
import { CrashingBytes } from "../../../harness/kept/crashing-bytes.ts";
import { SeededRandom } from "../../core/random.ts";
import { HeapMemory } from "../../memory/heap-memory.ts";
import { NO_COPIES, SPILL, withCopy } from "../copies.ts";
import { nextPresence, Presence, type PresenceEvent, type PresenceState } from "./presence.ts";

const HOLDER = 1;
const EVENTS = ["linked", "heardSame", "heardOther", "heardEmpty", "died", "left"] as const;

/** The table of the header, row by row. */
const TABLE = `
  present   | present present   doubted    present    dead left
  doubted   | present doubted   doubted    present    dead left
  dead      | present present   returning  dead       dead left
  returning | present doubted   returning  dead       dead left
  left      | present left      rejoining  left       left left
  rejoining | present rejoining rejoining  left       left left`;

const ROWS = TABLE.trim()
  .split("\n")
  .map((line) => line.split("|").map((part) => part.trim()))
  .map(([state, cells]) => ({
    state: state as PresenceState,
    cells: (cells ?? "").split(/\s+/) as PresenceState[],
  }));

/** Events that bring a new holder into a state. */
const PATHS: Readonly<Record<PresenceState, readonly PresenceEvent[]>> = {
  present: ["linked"],
  doubted: ["linked", "heardOther"],
  dead: ["linked", "died"],
  returning: ["linked", "died", "heardOther"],
  left: ["linked", "left"],
  rejoining: ["linked", "left", "heardOther"],
};

const BOOT = 5n;
const OTHER_BOOT = 6n;

function apply(presence: Presence, event: PresenceEvent): void {
  if (event === "linked") presence.linked(HOLDER, BOOT);
  else if (event === "heardSame") presence.heard(HOLDER, BOOT, true);
  else if (event === "heardOther") presence.heard(HOLDER, OTHER_BOOT, true);
  else if (event === "heardEmpty") presence.heard(HOLDER, OTHER_BOOT, false);
  else if (event === "died") presence.died(HOLDER);
  else presence.left(HOLDER, BOOT);
}

function presenceIn(state: PresenceState): Presence {
  const presence = new Presence(new HeapMemory());
  for (const event of PATHS[state]) apply(presence, event);
  expect(presence.stateOf(HOLDER)).toBe(state);
  presence.endEmptied(HOLDER);
  return presence;
}

describe.each(ROWS)("a holder that is $state", ({ state, cells }) => {
  test.each(EVENTS.map((event, i) => [event, cells[i]] as const))("%s: %s", (event, next) => {
    expect(nextPresence(state, event)).toBe(next as PresenceState);
    // After the holder left there is no last boot, so no news of that boot can come.
    const hasNoBoot = state === "left" || state === "rejoining";
    if (hasNoBoot && (event === "heardSame" || event === "left")) return;
    const presence = presenceIn(state);
    apply(presence, event);
    expect(presence.stateOf(HOLDER)).toBe(next as PresenceState);
  });
});

test("every state has an answer to every event, and a row here", () => {
  expect(ROWS.map(({ state }) => state).sort()).toEqual(
    (Object.keys(PATHS) as PresenceState[]).sort(),
  );
  for (const { cells } of ROWS) expect(cells.length).toBe(EVENTS.length);
});

test.each([
  ["present", { isPresent: true, isAbsent: false, isInDoubt: false, hasLeft: false }],
  ["doubted", { isPresent: true, isAbsent: false, isInDoubt: true, hasLeft: false }],
  ["dead", { isPresent: false, isAbsent: true, isInDoubt: false, hasLeft: false }],
  ["returning", { isPresent: false, isAbsent: true, isInDoubt: true, hasLeft: false }],
  ["left", { isPresent: false, isAbsent: true, isInDoubt: false, hasLeft: true }],
  ["rejoining", { isPresent: false, isAbsent: true, isInDoubt: true, hasLeft: true }],
] as const)("what follows from %s", (state, expected) => {
  const presence = presenceIn(state);
  expect({
    isPresent: presence.isPresent(HOLDER),
    isAbsent: presence.isAbsent(HOLDER),
    isInDoubt: presence.isInDoubt(HOLDER),
    hasLeft: presence.hasLeft(HOLDER),
  }).toEqual(expected);
});

test("a link shows the same boot, another one, or the one that left", () => {
  const presence = new Presence(new HeapMemory());
  expect(presence.linked(HOLDER, 1n)).toBe("other"); // The first link: it has no pages yet.
  expect(presence.linked(HOLDER, 1n)).toBe("same");
  expect(presence.linked(HOLDER, 2n)).toBe("other");
  expect(presence.left(HOLDER, 1n)).toBe(false); // News of an earlier boot.
  expect(presence.left(HOLDER, 2n)).toBe(true);
  expect(presence.linked(HOLDER, 2n)).toBe("left");
  expect(presence.linked(HOLDER, 2n)).toBe("same");
});

test("news of the boot that left puts the holder in doubt, though no record names it", () => {
  const presence = presenceIn("left");
  presence.heard(HOLDER, OTHER_BOOT, false);
  expect(presence.stateOf(HOLDER)).toBe("left");
  presence.heard(HOLDER, BOOT, false);
  expect(presence.stateOf(HOLDER)).toBe("rejoining");
});

test("another epoch in one boot means that the holder dropped all; the first one means nothing", () => {
  const presence = presenceIn("present");
  expect(presence.granted(HOLDER, 3)).toBe(false);
  expect(presence.granted(HOLDER, 3)).toBe(false);
  expect(presence.granted(HOLDER, 4)).toBe(true);
  presence.linked(HOLDER, OTHER_BOOT);
  expect(presence.granted(HOLDER, 9)).toBe(false);
  presence.left(HOLDER, OTHER_BOOT);
  presence.linked(HOLDER, OTHER_BOOT);
  expect(presence.granted(HOLDER, 1)).toBe(false);
});

test("copies at holders that are absent or emptied do not count; the disk is always present", () => {
  const copies = [HOLDER, 2, SPILL].reduce(withCopy, NO_COPIES);
  const others = [2, SPILL].reduce(withCopy, NO_COPIES);
  const presence = presenceIn("present");
  expect([presence.presentOf(copies), presence.absentOf(copies)]).toEqual([copies, -1]);
  presence.linked(HOLDER, OTHER_BOOT);
  expect([presence.presentOf(copies), presence.absentOf(copies)]).toEqual([others, HOLDER]);
  presence.endEmptied(HOLDER);
  presence.died(HOLDER);
  expect([presence.presentOf(copies), presence.absentOf(copies)]).toEqual([others, HOLDER]);
});

test("a node that never had a link is present, whatever the news", () => {
  const presence = new Presence(new HeapMemory());
  presence.heard(HOLDER, 1n, false);
  presence.died(HOLDER);
  expect(presence.stateOf(HOLDER)).toBe("present");
  expect(presence.left(HOLDER, 1n)).toBe(false);
});

const KEPT_EVENTS = {
  linked: (presence: Presence) => presence.linked(HOLDER, BOOT),
  left: (presence: Presence) => presence.left(HOLDER, BOOT),
  granted: (presence: Presence) => presence.granted(HOLDER, 3),
  dropped: (presence: Presence) => presence.granted(HOLDER, 4),
  walked: (presence: Presence) => presence.endEmptied(HOLDER),
};

/** What a successor knows of a holder, when its predecessor ended after these events. */
function takenOver(...events: ReadonlyArray<keyof typeof KEPT_EVENTS>): Presence {
  const bytes = new CrashingBytes(new SeededRandom(1));
  const memory = bytes.newMemory();
  const before = new Presence(memory);
  memory.start();
  for (const event of events) KEPT_EVENTS[event](before);
  const kept = bytes.newMemory();
  const presence = new Presence(kept);
  kept.start();
  presence.restore();
  return presence;
}

test("a successor doubts a holder, and knows its boot", () => {
  const presence = takenOver("linked");
  expect(presence.stateOf(HOLDER)).toBe("doubted");
  expect(presence.linkedNodes()).toEqual([HOLDER]);
  expect(presence.linked(HOLDER, BOOT)).toBe("same");
});

test("a successor knows that a holder is emptied, until no record names it", () => {
  expect(takenOver("linked").emptiedNodes()).toEqual([HOLDER]);
  const presence = takenOver("linked", "walked", "granted", "dropped");
  expect(presence.emptiedNodes()).toEqual([HOLDER]);
  expect(takenOver("linked", "walked", "granted").emptiedNodes()).toEqual([]);
});

test("a successor knows that a holder left, and in which boot", () => {
  const presence = takenOver("linked", "walked", "left");
  expect(presence.stateOf(HOLDER)).toBe("left");
  expect([presence.linkedNodes(), presence.emptiedNodes()]).toEqual([[], [HOLDER]]);
  expect(presence.linked(HOLDER, BOOT)).toBe("left");
});
