/**
 * CertificateWatch: tells in time that the certificate of the cluster ends. After its end no link
 * can be made, and pages that are away cannot be had.
 *
 * Not here: what is in the file (src/security), and where it is (src/cli).
 */
import type { Clock } from "../core/clock.ts";
import { CERTIFICATE_WARN_DAYS } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";

/** What a node shows to the others. */
export interface Certificate {
  /** Unix time of its end. */
  endMs(): number;
  /** Unix time. */
  nowMs(): number;
  /** Takes it from its file again. Throws ConfigError BAD_CONFIG, and nothing has changed. */
  reload(): void;
}

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const HOW = "renew it as docs/cluster.md describes";

export class CertificateWatch {
  private readonly certificate: Certificate;
  private readonly log: Log;
  private readonly timers: Timers;

  constructor(env: { clock: Clock; log: Log }, certificate: Certificate) {
    this.certificate = certificate;
    this.log = env.log;
    this.timers = new Timers(env.clock);
  }

  /** Warns at once, once a day, and when it ends. */
  start(): void {
    this.warn();
    this.timers.every("day", DAY_MS, DAY_MS, () => this.warn());
    this.awaitEnd();
  }

  stop(): void {
    this.timers.stop();
  }

  reload(): void {
    this.certificate.reload();
    this.log.write("info", "net", `The key file was read again: valid until ${this.end}`);
    this.warn();
    this.awaitEnd();
  }

  /** As ISO 8601 has it. */
  get end(): string {
    return new Date(this.certificate.endMs()).toISOString();
  }

  /** Whole days; below 0 from the end on. */
  get daysLeft(): number {
    const { msLeft } = this;
    return msLeft === 0 ? -1 : Math.floor(msLeft / DAY_MS);
  }

  private get msLeft(): number {
    return this.certificate.endMs() - this.certificate.nowMs();
  }

  /** Looks once an hour as well: the time of day may be set, and a timer is not told. */
  private awaitEnd(): void {
    const leftMs = this.msLeft;
    if (leftMs <= 0) return;
    this.timers.after("end", Math.min(leftMs, HOUR_MS), () => {
      if (this.msLeft <= 0) this.warn();
      this.awaitEnd();
    });
  }

  private warn(): void {
    const { daysLeft } = this;
    if (daysLeft < 0) {
      const what = `The certificate of the cluster expired on ${this.end}: no link can be made`;
      this.log.write("error", "net", `${what}, and no page that is away can be had; ${HOW}`);
    } else if (daysLeft < CERTIFICATE_WARN_DAYS) {
      const what = `The certificate of the cluster ends on ${this.end}, in ${days(daysLeft)}`;
      this.log.write("warn", "net", `${what}; ${HOW}`);
    }
  }
}

function days(count: number): string {
  if (count === 0) return "less than a day";
  return count === 1 ? "1 day" : `${count} days`;
}
