/**
 * ServiceReports: what a node tells its service manager, and when. The manager may be none
 * (core/service-manager.ts).
 */
import type { Clock } from "../core/clock.ts";
import type { ServiceManager } from "../core/service-manager.ts";

export class ServiceReports {
  private readonly manager: ServiceManager;
  private readonly clock: Clock;
  /** The status while the node serves. Null: it starts or stops. */
  private served: string | null = null;

  constructor(manager: ServiceManager, clock: Clock) {
    this.manager = manager;
    this.clock = clock;
    this.keepAlive();
  }

  /** What the node does before it is ready. */
  starting(what: string): void {
    this.manager.status(what);
  }

  ready(status: string, stop: AbortSignal): void {
    this.served = status;
    this.manager.ready(status);
    const onStop = (): void => {
      this.served = null;
      this.manager.stopping("moving the pages of other nodes away");
    };
    stop.addEventListener("abort", onStop, { once: true });
  }

  /** A node that is not ready yet must not be called so after `reload`. */
  whileReloading(reload: () => void): void {
    const { served } = this;
    if (served !== null) this.manager.reloading();
    reload();
    if (served !== null) this.manager.ready(served);
  }

  /** As often as the manager wants to know that the loop of events turns. */
  private keepAlive(): void {
    const { watchdogMs } = this.manager;
    if (watchdogMs === null) return;
    this.manager.alive();
    this.clock.after(watchdogMs, () => this.keepAlive());
  }
}
