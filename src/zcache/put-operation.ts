/**
 * PutOperation: a put as one operation on kept memory (core/journal.ts). The zpage that it replaces
 * stays where it is until the new one is stored, so a process that is killed in between has one of
 * the two.
 *
 *     begin    the page is claimed; its zpage is kept    the new one is stored    end: the old one
 *                                                                                 is freed
 *     begin    ...    no room: split, the old one is freed    others make room    go on    end
 *
 * A process that is killed between split and end has neither: the page is lost, since the put was
 * not answered yet. Where memory is not kept, the old zpage is freed at once, and nothing is split.
 */
import type { Journal } from "../core/journal.ts";
import type { Placement } from "../placement/placement.ts";

export class PutOperation {
  private readonly journal: Journal | null;
  private readonly placement: Placement;
  private isUnderWay = false;
  /** The ref of the zpage that is replaced, or 0. */
  private replaced = 0;

  constructor(journal: Journal | null, placement: Placement) {
    this.journal = journal;
    this.placement = placement;
  }

  begin(): void {
    if (this.journal === null) return;
    this.journal.begin();
    this.isUnderWay = true;
  }

  /** The zpage belongs to a page that is replaced or removed. @returns whether it is freed later. */
  takes(ref: number): boolean {
    if (!this.isUnderWay) return false;
    this.freeReplaced();
    this.replaced = ref;
    return true;
  }

  /** Others are about to make room. It goes on with `begin`. */
  split(): void {
    this.freeReplaced();
    this.isUnderWay = false;
    this.journal?.end();
  }

  end(): void {
    if (this.journal === null) return;
    this.freeReplaced();
    this.isUnderWay = false;
    this.journal.end();
  }

  private freeReplaced(): void {
    if (this.replaced !== 0) this.placement.free(this.replaced);
    this.replaced = 0;
  }
}
