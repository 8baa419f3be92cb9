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
 * it. A node that starts with the old key alone cannot join, so the files come before that too.
 */
import type { KeyAnswerGroup, KeyReport } from "../wire/key-report.ts";

export type RotationStep =
  | { readonly kind: "begin" }
  /** `waiting`: the groups that lack the step. Empty: no member does. */
  | { readonly kind: "add" | "files" | "use"; readonly waiting: readonly KeyAnswerGroup[] }
  | { readonly kind: "remove"; readonly key: string; readonly waiting: readonly KeyAnswerGroup[] }
  | { readonly kind: "done" }
  /** Members must first be asked again, or a person must decide. */
  | { readonly kind: "blocked"; readonly reason: string };

/** The new key of the rotation that is under way, by its fingerprint. Null: none is. */
export function newKeyOf({ groups }: KeyReport): string | null {
  const keys = new Set(groups.flatMap((it) => it.keys));
  if (keys.size < 2) return null;
  // A key that is only in files, after a restart, encrypts first there.
  const latest = new Set(groups.map((it) => it.latest).filter((it) => keys.has(it)));
  const first = new Set(groups.map((it) => it.keys[0] ?? ""));
  const [key = null, ...others] = latest.size > 0 ? latest : first;
  return others.length === 0 ? key : null;
}

/** `key`: the new key. Null: no rotation is under way. */
export function nextStep(report: KeyReport, key: string | null): RotationStep {
  const { groups, silent, silent_count: silentCount } = report;
  const refused = groups.find(({ error }) => error !== "");
  if (refused !== undefined) return blocked(`${named(refused)}: ${refused.error}`);
  if (silentCount > 0) return blocked(`${namesText(silent, silentCount)} did not answer`);
  const keys = [...new Set(groups.flatMap((it) => it.keys))];
  if (key === null) {
    if (keys.length === 1) return { kind: "begin" };
    const what = `members have ${keys.length} keys (${keys.join(", ")}), and none is the newest`;
    return blocked(`${what}: remove what is not needed with ramster key remove`);
  }
  const lacking = groups.filter((it) => !it.keys.includes(key));
  if (lacking.length > 0) return { kind: "add", waiting: lacking };
  const unwritten = groups.filter((it) => it.in_file !== null && it.in_file[0] !== key);
  const unused = groups.filter((it) => it.keys[0] !== key);
  if (unused.length > 0) {
    return unwritten.length > 0
      ? { kind: "files", waiting: unwritten }
      : { kind: "use", waiting: unused };
  }
  const old = keys.find((it) => it !== key);
  if (old === undefined) return { kind: "done" };
  return { kind: "remove", key: old, waiting: groups.filter((it) => it.keys.includes(old)) };
}

/** Groups whose key files still have other keys than the new one. */
export function oldFiles({ groups }: KeyReport, key: string): KeyAnswerGroup[] {
  return groups.filter((it) => it.in_file?.some((other) => other !== key) === true);
}

export function named({ names, count }: Pick<KeyAnswerGroup, "names" | "count">): string {
  return namesText(names, count);
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
