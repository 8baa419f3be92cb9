/**
 * Placement: in which frames zpages are, and in which order they leave.
 *
 *     zbud.ts      two zpages a frame, as in the original
 *     blocks.ts    as many zpages as fit in a block of several frames
 *
 * A zpage belongs to a page: the number of a record (src/tmem). The record has the zpage's ref as
 * its place. A ref is not 0, and is the zpage's until it is freed, evicted or moved.
 *
 *     put -> live -- takeOldest --> leaving -- free --> gone
 *             ^ '- evict --> gone      |
 *             '------- putBack --------'
 *
 * The two kinds of page never share a frame, so that evicting one kind makes room for the other.
 *
 * Not here: compression, the index, and how many frames may be used (zcache).
 */
import type { Kind } from "../core/kind.ts";
import type { PlacementCounters } from "./counters.ts";

/** The placements, by the names that a person knows. */
export const PLACEMENTS = ["blocks", "zbud"] as const;
export type PlacementName = (typeof PLACEMENTS)[number];

/** Which zpages leave first: the least recently used ones, or those that were stored first. */
export const ORDERS = ["lru", "fifo"] as const;
export type Order = (typeof ORDERS)[number];

/** In front of a zpage in its frame: record and checksum, two words. A whole page has none. */
export const HEADER_BYTES = 8;

/** The most zpages that one call of `takeOldest` takes. */
export const TAKEN_MAX = 2;

/** Hears what has happened to zpages. It frees nothing. */
export interface PlacementSink {
  /** The zpage of the record `page` was evicted from `ref`. */
  onEvict(page: number, ref: number): void;
  /** The zpage of the record `page` is at `ref` from now on. */
  onMove(page: number, ref: number): void;
}

/** Zpages that were not used for a while, for the cold tier (src/cold). */
export interface ColdZpages {
  /** Changes when more zpages may have become cold. */
  readonly epoch: number;
  /** How often `next` has gone round over all zpages. */
  readonly rounds: number;

  /**
   * Finds live zpages, of either kind, that were last used two epochs ago or earlier and are not
   * settled. Writes their pages to `pages`, each once. It goes on where it ended, looks at a
   * bounded number of zpages, and ends at the end of a round.
   *
   * @returns how many it found, which may be none although there are more.
   */
  next(pages: Int32Array): number;

  /** `next` passes over the zpage from now on, as long as it is stored, wherever it moves. */
  settle(ref: number): void;

  /**
   * Replaces a live zpage with a shorter one of the same page, at `source[at]`, and settles it. Its
   * age stays. Overwrites HEADER_BYTES in front of `source[at]`. `zpageBytes` is at most
   * ZPAGE_BYTES_MAX. The sink hears nothing.
   *
   * @returns its ref, which may be another one. 0: there is no room, which may be in kept memory
   * only. Then nothing has changed.
   */
  replace(
    ref: number,
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    checksum: number,
  ): number;
}

export interface Placement {
  readonly counters: PlacementCounters;
  /** Null: zpages have no age of their own. */
  readonly cold: ColdZpages | null;
  /** How many frames its zpages need. Room that other zpages can use does not count. */
  readonly framesNeeded: number;
  /** Bytes beside the frames. */
  readonly metadataBytes: number;
  /**
   * Whether a persistent zpage of any size certainly finds room, after an eviction if need be. It
   * may find room where this is false.
   */
  readonly hasRoom: boolean;

  /** To be called before a put, and before the operation that it is part of. May move zpages. */
  makeReady(): void;

  /**
   * A put found no room: makes a frame free if other zpages of that kind can move together.
   * @returns whether one came free.
   */
  makeFrame(): boolean;

  /**
   * Stores the zpage at `source[at]`, and overwrites HEADER_BYTES in front of it. PAGE_BYTES are a
   * whole page. No other zpage moves.
   *
   * @returns its ref, or 0 when there is no room.
   */
  put(
    source: Uint8Array,
    at: number,
    zpageBytes: number,
    kind: Kind,
    page: number,
    checksum: number,
  ): number;

  /**
   * Copies the zpage to `target[at]`, and overwrites HEADER_BYTES in front of it. @returns the
   * checksum that it was stored with, unsigned.
   */
  read(ref: number, zpageBytes: number, target: Uint8Array, at: number): number;

  /** Frees a zpage, live or leaving. */
  free(ref: number): void;

  /**
   * Evicts some of the oldest ephemeral zpages, to make room for one of `kind`. @returns whether
   * there was one.
   */
  evict(kind: Kind): boolean;

  /** The zpage was used: it leaves later, if the placement orders by use. */
  touch(ref: number): void;

  /**
   * A short step that makes frames free, if free bytes are scattered. @returns whether another one
   * is worth it.
   */
  compact(): boolean;

  /** Whether `takeOldest` finds a zpage of the kind. */
  hasLive(kind: Kind): boolean;

  /**
   * The oldest zpages of the kind are leaving from now on: at most TAKEN_MAX, which share a frame.
   * Writes the pages to `pages`. @returns how many there are.
   */
  takeOldest(kind: Kind, pages: Int32Array): number;

  /**
   * A leaving zpage stays: as the oldest of its kind, as it was, or as the newest, so that others
   * leave first. With zbud the zpage beside it stays too.
   */
  putBack(ref: number, as: "oldest" | "newest"): void;

  isLeaving(ref: number): boolean;

  /**
   * Makes everything again from kept memory of a predecessor. Nothing was put yet. @returns false
   * when that is not possible.
   */
  restore(): boolean;

  /** Whether the zpage of that page and that size is at `ref`, which may be any number. */
  holds(page: number, ref: number, zpageBytes: number): boolean;

  /** Frees the zpages for which `isOwned` is false, after a restore. @returns how many. */
  freeOthers(isOwned: (page: number, ref: number) => boolean): number;

  /** How many frames come free when the zpage leaves, which may be a part of one. */
  framesOf(ref: number): number;

  pageOf(ref: number): number;

  /** The zpage belongs to the page with this number from now on. */
  setPage(ref: number, page: number): void;

  /** Bytes of the zpage, for checks. PAGE_BYTES for a whole page. */
  zpageBytes(ref: number): number;

  /**
   * Where a byte of the zpage is: frame * FRAME_BYTES, and the offset in the frame. For checks, and
   * to damage zpages.
   */
  positionOf(ref: number, byte: number): number;

  /** Checks every invariant of the file. Cost: all frames. For tests. */
  verify(): void;

  close(): void;
}

/** Writes the header in front of the zpage at `source[at]`. */
export function writeHeader(source: Uint8Array, at: number, page: number, checksum: number): void {
  writeHeaderPage(source, at, page);
  writeWord(source, at - 4, checksum);
}

/** The record in the header in front of `bytes[at]`. */
export function headerPage(bytes: Uint8Array, at: number): number {
  return readWord(bytes, at - 8);
}

/** The checksum in the header in front of `bytes[at]`, unsigned. */
export function headerChecksum(bytes: Uint8Array, at: number): number {
  return readWord(bytes, at - 4) >>> 0;
}

/** Replaces the record in the header in front of `bytes[at]`. */
export function writeHeaderPage(bytes: Uint8Array, at: number, page: number): void {
  writeWord(bytes, at - 8, page);
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

function readWord(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}
