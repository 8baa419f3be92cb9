/** A command: its flags and help, how its flags are read, and the code that runs it. */
import type { CommandSpec } from "./flag-spec.ts";
import type { GivenFlags } from "./given.ts";
import type { Streams } from "./streams.ts";

/** The machine that the command line is for, as far as defaults depend on it. */
export interface Machine {
  readonly hostName: string;
  /** The text of a file. Throws the error of the operating system. */
  readText(path: string): string;
}

export interface Command<Options = unknown> extends CommandSpec {
  /** The options that the flags mean. Throws ConfigError BAD_CONFIG in one line. */
  read(flags: GivenFlags, machine: Machine): Options;
  /** The module of the command, which is loaded only to run: `version` needs no sockets. */
  load(): Promise<CommandModule<Options>>;
}

export interface CommandModule<Options> {
  /** @returns the exit code. */
  run(options: Options, streams: Streams): Promise<number>;
}
