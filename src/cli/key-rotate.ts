/**
 * `ramster key rotate`: replaces the gossip key of a whole cluster from one machine. It asks all
 * members through one node, does the next step (key-rotation.ts), and asks again until it is done.
 * Nodes do not write their key files, so it waits until a person has changed them.
 *
 * After a failure, or Ctrl-C, the same command goes on, from this node or another.
 */
import { RamsterError } from "../core/errors.ts";
import { GOSSIP_KEY_BYTES } from "../core/limits.ts";
import { oneLine } from "../core/printable.ts";
import { fingerprintOf } from "../gossip/keyring.ts";
import type { KeyReport } from "../wire/key-report.ts";
import { named, newKeyOf, nextStep, oldFiles, type RotationStep } from "./key-rotation.ts";
import type { Answer } from "./print.ts";

const KNOB = "cluster_keys";
const FAILING = "Cannot rotate the gossip key";
/** How often the answers of members are looked at. */
const POLL_MS = 100;
/** How often members are asked whether key files have changed. */
const FILES_MS = 2000;
/** A datagram may be lost, so a step is done again. */
const TRIES_MAX = 5;

/** The part of a client that a rotation uses. */
export interface KeyDoor {
  getKnob(name: string): Promise<string>;
  setKnob(name: string, value: string): Promise<string>;
}

export interface RotationShow {
  /** A line for a person. */
  line(text: string): void | Promise<void>;
  pause(ms: number): Promise<void>;
  /** Aborted by Ctrl-C. */
  readonly stop: AbortSignal;
}

/** Rejects with REFUSED when a step fails, and when it is stopped. */
export async function rotate(door: KeyDoor, show: RotationShow): Promise<Answer> {
  const walk = new Walk(door, show);
  for (;;) {
    if (show.stop.aborted) throw refused(`stopped by ${show.stop.reason}`);
    const step = await walk.look();
    if (step.kind === "done") return walk.end();
    await walk.take(step);
  }
}

class Walk {
  private readonly door: KeyDoor;
  private readonly show: RotationShow;
  private report: KeyReport = {
    is_done: true,
    groups: [],
    silent: [],
    silent_count: 0,
    base64: {},
  };
  /** The new key, and the same in base64. */
  private key: string | null = null;
  private base64 = "";
  private readonly removed: string[] = [];
  private hasUsed = false;
  private lastWait = "";
  private lastStep = "";
  private tries = 0;

  constructor(door: KeyDoor, show: RotationShow) {
    this.door = door;
    this.show = show;
  }

  /** Asks all members. @returns the next step. */
  async look(): Promise<RotationStep> {
    this.report = await this.ask("list");
    if (this.key === null) {
      const key = newKeyOf(this.report);
      if (key !== null) await this.begin(key, this.report.base64[key] ?? "");
    }
    return nextStep(this.report, this.key);
  }

  async take(step: Exclude<RotationStep, { kind: "done" }>): Promise<void> {
    if (step.kind !== "files") this.countTry(step);
    switch (step.kind) {
      case "blocked":
        return this.show.pause(FILES_MS);
      case "begin": {
        const key = crypto.getRandomValues(new Uint8Array(GOSSIP_KEY_BYTES));
        await this.begin(fingerprintOf(key), Buffer.from(key).toString("base64"));
        return this.change(`add ${this.base64}`);
      }
      case "add":
        return this.change(`add ${this.base64}`);
      case "files":
        return this.wait(step.waiting.map(named).join(", "));
      case "use":
        this.hasUsed = true;
        return this.change(`use ${this.key}`);
      case "remove":
        if (!this.removed.includes(step.key)) this.removed.push(step.key);
        return this.change(`remove ${step.key}`);
    }
  }

  async end(): Promise<Answer> {
    const key = this.key ?? "";
    const left = oldFiles(this.report, key);
    const where = left.map(named).join(", ");
    const then = left.length === 0 ? "" : `\nremove the other gossip-key lines from: ${where}`;
    const count = this.report.groups.reduce((sum, group) => sum + group.count, 0);
    const members = `${count} ${count === 1 ? "member" : "members"}`;
    const again = "run ramster key rotate again for a new key";
    const earlier = this.hasUsed ? "" : `\nthis has ended an earlier rotation: ${again}`;
    const text = `done: ${members} use the key ${key}, and no other${then}${earlier}`;
    const files = left.flatMap(({ names }) => names);
    const json = { key, gossip_key: this.base64, removed: this.removed, files_to_clean: files };
    return { text, json };
  }

  private async begin(key: string, base64: string): Promise<void> {
    this.key = key;
    this.base64 = base64;
    await this.show.line(`gossip-key = ${base64}`);
    await this.show.line(`the new key is ${key}`);
  }

  /** A step that does not help is given up. */
  private countTry(step: RotationStep): void {
    const name = JSON.stringify(step);
    this.tries = name === this.lastStep ? this.tries + 1 : 1;
    this.lastStep = name;
    if (this.tries <= TRIES_MAX) return;
    if (step.kind === "blocked") throw refused(step.reason);
    throw refused(`members do not take the step "${step.kind}"`);
  }

  private async wait(names: string): Promise<void> {
    if (this.lastWait === "") {
      const where = "before the other gossip-key line of the key file of each machine";
      await this.show.line(`put the first line above ${where}; Ctrl-C ends only the wait`);
    }
    if (names !== this.lastWait) await this.show.line(`waiting for the key files of: ${names}`);
    this.lastWait = names;
    await this.show.pause(FILES_MS);
  }

  /** Members that refuse are seen when they are asked next. */
  private async change(action: string): Promise<void> {
    const { groups } = await this.ask(action);
    const refusing = groups.find(({ error }) => error !== "");
    if (refusing !== undefined) throw refused(`${named(refusing)}: ${refusing.error}`);
  }

  private async ask(action: string): Promise<KeyReport> {
    await this.untilDone();
    try {
      await this.door.setKnob(KNOB, action);
    } catch (error) {
      if (!(error instanceof RamsterError) || error.code !== "REFUSED") throw error;
      const reason = error.message.replace(/^Cannot set "\w+": /, "");
      throw new RamsterError("REFUSED", `${FAILING}: ${reason}`);
    }
    return this.untilDone();
  }

  private async untilDone(): Promise<KeyReport> {
    for (;;) {
      const report = JSON.parse(await this.door.getKnob(KNOB)) as KeyReport;
      if (report.is_done) return report;
      await this.show.pause(POLL_MS);
    }
  }
}

function refused(reason: string): RamsterError {
  return new RamsterError(
    "REFUSED",
    `${FAILING}: ${oneLine(reason)}; ramster key rotate goes on from here`,
  );
}
