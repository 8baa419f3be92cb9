/**
 * `ramster key rotate`: replaces the gossip key of a whole cluster from one machine. It asks all
 * members through one node, does the next step (key-rotation.ts), and asks again until it is done.
 * Nodes do not write their key files, so it waits until a person has changed them.
 *
 * After a failure, or Ctrl-C, the command goes on with the fingerprint of the new key, from this
 * node or another. It never takes up by itself a key that it has not made.
 */
import { RamsterError } from "../core/errors.ts";
import { GOSSIP_KEY_BYTES } from "../core/limits.ts";
import { oneLine } from "../core/printable.ts";
import { fingerprintOf } from "../gossip/keyring.ts";
import { parseGossipKey } from "../security/key-file.ts";
import { type KeyReport, NO_KEY_ANSWERS, parseKeyReport } from "../wire/key-report.ts";
import {
  deadOf,
  havingKey,
  keysOf,
  type NewKey,
  named,
  nextStep,
  oldFiles,
  type RotationStep,
  unseenFiles,
} from "./key-rotation.ts";
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

export interface RotationOrder {
  /** The fingerprint of the key to go on with. Null: a new one is made. */
  readonly key: string | null;
  /** Whether dead members may be cut off. */
  readonly force: boolean;
}

/** Rejects with REFUSED when a step fails, and when it is stopped. */
export async function rotate(
  door: KeyDoor,
  show: RotationShow,
  order: RotationOrder,
): Promise<Answer> {
  const walk = new Walk(door, show, order);
  for (;;) {
    if (show.stop.aborted) throw walk.refused(`stopped by ${show.stop.reason}`);
    const step = await walk.look();
    if (step.kind === "done") return walk.end();
    await walk.take(step);
  }
}

const NO_REPORT: KeyReport = { id: 0, is_done: true, ...NO_KEY_ANSWERS };

class Walk {
  private readonly door: KeyDoor;
  private readonly show: RotationShow;
  private readonly order: RotationOrder;
  /** What members answered when they were asked last. */
  private report = NO_REPORT;
  private rotation: NewKey | null = null;
  /** The new key in base64. */
  private base64 = "";
  private readonly removed: string[] = [];
  private lastWait = "";
  private hasNamedUnseen = false;
  private lastStep = "";
  private tries = 0;
  private uses = 0;

  constructor(door: KeyDoor, show: RotationShow, order: RotationOrder) {
    this.door = door;
    this.show = show;
    this.order = order;
  }

  /** Asks all members. @returns the next step. */
  async look(): Promise<RotationStep> {
    this.report = await this.ask("list");
    const { key } = this.order;
    if (this.rotation === null && key !== null) await this.goOn(key);
    return nextStep(this.report, this.rotation, this.order);
  }

  async take(step: Exclude<RotationStep, { kind: "done" }>): Promise<void> {
    this.countTry(step);
    switch (step.kind) {
      case "stop":
        throw refusal(step.reason);
      case "blocked":
        return this.show.pause(FILES_MS);
      case "begin":
        await this.begin(crypto.getRandomValues(new Uint8Array(GOSSIP_KEY_BYTES)));
        return this.add();
      case "add":
        return this.add();
      case "files":
        return this.wait(step.waiting.map(named).join(", "));
      case "use":
        await this.nameUnseen();
        return this.change(`use ${this.rotation?.key}`);
      case "remove":
        if (!this.removed.includes(step.key)) this.removed.push(step.key);
        return this.change(`remove ${step.key}`);
    }
  }

  end(): Answer {
    const key = this.rotation?.key ?? "";
    const { groups, dead_count: deadCount } = this.report;
    const count = groups.reduce((sum, group) => sum + group.count, 0);
    const members = `${count} ${count === 1 ? "member" : "members"}`;
    const left = oldFiles(this.report, key);
    const lines = [`done: ${members} use the key ${key}, and no other`];
    if (left.length > 0) {
      lines.push(`remove the other gossip-key lines from: ${left.map(named).join(", ")}`);
    }
    if (deadCount > 0) {
      lines.push(`${deadOf(this.report)}: put the new line into the key file before a start`);
    }
    const files = left.flatMap(({ names }) => names);
    const json = { key, gossip_key: this.base64, removed: this.removed, files_to_clean: files };
    return { text: lines.join("\n"), json };
  }

