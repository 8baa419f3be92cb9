/**
 * Help: the text for a person, made from the tables of the commands. It fits 80 columns, except for
 * examples.
 */
import { assert } from "../core/assert.ts";
import { type CommandSpec, type FlagSpec, flagsOf } from "./flag-spec.ts";
import type { Paint } from "./paint.ts";

const COLUMNS = 80;
/** The column of explanations. A flag that is longer has its explanation on the line below. */
const EXPLAIN_AT = 28;

const INTRODUCTION = [
  "ramster pools the memory of a cluster of Linux machines: a page that a node has",
  "no room for is compressed, moved to another node, and fetched back when needed.",
] as const;

const UNITS = [
  "Sizes: 4096, 64KiB, 1.5GiB. Durations: 500ms, 2s, 1m.",
  "Lists: a,b or the flag more than once.",
] as const;

/** The help about one command, or about all commands. It ends with a line feed. */
export function helpText(
  about: string | null,
  commands: readonly CommandSpec[],
  paint: Paint,
): string {
  const lines =
    about === null ? overview(commands, paint) : commandHelp(specOf(about, commands), paint);
  return `${lines.join("\n")}\n`;
}

function specOf(name: string, commands: readonly CommandSpec[]): CommandSpec {
  const spec = commands.find((it) => it.name === name);
  assert(spec !== undefined);
  return spec;
}

function overview(commands: readonly CommandSpec[], paint: Paint): string[] {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    ...INTRODUCTION,
    "",
    paint.title("Usage"),
    "  ramster COMMAND [FLAGS]",
    "",
    paint.title("Commands"),
    ...commands.map(
      ({ name, summary }) =>
        `  ${paint.flag(name)}${" ".repeat(width - name.length + 2)}${summary}`,
    ),
    "",
    "The flags of a command: ramster COMMAND --help",
    "",
    ...examples(["ramster stress --nodes 8"], paint),
  ];
}

function commandHelp(command: CommandSpec, paint: Paint): string[] {
  const required = flagsOf(command).filter((flag) => flag.required === true);
  const words = (command.arguments ?? []).map((it) =>
    it.required ? ` ${it.name}` : ` [${it.name}]`,
  );
  const usage = [...words, ...required.map((flag) => ` --${flag.name} ${flag.value ?? ""}`)].join(
    "",
  );
  const hasFlags = command.groups.length > 0;
  const hasUnits = flagsOf(command).some((flag) => flag.list === true);
  return [
    command.summary,
    "",
    paint.title("Usage"),
    `  ramster ${command.name}${usage}${hasFlags ? " [FLAGS]" : ""}`,
    ...argumentLines(command, paint),
    ...command.groups.flatMap((group) => [
      "",
      paint.title(group.title),
      ...group.flags.flatMap((flag) => flagLines(flag, paint)),
    ]),
    ...nameLines(command, paint),
    ...(hasUnits ? ["", ...UNITS] : []),
    ...(command.examples.length > 0 ? ["", ...examples(command.examples, paint)] : []),
  ];
}

function argumentLines({ arguments: words = [] }: CommandSpec, paint: Paint): string[] {
  if (words.length === 0) return [];
  const lines = words.flatMap(({ name, help }) => entryLines(name, help.split(" "), paint));
  return ["", paint.title("Arguments"), ...lines];
}

function nameLines({ names = [] }: CommandSpec, paint: Paint): string[] {
  if (names.length === 0) return [];
  const lines = names.flatMap(({ name, help }) => entryLines(name, help.split(" "), paint));
  return ["", paint.title("Names"), ...lines];
}

function examples(lines: readonly string[], paint: Paint): string[] {
  return [paint.title("Examples"), ...lines.map((line) => `  ${line}`)];
}

function flagLines(flag: FlagSpec, paint: Paint): string[] {
  const value = flag.bare === undefined ? flag.value : `[${flag.value}]`;
  const written = value === null ? `--${flag.name}` : `--${flag.name} ${value}`;
  return entryLines(written, [...flag.help.split(" "), ...notes(flag)], paint);
}

/** A word and its explanation, which begins below the word when that is long. */
function entryLines(written: string, explanation: readonly string[], paint: Paint): string[] {
  const [first = "", ...rest] = wrap(explanation);
  const indent = " ".repeat(EXPLAIN_AT);
  const painted = `  ${paint.flag(written)}`;
  const room = EXPLAIN_AT - 2 - written.length;
  const below = rest.map((line) => indent + line);
  if (room < 2) return [painted, indent + first, ...below];
  return [painted + " ".repeat(room) + first, ...below];
}

/** What follows the explanation. It is never broken into lines. */
function notes(flag: FlagSpec): string[] {
  if (flag.required === true) return ["(required)"];
  if (flag.neededBy !== undefined) return [`(${flag.neededBy})`];
  const text = flag.defaultNote ?? flag.default;
  return text === undefined ? [] : [`(default: ${text})`];
}

/**
 * Fills the column of explanations. A word that is longer than the column has a line of its own.
 */
function wrap(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= COLUMNS - EXPLAIN_AT) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}
