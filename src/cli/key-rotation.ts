/**
 * The plan of a rotation of gossip keys: from the keys that all members have to the next step. The
 * cluster itself remembers how far a rotation is, so another command, on any node, can go on.
 *
 *     add      a new key goes to the members, which decrypt with it
 *     files    it stands first in the key file of each machine, for the next start
 *     use      all members encrypt with it
 *     remove   no member takes the old key any more
 *
 * A member without the new key cannot read the others, so nobody encrypts with it before all have
 * it. A node that starts with the old key alone cannot join, so the files come before that too. A
 * dead member gets no key. It could not come back after "use", so it stops the rotation before.
 *
 * Which key is the new one is for a person to say. Otherwise any member could choose the key of the
 * cluster, since it can add keys everywhere.
 */
import type { KeyAnswerGroup, KeyReport } from "../wire/key-report.ts";

export type RotationStep =
  | { readonly kind: "begin" }
  /** `waiting`: the groups that lack the step. Empty: no member does. */
  | { readonly kind: "add" | "files" | "use"; readonly waiting: readonly KeyAnswerGroup[] }
  | { readonly kind: "remove"; readonly key: string; readonly waiting: readonly KeyAnswerGroup[] }
  | { readonly kind: "done" }
  /** Members must first be asked again. */
  | { readonly kind: "blocked"; readonly reason: string }
  /** A person must decide. The reason says how to go on. */
  | { readonly kind: "stop"; readonly reason: string };

/** The new key of the rotation, by its fingerprint. */
export interface NewKey {
  readonly key: string;
  /** Other keys, which go. A key that is not among them is of another rotation. */
  readonly old: ReadonlySet<string>;
  /** Whether members have been told to add it. */
  readonly isAdded: boolean;
}

/**
 * `rotation`: null before there is a new key. `force`: to go on without members that are dead. They
 * cannot come back then by themselves.
 */
export function nextStep(
  report: KeyReport,
  rotation: NewKey | null,
  { force }: { force: boolean },
): RotationStep {
  const { groups } = report;
  const refused = groups.find(({ error }) => error !== "");
  if (refused !== undefined) return blocked(`${named(refused)}: ${refused.error}`);
  if (report.silent_count > 0) return blocked(`${silentOf(report)} did not answer`);
  const dead: RotationStep | null =
    report.dead_count === 0 || force ? null : blocked(`${deadOf(report)}${DEAD_ADVICE}`);
  const keys = keysOf(report);
  if (rotation === null) {
    return keys.length > 1 ? stop(severalKeys(report, keys)) : (dead ?? { kind: "begin" });
  }
  const { key, old, isAdded } = rotation;
  const strange = keys.find((it) => it !== key && !old.has(it));
  if (strange !== undefined) {
    const who = named(havingKey(report, strange));
    const what = `${who} got the key ${strange} meanwhile, which this command did not make`;
    return stop(`${what}: ramster key rotate ${key} goes on with its own, and removes that`);
  }
  if (isAdded && !keys.includes(key)) {
    return stop(`no member has the key ${key} any more: another command has removed it`);
  }
  const lacking = groups.filter((it) => !it.keys.includes(key));
  if (lacking.length > 0) return { kind: "add", waiting: lacking };
  const unwritten = groups.filter((it) => it.in_file !== null && it.in_file[0] !== key);
  const unused = groups.filter((it) => it.keys[0] !== key);
  if (unused.length > 0) {
    if (unwritten.length > 0) return { kind: "files", waiting: unwritten };
    return dead ?? { kind: "use", waiting: unused };
  }
  const next = keys.find((it) => it !== key);
  if (next === undefined) return { kind: "done" };
  return dead ?? { kind: "remove", key: next, waiting: [havingKey(report, next)] };
}

const DEAD_ADVICE =
  ", and would be cut off when back: start what is dead, or wait until the cluster forgets it, " +
  "or let it be cut off with --force";

function severalKeys(report: KeyReport, keys: readonly string[]): string {
  const who = keys.map((key) => {
    const encrypts = report.groups.some((it) => it.keys[0] === key) ? ", encrypts" : "";
    return `${key} (${named(havingKey(report, key))}${encrypts})`;
  });
  const how = "ramster key rotate FINGERPRINT goes on with the new one, and removes the others";
  return `members have ${keys.length} keys, ${who.join("; ")}: ${how}`;
}

/** All keys that members have. */
export function keysOf({ groups }: KeyReport): string[] {
  return [...new Set(groups.flatMap((it) => it.keys))];
}

/** The members that have the key, as one group. */
export function havingKey({ groups }: KeyReport, key: string): KeyAnswerGroup {
  return together(groups.filter((it) => it.keys.includes(key)));
}

/** The members whose key files nobody can look at from here. */
export function unseenFiles({ groups }: KeyReport): KeyAnswerGroup {
  return together(groups.filter((it) => it.in_file === null));
}

function together(groups: readonly KeyAnswerGroup[]): KeyAnswerGroup {
  const count = groups.reduce((sum, group) => sum + group.count, 0);
  return { names: groups.flatMap((it) => it.names), count, keys: [], in_file: null, error: "" };
}

/** Groups whose key files still have other keys than the new one. */
export function oldFiles({ groups }: KeyReport, key: string): KeyAnswerGroup[] {
  return groups.filter((it) => it.in_file?.some((other) => other !== key) === true);
}

export function named({ names, count }: Pick<KeyAnswerGroup, "names" | "count">): string {
  return namesText(names, count);
}

function silentOf({ silent, silent_count: count }: KeyReport): string {
  return namesText(silent, count);
}

/** Members that are dead: `"a" and 3 more`, with a verb. */
export function deadOf({ dead, dead_count: count }: KeyReport): string {
  return `${namesText(dead, count)} ${count === 1 ? "is" : "are"} dead`;
}

/** A few names, and how many more there are. */
const NAMES_SHOWN = 5;

function namesText(names: readonly string[], count: number): string {
  const shown = names.slice(0, NAMES_SHOWN).map((name) => JSON.stringify(name));
  const more = count - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}

function blocked(reason: string): RotationStep {
  return { kind: "blocked", reason };
}

function stop(reason: string): RotationStep {
  return { kind: "stop", reason };
}
