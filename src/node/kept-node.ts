/**
 * KeptNode: what a successor must know of the node itself, in kept memory: who it is for others,
 * and the key that sealed its pages.
 *
 *     row 1:  | boot id, two words | number + 1, or 0 | starts | seal key, eight words | check |
 *
 * The check is the hash of the other words but the starts.
 *
 * With the same boot id and number, holders go on keeping its pages. Pages that it held for others
 * are not kept. So each start has other epochs, which tell owners that these pages are gone.
 */
import { RamsterError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { Rows } from "../core/table.ts";
import type { KeptMemory } from "../memory/kept-memory.ts";
import { newSealKey, SEAL_KEY_BYTES } from "../security/page-seal.ts";
import { newBootId } from "./boot-id.ts";

const ROW = 1;
const BOOT_LO = 0;
const BOOT_HI = 1;
const NUMBER = 2;
const STARTS = 3;
/** Epochs of one start. */
const EPOCHS_PER_START = 2 ** 20;
const SEAL_KEY = 4;
const SEAL_KEY_WORDS = SEAL_KEY_BYTES / 4;
const CHECK = SEAL_KEY + SEAL_KEY_WORDS;
const WORDS_PER_ROW = CHECK + 1;
const CHECKED = [...Array(CHECK).keys()].filter((word) => word !== STARTS);

export class KeptNode {
  readonly memory: KeptMemory;
  readonly bootId: bigint;
  readonly sealKey: Uint8Array;
  /** All epochs of this start are above it (wire/PROTOCOL.md, GRANT). */
  readonly epochBefore: number;
  private readonly rows: Rows;

  constructor(memory: KeptMemory, random: Random) {
    this.memory = memory;
    const shape = { rowCountMax: 1, wordsPerRow: WORDS_PER_ROW, name: "node" };
    this.rows = new Rows(memory, shape);
    if (!memory.isSucceeding) this.make(random);
    const word = (at: number): number => this.rows.get(ROW, at);
    this.bootId = (BigInt(word(BOOT_HI) >>> 0) << 32n) | BigInt(word(BOOT_LO) >>> 0);
    const key = Int32Array.from({ length: SEAL_KEY_WORDS }, (_, i) => word(SEAL_KEY + i));
    this.sealKey = new Uint8Array(key.buffer);
    this.epochBefore = word(STARTS) * EPOCHS_PER_START;
  }

  /** This process is the one that uses the memory. Its successor has other epochs. */
  begin(): void {
    this.rows.set(ROW, STARTS, this.epochBefore / EPOCHS_PER_START + 1);
  }

  private make(random: Random): void {
    const { rows } = this;
    const bootId = newBootId(random);
    const key = new DataView(newSealKey(random).buffer);
    rows.set(ROW, BOOT_LO, Number(bootId & 0xffffffffn) | 0);
    rows.set(ROW, BOOT_HI, Number(bootId >> 32n) | 0);
    for (let i = 0; i < SEAL_KEY_WORDS; i += 1) {
      rows.set(ROW, SEAL_KEY + i, key.getInt32(i * 4, true));
    }
    rows.set(ROW, CHECK, rows.hashOf(ROW, CHECKED));
  }

  /** Whether no bit has flipped. Known once the last change of the predecessor is undone. */
  get isSound(): boolean {
    return this.rows.get(ROW, CHECK) === this.rows.hashOf(ROW, CHECKED);
  }

  /** The number of the predecessor. Null: there is none. */
  get number(): number | null {
    const word = this.rows.get(ROW, NUMBER);
    return word === 0 ? null : word - 1;
  }

  set number(number: number) {
    this.memory.journal.begin();
    this.rows.setKept(ROW, NUMBER, number + 1);
    this.rows.setKept(ROW, CHECK, this.rows.hashOf(ROW, CHECKED));
    this.memory.journal.end();
  }

  /**
   * The number to start with. Throws RamsterError BAD_KEPT_MEMORY when the settings name another
   * one than that of the predecessor, since holders know its pages by that.
   */
  numberFor(wanted: number | null): number | null {
    const { number } = this;
    if (number === null || wanted === null || wanted === number) return wanted ?? number;
    throw new RamsterError(
      "BAD_KEPT_MEMORY",
      `Cannot use kept memory: it is that of node ${number}, and this is node ${wanted}`,
    );
  }
}
