/**
 * ServiceManager of systemd: the messages of sd_notify(3), for a unit of Type=notify.
 *
 *     READY=1       it listens, and has joined     STATUS=...     one line for systemctl status
 *     RELOADING=1   at SIGHUP, READY=1 follows     WATCHDOG=1     twice in each WatchdogSec
 *     STOPPING=1    at the signal to stop
 *
 * RELOADING=1 has the time of the monotonic clock, which Type=notify-reload needs (systemd 253).
 */
import { NO_SERVICE_MANAGER, type ServiceManager } from "../core/service-manager.ts";
import { type NotifySocket, openNotifySocket } from "./notify-socket.ts";

const US_PER_MS = 1000;

/** The service manager that started this process, or NO_SERVICE_MANAGER. */
export function openServiceManager(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ServiceManager {
  const socket = openNotifySocket(environment["NOTIFY_SOCKET"] ?? "");
  if (socket === null) return NO_SERVICE_MANAGER;
  return new Systemd(socket, watchdogMs(environment, pid));
}

/** The longest that a timer of the runtime waits. Longer ones fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises. Null: it is not for this process. */
export function watchdogMs(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null {
  const { WATCHDOG_USEC: time, WATCHDOG_PID: meant } = environment;
  if (time === undefined || !/^[1-9]\d*$/.test(time)) return null;
  if (meant !== undefined && meant !== String(pid)) return null;
  return Math.min(Math.max(1, Math.floor(Number(time) / US_PER_MS / 2)), TIMER_MS_MAX);
}

export class Systemd implements ServiceManager {
  readonly watchdogMs: number | null;
  private readonly socket: NotifySocket;

  constructor(socket: NotifySocket, everyMs: number | null) {
    this.socket = socket;
    this.watchdogMs = everyMs;
  }

  ready(status: string): void {
    this.socket.send(`READY=1\nSTATUS=${status}`);
  }

  status(text: string): void {
    this.socket.send(`STATUS=${text}`);
  }

  reloading(): void {
    this.socket.send(`RELOADING=1\nMONOTONIC_USEC=${this.socket.monotonicUs()}`);
  }

  stopping(status: string): void {
    this.socket.send(`STOPPING=1\nSTATUS=${status}`);
  }

  alive(): void {
    this.socket.send("WATCHDOG=1");
  }
}
