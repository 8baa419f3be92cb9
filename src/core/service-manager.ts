/**
 * What a process tells the service manager that started it (systemd's sd_notify(3)), given from
 * outside. src/systemd/notify-socket.ts does it on Linux.
 */
export interface ServiceManager {
  /** The process serves now: whoever was ordered after it may start. Also ends a reload. */
  ready(status: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The configuration is being read again, until the next `ready`. */
  reloading(): void;
  /** The process shuts down from here on. */
  stopping(status: string): void;
  /** It is still at work. */
  alive(): void;
  /** How often `alive` is expected. Null: never. */
  readonly watchdogMs: number | null;
}

/** Nobody is told anything. */
export const NO_SERVICE_MANAGER: ServiceManager = {
  ready() {},
  status() {},
  reloading() {},
  stopping() {},
  alive() {},
  watchdogMs: null,
};
