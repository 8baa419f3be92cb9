/** KeyReport: the gossip keys of all members, as one node has asked for them. */
import { allOneLine } from "../core/printable.ts";
import { fieldsOf, isFlag, isNumber, isText, listOf, mapOf, orNull, parseShape } from "./shape.ts";

/** Members that gave the same answer. */
export interface KeyAnswerGroup {
  /** Some of the names. */
  readonly names: readonly string[];
  readonly count: number;
  /** Fingerprints. The key that encrypts is the first. */
  readonly keys: readonly string[];
  /**
   * Fingerprints of the keys in their key files. Null: not known, as of agents of Serf, or of a key
   * that came through a pipe.
   */
  readonly in_file: readonly string[] | null;
  /** Why they refused. Empty: they did not. */
  readonly error: string;
}

export interface KeyReport {
  /** Of the query, which is another one for each. 0: there was none since the start. */
  readonly id: number;
  /** Whether all have answered, or had the time to. */
  readonly is_done: boolean;
  readonly groups: readonly KeyAnswerGroup[];
  /** Some of the names of members that did not answer. */
  readonly silent: readonly string[];
  readonly silent_count: number;
  /** The same of members that are dead, and were not asked. */
  readonly dead: readonly string[];
  readonly dead_count: number;
  /** Keys that members have, in base64, by their fingerprints. */
  readonly base64: Readonly<Record<string, string>>;
}

/** Before members were asked, and while they answer. */
export const NO_KEY_ANSWERS: Omit<KeyReport, "id" | "is_done"> = {
  groups: [],
  silent: [],
  silent_count: 0,
  dead: [],
  dead_count: 0,
  base64: {},
};

const isReport = fieldsOf<KeyReport>({
  id: isNumber,
  is_done: isFlag,
  groups: listOf(
    fieldsOf<KeyAnswerGroup>({
      names: listOf(isText),
      count: isNumber,
      keys: listOf(isText),
      in_file: orNull(listOf(isText)),
      error: isText,
    }),
  ),
  silent: listOf(isText),
  silent_count: isNumber,
  dead: listOf(isText),
  dead_count: isNumber,
  base64: mapOf(isText),
});

/** The report, fit for a terminal: names and errors are from other members. Throws WireError. */
export function parseKeyReport(text: string): KeyReport {
  return allOneLine(parseShape(text, "a report about gossip keys", isReport));
}
