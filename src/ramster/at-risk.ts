/**
 * AtRisk: pages that have fewer copies than they should, in the order in which that was found: the
 * oldest risk is mended first. Rows of the index in a ring that grows; what is in it may be mended,
 * or gone, by the time it is looked at.
 */
import { AT_RISK_MAX } from "../core/limits.ts";

const ROWS_MIN = 1024;

export class AtRisk {
  private rows = new Int32Array(ROWS_MIN);
  private head = 0;
  private used = 0;
  private hasOverflowed = false;

  get count(): number {
    return this.used;
  }

  /** Past AT_RISK_MAX a page is forgotten here, and `overflowed` says so. */
  push(page: number): void {
    if (this.used === this.rows.length && !this.grow()) {
      this.hasOverflowed = true;
      return;
    }
    this.rows[(this.head + this.used) % this.rows.length] = page;
    this.used += 1;
  }

  /** The oldest, or 0. */
  shift(): number {
    if (this.used === 0) return 0;
    const page = this.rows[this.head] ?? 0;
    this.head = (this.head + 1) % this.rows.length;
    this.used -= 1;
    if (this.used === 0 && this.rows.length > ROWS_MIN) {
      this.rows = new Int32Array(ROWS_MIN);
      this.head = 0;
    }
    return page;
  }

  /** Whether pages were forgotten since the last call. */
  takeOverflow(): boolean {
    const { hasOverflowed } = this;
    this.hasOverflowed = false;
    return hasOverflowed;
  }

  private grow(): boolean {
    const { rows, head, used } = this;
    if (rows.length >= AT_RISK_MAX) return false;
    const grown = new Int32Array(rows.length * 2);
    grown.set(rows.subarray(head));
    grown.set(rows.subarray(0, head), rows.length - head);
    this.rows = grown;
    this.head = 0;
    this.used = used;
    return true;
  }
}
