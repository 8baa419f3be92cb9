/** Entries of the tables of commands and flags (commands.ts, setting-flags.ts). */

export interface FlagSpec {
  /** The name without the dashes. */
  readonly name: string;
  /** The placeholder for the value in the help. Null for a flag without a value. */
  readonly value: string | null;
  readonly help: string;
  /** The value when none is written. `--no-NAME` then means "off". Absent: a value must follow. */
  readonly bare?: string;
  /** The value that is used when the flag is not given. */
  readonly default?: string;
  /** Shown instead of `default` when that is not a fixed text. */
  readonly defaultNote?: string;
  /** The variable of the environment that has the value when the flag is not given. */
  readonly variable?: string;
  readonly required?: boolean;
  /** When it is needed: shown in brackets instead of a default. */
  readonly neededBy?: string;
  /** Whether the value is a comma list. The flag may then be repeated. */
  readonly list?: boolean;
}

export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly FlagSpec[];
}

/** A word that a command takes in addition to its flags. Required words come first. */
export interface ArgumentSpec {
  readonly name: string;
  readonly required: boolean;
  readonly help: string;
  /** The words that it may be, if they are neither actions nor names of the command. */
  readonly words?: readonly string[];
}

/** A word that an argument may be. */
export interface NameSpec {
  readonly name: string;
  readonly help: string;
  /** The placeholder of its value, where it has one. */
  readonly value?: string | null;
}

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly arguments?: readonly ArgumentSpec[];
  /** What the argument ACTION may be, and what each does. */
  readonly actions?: readonly NameSpec[];
  readonly groups: readonly FlagGroup[];
  /** The names that an argument may have. */
  readonly names?: readonly NameSpec[];
  readonly examples: readonly string[];
}

/** All flags of a command, in the order of the help. */
export function flagsOf(command: CommandSpec): readonly FlagSpec[] {
  return command.groups.flatMap((group) => group.flags);
}