  /** It says how to go on, once members have the key. */
  refused(reason: string): RamsterError {
    const { rotation } = this;
    const how = `; ramster key rotate ${rotation?.key} goes on from here`;
    return refusal(rotation?.isAdded === true ? `${reason}${how}` : reason);
  }

  /** With a new key. */
  private async begin(bytes: Uint8Array): Promise<void> {
    const key = fingerprintOf(bytes);
    this.rotation = { key, old: new Set(keysOf(this.report)), isAdded: false };
    this.base64 = Buffer.from(bytes).toString("base64");
    await this.show.line(`gossip-key = ${this.base64}`);
    await this.show.line(`the new key is ${key}`);
  }

  /** With a key that members have. The text of it is theirs. */
  private async goOn(key: string): Promise<void> {
    const { base64 } = this.report;
    const given = Object.hasOwn(base64, key) ? base64[key] : undefined;
    if (given === undefined) throw this.refused(`no member has the key ${key}`);
    const bytes = parseGossipKey(given);
    if (fingerprintOf(bytes) !== key) throw this.refused(`another key is sent for ${key}`);
    if (bytes.every((byte) => byte === bytes[0])) {
      throw this.refused(`the key ${key} can be guessed: all its bytes are the same`);
    }
    this.rotation = { key, old: new Set(keysOf(this.report)), isAdded: true };
    this.base64 = given;
    await this.show.line(`gossip-key = ${given}`);
    const who = named(havingKey(this.report, key));
    await this.show.line(`goes on with the key ${key}, which ${who} have`);
  }

  private async add(): Promise<void> {
    // Also when one refuses it: others have it then.
    if (this.rotation !== null) this.rotation = { ...this.rotation, isAdded: true };
    await this.change(`add ${this.base64}`);
  }

  /** A step that does not help is given up. */
  private countTry(step: RotationStep): void {
    const name = JSON.stringify(step);
    this.tries = name === this.lastStep && step.kind !== "files" ? this.tries + 1 : 1;
    this.lastStep = name;
    // Two rotations with different keys would undo each other's steps for ever.
    if (step.kind === "use") this.uses += 1;
    if (this.tries <= TRIES_MAX && this.uses <= TRIES_MAX) return;
    if (step.kind === "blocked") throw this.refused(step.reason);
    throw this.refused(`members do not take the step "${step.kind}", or do not keep to it`);
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

  /** Members whose key files need the line as well, which nobody can look after from here. */
  private async nameUnseen(): Promise<void> {
    const unseen = unseenFiles(this.report);
    if (unseen.count === 0 || this.hasNamedUnseen) return;
    this.hasNamedUnseen = true;
    const what = "cannot be seen from here, and need the first line above before the next start";
    await this.show.line(`the key files of ${named(unseen)} ${what}`);
  }

  /** Members that refuse are seen when they are asked next. */
  private async change(action: string): Promise<void> {
    const { groups } = await this.ask(action);
    const refusing = groups.find(({ error }) => error !== "");
    if (refusing !== undefined) throw this.refused(`${named(refusing)}: ${refusing.error}`);
  }

  private async ask(action: string): Promise<KeyReport> {
    // Of another command, that may have ended meanwhile.
    await this.untilDone(await this.read(), null);
    let begun: string;
    try {
      begun = await this.door.setKnob(KNOB, action);
    } catch (error) {
      if (!(error instanceof RamsterError) || error.code !== "REFUSED") throw error;
      throw this.refused(error.message.replace(/^Cannot set "\w+": /, ""));
    }
    const report = parseKeyReport(begun);
    return this.untilDone(report, report.id);
  }

  /** `id`: of the query that was asked. Null: any. */
  private async untilDone(first: KeyReport, id: number | null): Promise<KeyReport> {
    let report = first;
    while (!report.is_done) {
      await this.show.pause(POLL_MS);
      report = await this.read();
      if (id !== null && report.id !== id) {
        throw this.refused("another command asks the members through this node");
      }
    }
    return report;
  }

  private async read(): Promise<KeyReport> {
    return parseKeyReport(await this.door.getKnob(KNOB));
  }
}

function refusal(reason: string): RamsterError {
  return new RamsterError("REFUSED", `${FAILING}: ${oneLine(reason)}`);
}
