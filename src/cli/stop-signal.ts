/**
 * The signals that stop a command: Ctrl-C, those of a service manager, and the end of its terminal
 * unless it was started with nohup(1).
 */
import { readFileSync } from "node:fs";

const SIGHUP_BIT = 1n;

/**
 * Aborted, with the signal's name as the reason, at the first of them. The second one, of any kind,
 * ends the process as that signal would have ended it. `more`: signals that mean the same here.
 */
export function stopSignal(more: readonly NodeJS.Signals[] = []): AbortSignal {
  const stop = new AbortController();
  const usual = [...USUAL, ...more];
  const signals: readonly NodeJS.Signals[] = isHangupIgnored() ? usual : [...usual, "SIGHUP"];
  const onSignal = (signal: NodeJS.Signals): void => {
    for (const name of signals) process.off(name, onSignal);
    stop.abort(signal);
  };
  for (const name of signals) process.on(name, onSignal);
  return stop.signal;
}

/**
 * Ignores signals that end a process by default and have no meaning for a node, which must not end
 * with pages in it. `onSignal` is called for each.
 */
export function surviveSignals(onSignal: (name: NodeJS.Signals) => void): void {
  for (const name of MEANINGLESS) process.on(name, onSignal);
}

/** Resolves when `stop` is aborted. */
export function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });
}

const USUAL = ["SIGINT", "SIGTERM"] as const;

/** The runtime has SIGPWR for itself, and ignores SIGPIPE and SIGXFSZ. */
const MEANINGLESS = [
  ...(["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGXCPU"] as const),
];

/** proc(5): the mask of ignored signals, which this process was started with. */
function isHangupIgnored(): boolean {
  const mask = /^SigIgn:\s*([\da-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & SIGHUP_BIT) !== 0n;
}
