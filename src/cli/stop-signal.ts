/**
 * The signals that ask a command to stop: Ctrl-C, a service manager's, and the end of its terminal,
 * unless it was started to outlive that (nohup(1)).
 */
import { readFileSync } from "node:fs";

const SIGHUP_BIT = 1n;

/**
 * Aborted, with the signal's name as the reason, at the first of them. The second one, of any kind,
 * ends the process as that signal would have ended it.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const signals = isHangupIgnored() ? USUAL : ([...USUAL, "SIGHUP"] as const);
  const onSignal = (signal: NodeJS.Signals): void => {
    for (const name of signals) process.off(name, onSignal);
    stop.abort(signal);
  };
  for (const name of signals) process.on(name, onSignal);
  return stop.signal;
}

/** Resolves when `stop` is aborted. */
export function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });
}

const USUAL = ["SIGINT", "SIGTERM"] as const;

/** proc(5): the mask of ignored signals, which this process was started with. */
function isHangupIgnored(): boolean {
  const mask = /^SigIgn:\s*([\da-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & SIGHUP_BIT) !== 0n;
}
