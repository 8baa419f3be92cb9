/**
 * Args: turns a command line into a checked invocation, before anything else happens.
 *
 * The first word names the command, which reads its own flags. given.ts turns text into flags.
 *
 * Not here: whether an address is free, a file exists or a peer answers. The command finds that
 * out.
 */
import { nearest } from "../core/nearest.ts";
import type { Command, Machine } from "./command.ts";
import { readFlags } from "./given.ts";
import { refuse } from "./units.ts";

/** A command with its checked options. */
export interface Invocation {
  readonly command: string;
  readonly options: unknown;
}

/** A request for help, about one command or about all. */
export interface HelpRequest {
  readonly command: "help";
  readonly about: string | null;
}

export function isHelpRequest(parsed: Invocation | HelpRequest): parsed is HelpRequest {
  return parsed.command === "help";
}

/**
 * Reads `argv`, the arguments after the program's name.
 *
 * @returns one of `commands` with all of its options, or a request for help.
 * Throws ConfigError BAD_CONFIG with one line that names the flag at fault.
 */
export function parseArgs(
  argv: readonly string[],
  machine: Machine,
  commands: readonly Command[],
): Invocation | HelpRequest {
  const [word, ...rest] = argv;
  if (word === undefined || word === "--help" || word === "-h") {
    return { command: "help", about: null };
  }
  if (word === "help") {
    const [topic] = rest;
    return { command: "help", about: topic === undefined ? null : commandOf(topic, commands).name };
  }
  if (word === "--version" || word === "-V" || word === "-v") {
    return { command: "version", options: { json: false } };
  }
  const command = commandOf(word, commands);
  const flags = readFlags(command, rest, commands, machine.environment);
  if (flags === null) return { command: "help", about: command.name };
  return { command: command.name, options: command.read(flags, machine) };
}

function namesOf(commands: readonly Command[]): string {
  return commands.map((command) => command.name).join(", ");
}

function commandOf(word: string, commands: readonly Command[]): Command {
  const command = commands.find((it) => it.name === word);
  if (command !== undefined) return command;
  const what = `Cannot run ${JSON.stringify(word)}: there is no such command`;
  const meant = nearest(
    word,
    commands.map(({ name }) => name),
  );
  if (meant !== null) throw refuse(`${what}, did you mean "${meant}"? ramster help lists all`);
  throw refuse(`${what}, take one of ${namesOf(commands)}`);
}
