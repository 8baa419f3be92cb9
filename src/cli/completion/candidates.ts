/**
 * What may stand at the cursor of a command line, from the tables of the commands: so flags,
 * settings and their values complete as soon as they are in a table.
 *
 *     ramster <TAB>               commands           ramster set <TAB>           names of settings
 *     ramster node --<TAB>        flags              ramster set selfshrink <TAB>   its values
 *     ramster node --network <TAB>   values          ramster node --key <TAB>    files
 */
import { type ArgumentSpec, type CommandSpec, type FlagSpec, flagsOf } from "../flag-spec.ts";

/** A word that may be written, and what it means. */
export interface Candidate {
  readonly word: string;
  readonly help: string;
}

/** "files", "folders": the shell knows these itself. */
export type Candidates = readonly Candidate[] | "files" | "folders";

const OWN_WORDS: readonly Candidate[] = [
  { word: "help", help: "Shows the help of all commands, or of one" },
  { word: "--help", help: "Shows the help" },
  { word: "--version", help: "Shows the version" },
];
const HELP: Candidate = { word: "--help", help: "show the help of this command" };

/** `words` follow the name of the program. The last one is at the cursor, and may be empty. */
export function candidatesFor(
  words: readonly string[],
  commands: readonly CommandSpec[],
): Candidates {
  const [name = "", ...rest] = joinAssignments(words);
  const names = commands.map(({ name: word, summary }) => ({ word, help: summary }));
  if (rest.length === 0) return startingWith(name, [...names, ...OWN_WORDS]);
  const current = rest.at(-1) ?? "";
  if (name === "help") return startingWith(current, rest.length === 1 ? names : []);
  const command = commands.find((it) => it.name === name);
  if (command === undefined) return [];
  const [, flagName, value] = /^--([\w-]+)=(.*)$/.exec(current) ?? [];
  if (flagName !== undefined && value !== undefined) {
    const flag = flagsOf(command).find((it) => it.name === flagName);
    const found = flag === undefined ? [] : valuesOf(flag.value, value);
    return typeof found === "string" ? found : found.map((it) => assigned(flagName, it));
  }
  const before = valueFlag(rest.at(-2), command);
  if (before !== null) return valuesOf(before.value, current);
  const given = rest.slice(0, -1);
  if (current.startsWith("-")) return startingWith(current, flagWords(command, given));
  const found = argumentWords(command, given, current);
  return found ?? startingWith(current, flagWords(command, given));
}

/** bash makes three words of `--flag=value`. */
function joinAssignments(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [i, word] of words.entries()) {
    const isSign = word === "=" && /^--[\w-]+$/.test(joined.at(-1) ?? "");
    const isValue = words[i - 1] === "=" && /^--[\w-]+=$/.test(joined.at(-1) ?? "");
    if (isSign || isValue) joined.push(`${joined.pop()}${word}`);
    else joined.push(word);
  }
  return joined;
}

function assigned(flagName: string, { word, help }: Candidate): Candidate {
  return { word: `--${flagName}=${word}`, help };
}

/** The flag that `word` is, if a value has to follow it. */
function valueFlag(word: string | undefined, command: CommandSpec): FlagSpec | null {
  const flag = flagsOf(command).find((it) => `--${it.name}` === word);
  return flag === undefined || flag.value === null || flag.bare !== undefined ? null : flag;
}

/** The flags that are not given yet, and those that may be repeated. */
function flagWords(command: CommandSpec, given: readonly string[]): Candidate[] {
  const has = (name: string): boolean => {
    return given.some((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  };
  const flags = flagsOf(command).filter((flag) => flag.list === true || !has(flag.name));
  const words = flags.flatMap(({ name, help, bare }) => [
    { word: `--${name}`, help },
    ...(bare === undefined ? [] : [{ word: `--no-${name}`, help: `no ${name}` }]),
  ]);
  return [...words, HELP];
}

/** What the next argument may be. Null: no argument is left. */
function argumentWords(
  command: CommandSpec,
  given: readonly string[],
  current: string,
): Candidates | null {
  const words = given.filter((word, i) => {
    return !word.startsWith("-") && valueFlag(given[i - 1], command) === null;
  });
  const argument = command.arguments?.[words.length];
  if (argument === undefined) return null;
  const [name] = words;
  return startingWith(current, wordsOf(argument, command, name));
}

function wordsOf(argument: ArgumentSpec, command: CommandSpec, name = ""): Candidate[] {
  if (argument.words !== undefined) return argument.words.map((word) => ({ word, help: "" }));
  const named = command.names?.find((it) => it.name === name);
  if (named !== undefined) return choicesOf(named.value ?? null);
  const specs = argument.name === "ACTION" ? command.actions : command.names;
  return (specs ?? []).map(({ name: word, help }) => ({ word, help }));
}

/** What may stand for a placeholder such as `lan|local|wan`, `auto|N` or `FILE`. */
function valuesOf(placeholder: string | null, current: string): Candidates {
  if (/\bDIR\b/.test(placeholder ?? "") && !/\bFILE\b/.test(placeholder ?? "")) return "folders";
  if (/\bFILE\b/.test(placeholder ?? "")) return "files";
  return startingWith(current, choicesOf(placeholder));
}

function choicesOf(placeholder: string | null): Candidate[] {
  const parts = (placeholder ?? "").split("|").filter((part) => /^[a-z][a-z0-9-]*$/.test(part));
  return parts.map((word) => ({ word, help: "" }));
}

function startingWith(start: string, candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(start));
}
