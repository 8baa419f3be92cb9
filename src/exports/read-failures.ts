/**
 * ReadFailures: logs pages of exports that could not be read. The client gets EIO, which does not
 * say why.
 *
 * Pages are counted until the next tick of the door, then there is one line for each export and
 * reason. So a client that reads many such pages causes few lines.
 */
import type { Log } from "../core/log.ts";
import { STATUS, type Status, statusName } from "../core/status.ts";
import { formatDuration } from "../core/units.ts";

export interface ReadFailuresParts {
  readonly log: Log;
  readonly ioTimeoutMs: () => number;
}

export class ReadFailures {
  private readonly parts: ReadFailuresParts;
  /** Pages since the last report, by export and status. */
  private readonly counts = new Map<string, Map<Status, number>>();

  constructor(parts: ReadFailuresParts) {
    this.parts = parts;
  }

  /** Pages of the export cannot be read, for that reason. */
  add(exportName: string, status: Status, pageCount: number): void {
    const ofExport = this.counts.get(exportName) ?? new Map<Status, number>();
    this.counts.set(exportName, ofExport);
    ofExport.set(status, (ofExport.get(status) ?? 0) + pageCount);
  }

  /** Called every NBD_TICK_MS. */
  report(): void {
    if (this.counts.size === 0) return;
    for (const [exportName, ofExport] of this.counts) {
      for (const [status, pageCount] of ofExport) {
        const what = `Cannot read pages of export "${exportName}"`;
        const line = `${what}: ${pageCount} ${this.reason(status)}`;
        this.parts.log.write("error", "doors", line);
      }
    }
    this.counts.clear();
  }

  private reason(status: Status): string {
    switch (status) {
      case STATUS.LOST:
        return "are lost, no copy is left: restart the programs that used them";
      case STATUS.CORRUPT:
        return "do not match their checksum: drain this node, and test the memory of its machine";
      case STATUS.UNREACHABLE: {
        const waited = `${formatDuration(this.parts.ioTimeoutMs())} (--io-timeout)`;
        return `are out of reach after ${waited}: bring back the lenders that ramster status names`;
      }
      default:
        return `failed (${statusName(status)}): see ramster status`;
    }
  }
}
