/** Entries of the tables of commands and flags (commands.ts, setting-flags.ts). */

export interface FlagSpec {
  /** Without the dashes. */
  readonly name: string;
  /** Stands for its value in the help; null for a flag without one. */
  readonly value: string | null;
  readonly help: string;
  /** Its value where none is written; `--no-NAME` is "off" then. Absent: a value must follow. */
  readonly bare?: string;
  /** The text that is used when the flag is not given. */
  readonly default?: string;
  /** Shown instead of `default` where that is not a fixed text. */
  readonly defaultNote?: string;
  readonly required?: boolean;
  /** A comma list, and the flag may be repeated. */
  readonly list?: boolean;
}

export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly FlagSpec[];
}

/** A word that a command takes beside its flags. Required ones come first. */
export interface ArgumentSpec {
  readonly name: string;
  readonly required: boolean;
  readonly help: string;
}

/** A word that an argument may be. */
export interface NameSpec {
  readonly name: string;
  readonly help: string;
}

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly groups: readonly FlagGroup[];
  /** What an argument may name. */
  readonly names?: readonly NameSpec[];
  readonly examples: readonly string[];
}

/** All flags of a command, in the order of the help. */
export function flagsOf(command: CommandSpec): readonly FlagSpec[] {
  return command.groups.flatMap((group) => group.flags);
}
