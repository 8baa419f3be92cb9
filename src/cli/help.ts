/**
 * Help: the text for a person, made from the tables of the commands. It fits 80 columns, or a
 * narrower terminal, except for usage and examples.
 */
import { assert } from "../core/assert.ts";
import { type CommandSpec, type FlagSpec, flagsOf, type NameSpec } from "./flag-spec.ts";
import type { Paint } from "./paint.ts";
import { COLUMNS_MAX, wrapWords } from "./width.ts";

/** The column of explanations. A flag that is longer has its explanation on the line below. */
const EXPLAIN_AT = 28;
/** On a terminal with fewer columns than this, every explanation is on the line below. */
const SIDE_BY_SIDE_COLUMNS = 60;
const EXPLAIN_BELOW_AT = 6;

/** How the text is shown. */
interface Look {
  readonly paint: Paint;
  readonly columns: number;
}

const INTRODUCTION =
  "ramster pools the memory of a cluster of Linux machines: a page that a node has " +
  "no room for is compressed, moved to another node, and fetched back when needed.";

const UNITS = [
  "Sizes: 4096, 64KiB, 1.5GiB. Durations: 500ms, 2s, 1m.",
  "Lists: a,b or the flag more than once.",
] as const;

/** The help about one command, or about all commands. It ends with a line feed. */
export function helpText(
  about: string | null,
  commands: readonly CommandSpec[],
  paint: Paint,
  columns = COLUMNS_MAX,
): string {
  const look = { paint, columns };
  const lines =
    about === null ? overview(commands, look) : commandHelp(specOf(about, commands), look);
  return `${lines.join("\n")}\n`;
}

function specOf(name: string, commands: readonly CommandSpec[]): CommandSpec {
  const spec = commands.find((it) => it.name === name);
  assert(spec !== undefined);
  return spec;
}

function overview(commands: readonly CommandSpec[], look: Look): string[] {
  const { paint, columns } = look;
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    ...wrapWords(INTRODUCTION.split(" "), columns),
    "",
    paint.title("Usage"),
    "  ramster COMMAND [FLAGS]",
    "",
    paint.title("Commands"),
    ...commands.flatMap(({ name, summary }) => {
      const [first = "", ...rest] = wrapWords(summary.split(" "), columns - width - 4);
      const head = `  ${paint.flag(name)}${" ".repeat(width - name.length + 2)}`;
      return [head + first, ...rest.map((line) => " ".repeat(width + 4) + line)];
    }),
    "",
    "The flags of a command: ramster COMMAND --help",
    "The version: ramster --version, or -V",
    "",
    ...examples(["ramster stress --nodes 8"], paint),
  ];
}

function commandHelp(command: CommandSpec, look: Look): string[] {
  const { paint, columns } = look;
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
    ...wrapWords(command.summary.split(" "), columns),
    "",
    paint.title("Usage"),
    `  ramster ${command.name}${usage}${hasFlags ? " [FLAGS]" : ""}`,
    ...argumentLines(command, look),
    ...wordLines("Actions", command.actions, look),
    ...command.groups.flatMap((group) => [
      "",
      paint.title(group.title),
      ...group.flags.flatMap((flag) => flagLines(flag, look)),
    ]),
    ...wordLines("Names", command.names, look),
    ...(hasUnits ? ["", ...UNITS.flatMap((line) => wrapWords(line.split(" "), columns))] : []),
    ...(command.examples.length > 0 ? ["", ...examples(command.examples, paint)] : []),
  ];
}

function argumentLines({ arguments: words = [] }: CommandSpec, look: Look): string[] {
  if (words.length === 0) return [];
  const lines = words.flatMap(({ name, help }) => entryLines(name, help.split(" "), look));
  return ["", look.paint.title("Arguments"), ...lines];
}

function wordLines(title: string, words: readonly NameSpec[] = [], look: Look): string[] {
  if (words.length === 0) return [];
  const lines = words.flatMap(({ name, help }) => entryLines(name, help.split(" "), look));
  return ["", look.paint.title(title), ...lines];
}

function examples(lines: readonly string[], paint: Paint): string[] {
  return [paint.title("Examples"), ...lines.map((line) => `  ${line}`)];
}

function flagLines(flag: FlagSpec, look: Look): string[] {
  const value = flag.bare === undefined ? flag.value : `[${flag.value}]`;
  const written = value === null ? `--${flag.name}` : `--${flag.name} ${value}`;
  // A note is never broken into lines, unless it is longer than one.
  const room = look.columns - explainAt(look);
  const words = notes(flag).flatMap((note) => (note.length > room ? note.split(" ") : [note]));
  return entryLines(written, [...flag.help.split(" "), ...words], look);
}

function explainAt({ columns }: Look): number {
  return columns < SIDE_BY_SIDE_COLUMNS ? EXPLAIN_BELOW_AT : EXPLAIN_AT;
}

/** A word and its explanation, which begins below the word when that is long. */
function entryLines(written: string, explanation: readonly string[], look: Look): string[] {
  const { paint, columns } = look;
  const at = explainAt(look);
  const [first = "", ...rest] = wrapWords(explanation, columns - at);
  const indent = " ".repeat(at);
  const painted = `  ${paint.flag(written)}`;
  const room = EXPLAIN_AT - 2 - written.length;
  const below = rest.map((line) => indent + line);
  if (room < 2 || at < EXPLAIN_AT) return [painted, indent + first, ...below];
  return [painted + " ".repeat(room) + first, ...below];
}

/** What follows the explanation. */
function notes(flag: FlagSpec): string[] {
  const variable = flag.variable === undefined ? "" : `, or ${flag.variable}`;
  if (flag.required === true) return [`(required${variable})`];
  if (flag.neededBy !== undefined) return [`(${flag.neededBy}${variable})`];
  const text = flag.defaultNote ?? flag.default;
  return text === undefined ? [] : [`(default: ${text})`];
}
