/**
 * Journal: makes each operation on kept memory happen whole or not at all, also when the process is
 * killed in the middle of it. Kept memory outlives its process (src/memory/kept-memory.ts).
 *
 * It is an undo log. Before a word is changed, its old value is saved here. The successor of a
 * process puts the saved words back, last first, and so finds the memory as it was after the last
 * operation that ended.
 *
 *     begin    save, change    save, change   ...   end
 *              `-- killed here: the words saved so far are put back
 *
 *     word 0   how many words are saved; 0 between operations
 *     word 4   region, position, old value;  region, position, old value;  ...
 *
 * Operations may be nested: only the outermost one counts. Saved are words that a successor needs:
 * where each page is, and where each zpage. Links, counts and hashes are not, since a successor
 * makes them again. Nor are the bytes of zpages: they are written only where nothing was when the
 * operation began, and what an operation frees is used again by a later one.
 *
 * The count is written with Atomics, so that no compiler moves another write across it. One thread
 * writes, and a process that is killed leaves all of its writes up to some instruction.
 *
 * (Gray and Reuter, "Transaction Processing", 1993, chapter 10: undo with steal and no redo.)
 */
import { assert } from "./assert.ts";
import { JOURNAL_ENTRIES_MAX } from "./limits.ts";

const COUNT = 0;
const FIRST = 4;
const WORDS_PER_ENTRY = 3;

/** The length of the region that a journal writes to. */
export const JOURNAL_BYTES = (FIRST + JOURNAL_ENTRIES_MAX * WORDS_PER_ENTRY) * 4;

/** Words of a kept region, by position. */
export interface KeptWords {
  setWord(position: number, value: number): void;
}

export class Journal {
  private readonly words: Int32Array;
  private count = 0;
  private depth = 0;
  /** The number of the operation that is under way, or of the next one. */
  operation = 1;
  /** A successor makes what it found usable. If it is killed, the next one does that again. */
  isRestoring = false;
  private readonly later: Array<() => void> = [];

  /** `words`: of a kept region of JOURNAL_BYTES. */
  constructor(words: Int32Array) {
    this.words = words;
  }

  get isOpen(): boolean {
    return this.depth > 0;
  }

  begin(): void {
    this.depth += 1;
  }

  end(): void {
    assert(this.depth > 0, "an operation ends that did not begin");
    this.depth -= 1;
    if (this.depth > 0) return;
    if (this.count > 0) {
      this.count = 0;
      Atomics.store(this.words, COUNT, 0);
    }
    this.operation += 1;
    if (this.later.length > 0) for (const callback of this.later.splice(0)) callback();
  }

  /** Saves a word that is about to be changed. */
  save(region: number, position: number, value: number): void {
    if (this.isRestoring) return;
    assert(this.depth > 0, "kept memory is changed outside of an operation");
    assert(this.count < JOURNAL_ENTRIES_MAX, "an operation changes too many words");
    const { words } = this;
    const at = FIRST + this.count * WORDS_PER_ENTRY;
    words[at] = region;
    words[at + 1] = position;
    words[at + 2] = value;
    this.count += 1;
    Atomics.store(words, COUNT, this.count);
  }

  /** Calls back after the operation. For what cannot be undone, such as memory given back. */
  afterwards(callback: () => void): void {
    if (this.depth === 0) callback();
    else this.later.push(callback);
  }

  /**
   * Puts all saved words back. `regionOf` is null for a number that no region has, and
   * `lengthOf` its length in words: entries are bytes from outside.
   *
   * @returns how many words, or null when the journal is damaged. Then nothing has changed.
   */
  undo(regionOf: (region: number) => { words: KeptWords; length: number } | null): number | null {
    const { words } = this;
    const count = words[COUNT] ?? 0;
    if (count < 0 || count > JOURNAL_ENTRIES_MAX) return null;
    for (let i = 0; i < count; i += 1) {
      const region = regionOf(words[FIRST + i * WORDS_PER_ENTRY] ?? 0);
      const position = (words[FIRST + i * WORDS_PER_ENTRY + 1] ?? 0) >>> 0;
      if (region === null || position >= region.length) return null;
    }
    for (let i = count - 1; i >= 0; i -= 1) {
      const at = FIRST + i * WORDS_PER_ENTRY;
      const position = (words[at + 1] ?? 0) >>> 0;
      regionOf(words[at] ?? 0)?.words.setWord(position, words[at + 2] ?? 0);
    }
    Atomics.store(words, COUNT, 0);
    return count;
  }
}
