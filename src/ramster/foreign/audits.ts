/**
 * Audits: answers AUDIT with the pages that are kept for one owner, a slice of the index a request.
 * An owner whose process ended asks for them, to find those that it has forgotten
 * (repair/audit.ts). Nothing is kept here between two requests.
 */
import { Handle } from "../../core/handle.ts";
import { AUDIT_COUNT_MAX, INDEX_SLICE } from "../../core/limits.ts";
import { STATUS } from "../../core/status.ts";
import { type Channel, LANE } from "../../net/channel.ts";
import type { Tmem } from "../../tmem/tmem.ts";
import type { Frame } from "../../wire/framer.ts";
import { MESSAGE } from "../../wire/messages.ts";
import {
  AUDIT_BYTES,
  GET_ENTRY_BYTES,
  readAuditRow,
  writeAudit,
  writeGetEntry,
} from "../../wire/peer-entries.ts";

export class Audits {
  private readonly tmem: Tmem;
  private readonly handle = new Handle();

  constructor(tmem: Tmem) {
    this.tmem = tmem;
  }

  /** Replies with pages of the owner from a row on, the row to go on with, and `moveCount`. */
  serve(owner: number, channel: Channel, frame: Frame): boolean {
    const { tmem, handle } = this;
    if (!channel.begin(LANE.URGENT, AUDIT_BYTES + AUDIT_COUNT_MAX * GET_ENTRY_BYTES)) return false;
    let page = Math.max(1, readAuditRow(frame.view, frame.bodyAt));
    let bodyBytes = AUDIT_BYTES;
    let count = 0;
    for (let left = INDEX_SLICE; left > 0 && count < AUDIT_COUNT_MAX; left -= 1) {
      if (page >= tmem.pageEnd) break;
      if (tmem.isLive(page) && tmem.poolOf(page).client === owner) {
        tmem.readHandle(page, handle);
        writeGetEntry(channel.view, channel.at + bodyBytes, handle, tmem.version(page));
        bodyBytes += GET_ENTRY_BYTES;
        count += 1;
      }
      page = tmem.pageAfter(page);
    }
    const next = page < tmem.pageEnd ? page : 0;
    writeAudit(channel.view, channel.at, next, tmem.moveCount);
    channel.commitReply(MESSAGE.AUDIT, frame.request, STATUS.OK, 0, bodyBytes);
    return true;
  }
}
