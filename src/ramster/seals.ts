/**
 * Seals: with --seal every zpage is sealed when it moves away, and opened when it comes back.
 *
 *     zpage, its checksum  --> checked, sealed -->  sealed zpage, a checksum of that  --> holders
 *     zpage, its checksum  <-- opened          <--  sealed zpage, checksum checked    <-- a holder
 *
 * The holder checks a checksum on arrival, so the sealed zpage has one of its own. The zpage gets
 * its first checksum back when it is opened. Repair copies sealed bytes from holder to holder as
 * they are.
 *
 * The tag of each page stays here, in a row with the number of its page. So a holder cannot give
 * back an older version with the tag of that version. A row is never cleared. It is read only for
 * the version that is remote by its record, and that version was sealed last. Versions only grow,
 * so no older version is sealed into the row later. For the same reason the rows need no journal
 * in kept memory.
 *
 * Not here: the cipher (security/page-seal.ts), and what happens to a page that does not open
 * (repatriate.ts).
 */

import type { Handle } from "../core/handle.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { SEAL_TAG_WORDS, type Seal } from "../core/seal.ts";
import { Rows } from "../core/table.ts";
import { emptyZpage, type Zpage } from "../core/zpage.ts";
import type { PageNumbers } from "../tmem/page-numbers.ts";
import type { Zcache } from "../zcache/zcache.ts";
import type { RamsterCounters } from "./counters.ts";

interface Parts {
  readonly memory: Memory;
  readonly zcache: Zcache;
  readonly counters: RamsterCounters;
  readonly cipher: Seal;
}

export class Seals {
  private readonly parts: Parts;
  private readonly tags: Rows;
  private readonly tag = new Int32Array(SEAL_TAG_WORDS);
  private readonly opened: Zpage;

  constructor(parts: Parts, numbers: PageNumbers) {
    this.parts = parts;
    this.tags = new Rows(parts.memory, {
      rowCountMax: numbers.max,
      wordsPerRow: SEAL_TAG_WORDS,
      pinnedRows: numbers.pinnedMax,
      name: "seals",
    });
    this.opened = emptyZpage(new Uint8Array(PAGE_BYTES));
  }

  /**
   * Seals, in place, a zpage of this node that moves away. Its checksum becomes that of the sealed
   * bytes.
   *
   * @returns false, and changes nothing, when the zpage is damaged. Two plaintexts under one nonce
   * would reveal both, and the new checksum would hide the damage.
   */
  seal(page: number, handle: Handle, zpage: Zpage): boolean {
    const { zcache, cipher } = this.parts;
    if (!zcache.isIntact(handle, zpage)) return false;
    cipher.seal(handle, zpage, this.tag);
    for (let i = 0; i < SEAL_TAG_WORDS; i += 1) this.tags.set(page, i, this.tag[i] ?? 0);
    zpage.checksum = zcache.checksumZpage(handle, zpage);
    return true;
  }

  /**
   * Opens the zpage that a holder gave for the page, in the version of its record.
   *
   * @returns the zpage as it was before it was sealed, valid until the next call. Null when any bit
   * differs.
   */
  open(page: number, handle: Handle, zpage: Zpage): Zpage | null {
    const { zcache, cipher, counters } = this.parts;
    const { opened } = this;
    for (let i = 0; i < SEAL_TAG_WORDS; i += 1) this.tag[i] = this.tags.get(page, i);
    if (!cipher.open(handle, zpage, this.tag, opened.bytes)) {
      counters.fetch_seal_broken += 1;
      return null;
    }
    opened.zpageBytes = zpage.zpageBytes;
    opened.codec = zpage.codec;
    opened.version = zpage.version;
    opened.checksum = zcache.checksumZpage(handle, opened);
    return opened;
  }

  close(): void {
    this.tags.close();
  }
}
