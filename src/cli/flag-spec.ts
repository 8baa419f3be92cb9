/** What the tables of flags.ts and node-flags.ts are made of. */
import type { CommandName } from "./options.ts";

export interface FlagSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for its value in the help, or null for a switch. */
  readonly value: string | null;
  readonly help: string;
  /** What it means without a value; `--no-NAME` is "off" then. Otherwise a value must follow. */
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

/** Of a command that takes words beside its flags. Those that are required come first. */
export interface ArgumentSpec {
  readonly name: string;
  readonly required: boolean;
  readonly help: string;
}

export interface CommandSpec {
  readonly name: CommandName;
  readonly summary: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly groups: readonly FlagGroup[];
  readonly examples: readonly string[];
}

/** All flags of a command, in the order of the help. */
export function flagsOf(command: CommandSpec): readonly FlagSpec[] {
  return command.groups.flatMap((group) => group.flags);
}
