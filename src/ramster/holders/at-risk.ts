/**
 * AtRisk: the queue of the pages that need a copy at another holder. The oldest entry comes first.
 * The queue is a ring buffer, which grows up to AT_RISK_MAX entries.
 *
 * An entry has the number of a page, and the holder that gives its copy of the page up. That holder
 * is NOBODY where the page just has too few copies.
 *
 * Entries are not removed when a page gets its copy or is freed. So whoever takes an entry looks at
 * the page again.
 *
 * Not here: how a page is repaired (repair.ts).
 */
import { AT_RISK_MAX } from "../../core/limits.ts";
import { SPILL } from "../copies.ts";

const ENTRIES_MIN = 1024;
/** The page and the holder. */
const WORDS_PER_ENTRY = 2;

/** No holder gives its copy up, but the page has too few copies. */
export const NOBODY = -1;

export class AtRisk {
  /** How many pages have been found at risk since the start. */
  foundCount = 0;
  /** The page of the entry that `shift` took. `from` is its holder. */
  page = 0;
  from = NOBODY;
  private words = new Int32Array(ENTRIES_MIN * WORDS_PER_ENTRY);
  private head = 0;
  private used = 0;
  private hasOverflowed = false;
  private onDisk = 0;
  private givenUp = 0;
  private readonly spill: { has(page: number): boolean } | null;

  /** `spill` tells which pages have a copy on the disk. */
  constructor(spill: { has(page: number): boolean } | null = null) {
    this.spill = spill;
  }

  get count(): number {
    return this.used;
  }

  /** How many entries are pages that are to leave the disk. They are safe there. */
  get onDiskCount(): number {
    return this.onDisk;
  }

  /** How many entries are pages that a holder gives up. */
  get givenUpCount(): number {
    return this.givenUp;
  }

  /** `push` for a page that now turns out to lack a copy, or whose holder `from` gives it up. */
  pushNew(page: number, from = NOBODY): void {
    this.foundCount += 1;
    this.pushAgain(page, from);
  }

  /** The same as `push`, for a page that may have a copy on the disk, where it is safe. */
  pushAgain(page: number, from: number): void {
    const isOnDisk = from === NOBODY && this.spill?.has(page) === true;
    this.push(page, isOnDisk ? SPILL : from);
  }

  /** Beyond AT_RISK_MAX pages, the page is forgotten, and `takeOverflow` reports that. */
  push(page: number, from: number): void {
    if (this.used === this.room && !this.grow()) {
      this.hasOverflowed = true;
      return;
    }
    const at = ((this.head + this.used) % this.room) * WORDS_PER_ENTRY;
    this.words[at] = page;
    this.words[at + 1] = from;
    this.used += 1;
    this.tally(from, 1);
  }

  /** Takes the oldest entry into `page` and `from`. The queue must not be empty. */
  shift(): void {
    const at = this.head * WORDS_PER_ENTRY;
    this.page = this.words[at] ?? 0;
    this.from = this.words[at + 1] ?? NOBODY;
    this.head = (this.head + 1) % this.room;
    this.used -= 1;
    this.tally(this.from, -1);
    if (this.used === 0 && this.room > ENTRIES_MIN) {
      this.words = new Int32Array(ENTRIES_MIN * WORDS_PER_ENTRY);
      this.head = 0;
    }
  }

  /** Whether pages were forgotten since the last call. */
  takeOverflow(): boolean {
    const { hasOverflowed } = this;
    this.hasOverflowed = false;
    return hasOverflowed;
  }

  private tally(from: number, count: number): void {
    if (from === SPILL) this.onDisk += count;
    else if (from !== NOBODY) this.givenUp += count;
  }

  private get room(): number {
    return this.words.length / WORDS_PER_ENTRY;
  }

  private grow(): boolean {
    const { words, head } = this;
    if (this.room >= AT_RISK_MAX) return false;
    const grown = new Int32Array(words.length * 2);
    const first = words.subarray(head * WORDS_PER_ENTRY);
    grown.set(first);
    grown.set(words.subarray(0, head * WORDS_PER_ENTRY), first.length);
    this.words = grown;
    this.head = 0;
    return true;
  }
}
