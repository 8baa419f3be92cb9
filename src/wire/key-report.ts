/** KeyReport: the gossip keys of all members, as one node has asked for them. */

/** Members that gave the same answer. */
export interface KeyAnswerGroup {
  /** Some of the names. */
  readonly names: readonly string[];
  readonly count: number;
  /** Fingerprints. The key that encrypts is the first. */
  readonly keys: readonly string[];
  /** Fingerprints of the keys in their key files. Null: not known, as of agents of Serf. */
  readonly in_file: readonly string[] | null;
  /** The key that was added last while they ran. Empty: none was, or it is not known. */
  readonly latest: string;
  /** Why they refused. Empty: they did not. */
  readonly error: string;
}

export interface KeyReport {
  /** Whether all have answered, or had the time to. */
  readonly is_done: boolean;
  readonly groups: readonly KeyAnswerGroup[];
  /** Some of the names of members that did not answer. */
  readonly silent: readonly string[];
  readonly silent_count: number;
  /** Keys that members have, in base64, by their fingerprints. */
  readonly base64: Readonly<Record<string, string>>;
}
