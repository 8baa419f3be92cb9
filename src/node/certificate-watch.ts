/**
 * CertificateWatch: warns before the certificate of the cluster expires. After that no link can be
 * made, and remote pages are out of reach.
 *
 * Not here: the content of the file (src/security), and its path (src/cli).
 */
import type { Clock } from "../core/clock.ts";
import { CERTIFICATE_WARN_DAYS } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { Timers } from "../core/timers.ts";
import { type KeyFileReport, keyFileText } from "../wire/key-file-report.ts";

/** The certificate of a node's links. */
export interface Certificate {
  /** The whole path of its file. */
  readonly path: string;
  /** The Unix time at which it expires. */
  endMs(): number;
  /** The current Unix time. */
  nowMs(): number;
  /**
   * Reads its file again. @returns whether its certificates are others than before. Throws
   * ConfigError BAD_CONFIG, and then nothing has changed.
   */
  reload(): boolean;
}

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const HOW = "renew it as docs/cluster.md describes";

export class CertificateWatch {
  private readonly certificate: Certificate;
  private readonly log: Log;
  private readonly timers: Timers;
  private isChanged = false;

  constructor(env: { clock: Clock; log: Log }, certificate: Certificate) {
    this.certificate = certificate;
    this.log = env.log;
    this.timers = new Timers(env.clock);
  }

  /** Warns at once, once a day, and when the certificate expires. */
  start(): void {
    this.warn();
    this.timers.every("day", DAY_MS, DAY_MS, () => this.warn());
    this.awaitEnd();
  }

  stop(): void {
    this.timers.stop();
  }

  reload(): void {
    this.isChanged = this.certificate.reload();
    this.log.write("info", "net", keyFileText(this.report));
    this.warn();
    this.awaitEnd();
  }

  /** What the last reload has found. */
  get report(): KeyFileReport {
    return { file: this.certificate.path, changed: this.isChanged, valid_until: this.end };
  }

  /** The time at which it expires, in ISO 8601. */
  get end(): string {
    return new Date(this.certificate.endMs()).toISOString();
  }

  /** Whole days until it expires. Below 0 afterwards. */
  get daysLeft(): number {
    const { msLeft } = this;
    return msLeft === 0 ? -1 : Math.floor(msLeft / DAY_MS);
  }

  private get msLeft(): number {
    return this.certificate.endMs() - this.certificate.nowMs();
  }

  /** Also checks once an hour, since timers do not notice when the time of day is set. */
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
      this.log.write("error", "net", `${what}, and no remote page can be fetched; ${HOW}`);
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
