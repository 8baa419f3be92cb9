/**
 * KeptMemory: Memory whose named regions outlive the process. A successor opens them under the same
 * names, and finds them as they were after the last operation that ended (core/journal.ts).
 *
 *     header    | magic, layout | name, length | name, length | ...        one page
 *     journal   what the operation under way has changed
 *     others    as they are named: src/tmem, src/placement, src/frames
 *
 * Regions without a name are those of the Memory below. A predecessor with another layout, or with
 * other lengths, cannot be succeeded: `open` says why, and touches nothing.
 *
 * Not here: where the bytes are (kept-files.ts), and what they mean.
 */
import { RamsterError } from "../core/errors.ts";
import { JOURNAL_BYTES, Journal } from "../core/journal.ts";
import { FRAME_BYTES } from "../core/limits.ts";
import type { Kept, Memory, Region, ReserveOptions } from "../core/memory.ts";

/** Where the bytes of kept regions are. */
export interface KeptBytes {
  /** Removes all regions. */
  clear(): void;
  /** Opens the region with this name, or makes it, with zeros. Throws RamsterError NO_MEMORY. */
  open(name: string, byteCount: number, options: ReserveOptions, kept: Kept | null): Region;
}

/** "RAMS" */
const MAGIC = 0x534d4152;
/** Another number for each change of what kept words mean. */
export const KEPT_LAYOUT = 2;
// Words of the header.
const MAGIC_AT = 0;
const LAYOUT_AT = 1;
const COUNT_AT = 2;
const REGIONS_AT = 16;
/** Of a region: sixteen bytes of its name, and how many frames it has. */
const NAME_BYTES = 16;
const FRAMES_AT = NAME_BYTES / 4;
const WORDS_PER_REGION = FRAMES_AT + 1;
const REGIONS_MAX = 32;

export class KeptMemory implements Memory {
  readonly journal: Journal;
  /** Whether there is something of a predecessor. */
  readonly isSucceeding: boolean;
  private readonly base: Memory;
  private readonly bytes: KeptBytes;
  private readonly header: Int32Array;
  private readonly names: Uint8Array;
  /** By number. */
  private readonly regions: Array<Region | null> = [null];

  /**
   * `isStandby`: its process may still use it, so nothing is changed before `start`. Throws
   * RamsterError BAD_KEPT_MEMORY when it is that of another build.
   */
  constructor(base: Memory, bytes: KeptBytes, { isStandby } = { isStandby: false }) {
    this.base = base;
    this.bytes = bytes;
    const header = openHeader(bytes);
    this.isSucceeding = hasPredecessor(header);
    if (isStandby && !this.isSucceeding) throw unusable("no node uses it");
    // What is there is of a process that was killed before it was ready.
    if (!this.isSucceeding) bytes.clear();
    this.header = this.isSucceeding ? header : openHeader(bytes);
    this.names = new Uint8Array(this.header.buffer, this.header.byteOffset, FRAME_BYTES);
    if (!this.isSucceeding) this.header[LAYOUT_AT] = KEPT_LAYOUT;
    const pinnedBytes = Math.ceil(JOURNAL_BYTES / FRAME_BYTES) * FRAME_BYTES;
    this.journal = new Journal(bytes.open("journal", pinnedBytes, { pinnedBytes }, null).words());
  }

  reserve(byteCount: number, options: ReserveOptions = { pinnedBytes: 0 }): Region {
    const { name } = options;
    if (name === undefined) return this.base.reserve(byteCount, options);
    const number = this.numberOf(name, byteCount);
    const region = this.bytes.open(name, byteCount, options, { journal: this.journal, number });
    this.regions[number] = region;
    return region;
  }

  copy(
    target: Uint8Array,
    targetOffset: number,
    source: Uint8Array,
    sourceOffset: number,
    byteCount: number,
  ): void {
    this.base.copy(target, targetOffset, source, sourceOffset, byteCount);
  }

  /**
   * All regions are reserved. Undoes the operation that the predecessor did not end. From here on a
   * successor finds what is kept.
   *
   * @returns how many words were put back. Throws RamsterError BAD_KEPT_MEMORY.
   */
  start(): number {
    const count = this.journal.undo((number) => {
      const region = this.regions[number] ?? null;
      return region === null ? null : { words: wordsOf(region), length: region.byteCount / 4 };
    });
    if (count === null) throw unusable("its journal is damaged");
    Atomics.store(this.header, MAGIC_AT, MAGIC);
    return count;
  }

  /** The number of the region, from 1. Its length is checked, or noted if it is new. */
  private numberOf(name: string, byteCount: number): number {
    const { header, names } = this;
    const bytes = new TextEncoder().encode(name.padEnd(NAME_BYTES, "\0"));
    const frames = byteCount / FRAME_BYTES;
    const count = header[COUNT_AT] ?? 0;
    for (let i = 0; i < count; i += 1) {
      const at = REGIONS_AT + i * WORDS_PER_REGION;
      if (bytes.some((byte, j) => names[at * 4 + j] !== byte)) continue;
      if (header[at + FRAMES_AT] === frames) return i + 1;
      const how = "start the node with --memory, --swap and exports as before";
      throw unusable(`its region ${name} has another length: ${how}`);
    }
    if (this.isSucceeding) throw unusable(`it has no region ${name}`);
    const at = REGIONS_AT + count * WORDS_PER_REGION;
    names.set(bytes, at * 4);
    header[at + FRAMES_AT] = frames;
    Atomics.store(header, COUNT_AT, count + 1);
    return count + 1;
  }
}

function openHeader(bytes: KeptBytes): Int32Array {
  return bytes.open("header", FRAME_BYTES, { pinnedBytes: FRAME_BYTES }, null).words();
}

function hasPredecessor(header: Int32Array): boolean {
  if (header[MAGIC_AT] === 0) return false;
  if (header[MAGIC_AT] !== MAGIC) throw unusable("it is not that of a node");
  const layout = header[LAYOUT_AT] ?? 0;
  if (layout !== KEPT_LAYOUT) {
    throw unusable(`it has layout ${layout}, and this build has ${KEPT_LAYOUT}`);
  }
  const count = header[COUNT_AT] ?? 0;
  if (count < 0 || count > REGIONS_MAX) throw unusable("its header is damaged");
  return true;
}

function wordsOf(region: Region): { setWord(position: number, value: number): void } {
  const word = new Uint8Array(4);
  const view = new DataView(word.buffer);
  return {
    setWord(position: number, value: number): void {
      view.setInt32(0, value, true);
      region.write(position * 4, word, 0, 4);
    },
  };
}

function unusable(why: string): RamsterError {
  return new RamsterError("BAD_KEPT_MEMORY", `Cannot use kept memory: ${why}`);
}
