/**
 * The signals that stop a command: Ctrl-C, the signals of a service manager, and the end of its
 * terminal unless it was started with nohup(1).
 */
import { readFileSync } from "node:fs";

const SIGHUP_BIT = 1n;
/** `mayStop` is asked so much later: by then a client has closed its connection that was about to. */
const SETTLE_MS = 100;

/**
 * @returns a signal that is aborted at the first of `signals`, with its name as the reason. The
 * second one, of any kind, ends the process as that signal does by default. A signal that `mayStop`
 * refuses is ignored. Default: none is.
 */
export function stopSignal(
  signals: readonly NodeJS.Signals[] = usualSignals(),
  mayStop: ((signal: NodeJS.Signals) => boolean) | null = null,
): AbortSignal {
  const stop = new AbortController();
  const end = (signal: NodeJS.Signals): void => {
    for (const name of signals) process.off(name, onSignal);
    stop.abort(signal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (mayStop === null) end(signal);
    else setTimeout(() => !stop.signal.aborted && mayStop(signal) && end(signal), SETTLE_MS);
  };
  for (const name of signals) process.on(name, onSignal);
  return stop.signal;
}

/**
 * Ignores signals that end a process by default and have no meaning for a node. A node must not end
 * with pages in it. `onSignal` is called for each signal.
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

function usualSignals(): NodeJS.Signals[] {
  return isHangupIgnored() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
}

/**
 * SIGPWR is missing, since the runtime uses it. SIGPIPE and SIGXFSZ are missing, since the runtime
 * ignores them.
 */
const MEANINGLESS = [
  ...(["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGXCPU"] as const),
];

/**
 * Whether this process was started with SIGHUP ignored. proc(5) shows the mask of ignored signals.
 */
function isHangupIgnored(): boolean {
  const mask = /^SigIgn:\s*([\da-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & SIGHUP_BIT) !== 0n;
}
