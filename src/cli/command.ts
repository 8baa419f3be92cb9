/** A command: its flags and help, how its flags are read, and the code that runs it. */
import type { CommandSpec } from "./flag-spec.ts";
import type { GivenFlags } from "./given.ts";
import type { Streams } from "./streams.ts";

/** What defaults need to know about the machine. */
export interface Machine {
  readonly hostName: string;
  /** The variables of the environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** @returns the text of a file. Throws the error of the operating system. */
  readText(path: string): string;
}

export interface Command<Options = unknown> extends CommandSpec {
  /** @returns the options that the flags mean. Throws ConfigError BAD_CONFIG in one line. */
  read(flags: GivenFlags, machine: Machine): Options;
  /**
   * Loads the module of the command. It is loaded only to run, since `version` needs no sockets.
   */
  load(): Promise<CommandModule<Options>>;
}

export interface CommandModule<Options> {
  /** `readAgain` reads the same command line again, and files that it names. @returns the exit code. */
  run(options: Options, streams: Streams, readAgain: () => Options): Promise<number>;
}
