/**
 * StopGuard: keeps one Ctrl-C from ending a node whose exports are in use, since their pages end
 * with it.
 *
 *     SIGINT     the first one is answered in the log, and the second one stops the node
 *     all else   stops the node, with a warning: a service manager has switched swap off before
 */
import type { Log } from "../core/log.ts";

export class StopGuard {
  private readonly log: Log;
  /** The names of the exports that have clients. */
  private readonly exportsInUse: () => readonly string[];
  private isWarned = false;

  constructor(log: Log, exportsInUse: () => readonly string[]) {
    this.log = log;
    this.exportsInUse = exportsInUse;
  }

  /** @returns whether the signal stops the node. */
  mayStop(signal: NodeJS.Signals): boolean {
    const names = this.exportsInUse().map((name) => JSON.stringify(name));
    if (names.length === 0) return true;
    const isOne = names.length === 1;
    const what = `Export${isOne ? "" : "s"} ${names.join(", ")} ${isOne ? "is" : "are"} in use`;
    if (signal !== "SIGINT" || this.isWarned) {
      const pages = `${isOne ? "its" : "their"} pages are lost with this node`;
      this.log.write("warn", "doors", `${what}: ${pages}`);
      return true;
    }
    this.isWarned = true;
    const first = "run ramster swap off first";
    const second = "Press Ctrl-C again to end the node and lose its pages";
    this.log.write("warn", "doors", `${what}: ${first}. ${second}`);
    return false;
  }
}
