import { expect, test } from "bun:test";
import { JOURNAL_BYTES, Journal } from "./journal.ts";
import { JOURNAL_ENTRIES_MAX } from "./limits.ts";

/** A journal, and a region of words that it saves. A second journal on the words is a successor. */
function rig(): { words: Int32Array; journal: Journal; kept: Int32Array } {
  const words = new Int32Array(JOURNAL_BYTES / 4);
  return { words, journal: new Journal(words), kept: new Int32Array(16) };
}

function set(journal: Journal, kept: Int32Array, position: number, value: number): void {
  journal.save(1, position, kept[position] ?? 0);
  kept[position] = value;
}

function undo(words: Int32Array, kept: Int32Array): number | null {
  const setWord = (position: number, value: number): void => {
    kept[position] = value;
  };
  return new Journal(words).undo((region) => {
    return region === 1 ? { words: { setWord }, length: kept.length } : null;
  });
}

test("an operation that did not end is undone, the last change first", () => {
  const { words, journal, kept } = rig();
  journal.begin();
  set(journal, kept, 3, 1);
  journal.end();
  journal.begin();
  set(journal, kept, 3, 2);
  set(journal, kept, 5, -7);
  set(journal, kept, 3, 4);
  expect(undo(words, kept)).toBe(3);
  expect([kept[3], kept[5]]).toEqual([1, 0]);
  expect(undo(words, kept)).toBe(0);
});

test("an operation that ended stays, and only the outermost one counts", () => {
  const { words, journal, kept } = rig();
  const { operation } = journal;
  journal.begin();
  journal.begin();
  set(journal, kept, 1, 1);
  journal.end();
  expect([journal.isOpen, journal.operation]).toEqual([true, operation]);
  expect(undo(words, kept)).toBe(1);
  set(journal, kept, 1, 2);
  journal.end();
  expect([journal.isOpen, journal.operation]).toEqual([false, operation + 1]);
  expect(undo(words, kept)).toBe(0);
  expect(kept[1]).toBe(2);
});

test("kept memory is changed in an operation, and not in a restore", () => {
  const { journal, words, kept } = rig();
  expect(() => set(journal, kept, 1, 1)).toThrow("outside of an operation");
  journal.isRestoring = true;
  set(journal, kept, 1, 1);
  journal.isRestoring = false;
  expect(undo(words, kept)).toBe(0);
  journal.begin();
  for (let i = 0; i < JOURNAL_ENTRIES_MAX; i += 1) set(journal, kept, 1, i);
  expect(() => set(journal, kept, 1, 0)).toThrow("too many words");
});

test("what cannot be undone happens after the operation", () => {
  const { journal } = rig();
  const happened: string[] = [];
  journal.afterwards(() => happened.push("at once"));
  journal.begin();
  journal.afterwards(() => happened.push("later"));
  expect(happened).toEqual(["at once"]);
  journal.end();
  expect(happened).toEqual(["at once", "later"]);
});

test.each([
  ["a count below zero", 0, -1],
  ["too large a count", 0, JOURNAL_ENTRIES_MAX + 1],
  ["a region that is not there", 4, 2],
  ["a position behind the region", 5, 16],
])("a journal with %s is damaged, and changes nothing", (_, at, value) => {
  const { words, journal, kept } = rig();
  kept.fill(9);
  journal.begin();
  set(journal, kept, 0, 1);
  set(journal, kept, 1, 1);
  words[at] = value;
  expect(undo(words, kept)).toBeNull();
  expect([kept[0], kept[1]]).toEqual([1, 1]);
});
