/**
 * Given: the flags of one command line as text, before their values are read.
 *
 * cac splits the line. By itself it turns "007" into 7, drops names such as "constructor" and reads
 * "--no-memory" as "--memory". So each token is checked first. A flag must belong to the command,
 * and a value gets a guard in front that keeps it text.
 *
 * A command that takes arguments names them in its table. Arguments are text like the values. The
 * keys of a configuration file join the flags as text (config-file.ts), so a value means the same
 * in both.
 *
 * Unknown flags, too many or too few arguments, missing values and repeated flags are refused here.
 * Every refusal is a ConfigError BAD_CONFIG on one line that names the flag.
 */
import { cac } from "cac";
import { assert } from "../core/assert.ts";
import type { ConfigError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { type CommandSpec, type FlagSpec, flagsOf } from "./flag-spec.ts";
import { badValue, type Given, refuse, type Source } from "./units.ts";

const GUARD = ":";
const HELP_FLAGS: readonly string[] = ["--help", "-h"];

/** The text of one value, from a flag on the command line or a key in a file. */
export interface GivenText {
  readonly text: string;
  /** Absent on the command line. */
  readonly source?: Source;
  /** Whether it is one member of a list, so that its commas do not separate members. */
  readonly isMember?: boolean;
}

/** The texts of each flag, in order. A switch that is on has one text. */
export type GivenTexts = ReadonlyMap<string, readonly GivenText[]>;

export class GivenFlags {
  readonly command: CommandSpec;
  private readonly texts: GivenTexts;
  private readonly args: readonly string[];

  constructor(command: CommandSpec, texts: GivenTexts, args: readonly string[]) {
    this.command = command;
    this.texts = texts;
    this.args = args;
  }

  /** These flags, and those of `file` that are not on the command line. */
  withFile(file: GivenTexts): GivenFlags {
    return new GivenFlags(this.command, new Map([...file, ...this.texts]), this.args);
  }

  /** The argument of that name in the command's table, or null when it is not given. */
  argument(name: string): string | null {
    const specs = this.command.arguments ?? [];
    const index = specs.findIndex((it) => it.name === name);
    assert(index >= 0, `no argument "${name}" in the table of "${this.command.name}"`);
    return this.args[index] ?? null;
  }

  /** Whether the flag is given. */
  has(flag: string): boolean {
    return this.texts.has(this.spec(flag).name);
  }

  /** The value of the flag, else its default. Throws ConfigError when it has neither. */
  value(flag: string): Given {
    const given = this.optional(flag);
    if (given !== null) return given;
    const text = this.spec(flag).default;
    if (text === undefined) throw missing(this.command, this.spec(flag));
    return { flag, text };
  }

  /** The value of the flag, or null when it is not given. */
  optional(flag: string): Given | null {
    const given = this.texts.get(this.spec(flag).name)?.[0];
    return given === undefined ? null : { flag, text: given.text, source: given.source };
  }

  /** The members of all comma lists of the flag, in order. */
  list(flag: string): readonly Given[] {
    const texts = this.texts.get(this.spec(flag).name) ?? [];
    const members = texts.flatMap(({ text, source, isMember }) =>
      (isMember === true ? [text] : text.split(",")).map((it) => ({ flag, text: it, source })),
    );
    const empty = members.find((member) => member.text === "");
    if (empty !== undefined) throw badValue(empty, "a member of the list is empty");
    return members;
  }

  private spec(flag: string): FlagSpec {
    const spec = flagsOf(this.command).find((it) => it.name === flag);
    assert(spec !== undefined, `no flag "${flag}" in the table of "${this.command.name}"`);
    return spec;
  }
}

function missing(command: CommandSpec, spec: FlagSpec): ConfigError {
  const detail = `write ramster ${command.name} ${example(spec)}`;
  return refuse(`Cannot run "${command.name}" without --${spec.name}: ${detail}`);
}

/** `--client ADDR`: one member of a list that may have several. */
function example(spec: FlagSpec): string {
  return spec.value === null
    ? `--${spec.name}`
    : `--${spec.name} ${spec.value.replace(",...", "")}`;
}

/**
 * The flags of `tokens`, else of `environment`, or null when help is requested. Throws ConfigError
 * BAD_CONFIG. If a flag belongs to another command, the error names that one of `commands`.
 */
export function readFlags(
  command: CommandSpec,
  tokens: readonly string[],
  commands: readonly CommandSpec[],
  environment: Readonly<Record<string, string | undefined>>,
): GivenFlags | null {
  const guarded: string[] = [];
  for (const token of tokens) {
    if (HELP_FLAGS.includes(token)) return null;
    guarded.push(guard(command, token, commands));
  }
  const cli = cac("ramster");
  const cacCommand = cli.command(command.name, command.summary);
  for (const flag of flagsOf(command)) cacCommand.option(rawName(flag), flag.help);
  cli.parse(["", "ramster", command.name, ...guarded], { run: false });
  const args = cli.args.map(unguard);
  checkArguments(command, args);
  const texts = new Map<string, readonly GivenText[]>();
  for (const flag of flagsOf(command)) {
    const parsed: unknown = cli.options[optionName(flag)];
    if (parsed === undefined) {
      const { variable } = flag;
      const text = variable === undefined ? undefined : environment[variable];
      // An empty variable counts as none, as for most programs.
      if (variable !== undefined && text) texts.set(flag.name, [{ text, source: { variable } }]);
      continue;
    }
    texts.set(
      flag.name,
      textsOf(flag, parsed).map((text) => ({ text })),
    );
  }
  return new GivenFlags(command, texts, args);
}

function checkArguments(command: CommandSpec, args: readonly string[]): void {
  const specs = command.arguments ?? [];
  for (const [index, text] of args.entries()) {
    const quoted = JSON.stringify(text);
    if (/^-[^\d]/.test(text)) {
      const detail = `flags begin with "--", see ramster ${command.name} --help`;
      throw refuse(`Cannot use argument ${quoted}: ${detail}`);
    }
    if (index < specs.length) continue;
    const names = specs.map((spec) => spec.name).join(" ");
    const detail = names === "" ? "takes flags only" : `takes ${names} and no more`;
    throw refuse(`Cannot use argument ${quoted}: "${command.name}" ${detail}`);
  }
  const absent = specs.find((spec, index) => spec.required && index >= args.length);
  if (absent === undefined) return;
  const usage = specs.map((spec) => spec.name).join(" ");
  const what = `Cannot run "${command.name}" without ${absent.name}`;
  throw refuse(`${what}: write ramster ${command.name} ${usage}`);
}

/** `--memory <SIZE>`, as cac wants it. */
function rawName(flag: FlagSpec): string {
  return flag.value === null ? `--${flag.name}` : `--${flag.name} <value>`;
}

/** cac stores `--high-mark` as `highMark`. */
function optionName(flag: FlagSpec): string {
  return flag.name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function guard(command: CommandSpec, token: string, commands: readonly CommandSpec[]): string {
  if (!token.startsWith("--")) return GUARD + token;
  const equals = token.indexOf("=");
  const name = token.slice(2, equals < 0 ? undefined : equals);
  const spec = flagsOf(command).find((flag) => flag.name === name);
  if (spec === undefined) {
    const off = flagsOf(command).find((flag) => `no-${flag.name}` === name);
    if (off?.bare !== undefined && equals < 0) return `--${off.name}=${GUARD}off`;
    throw unknownFlag(command, name, commands);
  }
  if (spec.value === null && equals >= 0) throw refuse(`Cannot use --${name} with a value`);
  return equals < 0 ? token : `--${name}=${GUARD}${token.slice(equals + 1)}`;
}

function unguard(text: string): string {
  return text.startsWith(GUARD) ? text.slice(GUARD.length) : text;
}

function textsOf(flag: FlagSpec, parsed: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (flag.value === null) {
    if (values.length > 1) throw refuse(`Cannot use --${flag.name} twice`);
    return [""];
  }
  const texts = values.map((value) => {
    if (typeof value === "string") return unguard(value);
    if (flag.bare !== undefined) return flag.bare;
    throw refuse(`Cannot use --${flag.name} without a value: write ${example(flag)}`);
  });
  if (texts.length > 1 && flag.list !== true) {
    const quoted = texts.map((text) => JSON.stringify(text)).join(" and ");
    throw refuse(`Cannot use --${flag.name} twice: it is ${quoted}`);
  }
  return texts;
}

function unknownFlag(
  command: CommandSpec,
  name: string,
  commands: readonly CommandSpec[],
): ConfigError {
  const what = `Cannot use --${name}: "${command.name}" has no such flag`;
  const meant = nearest(
    name,
    flagsOf(command).map((flag) => flag.name),
  );
  if (meant !== null) return refuse(`${what}, did you mean --${meant}?`);
  const others = commands.filter((spec) => flagsOf(spec).some((flag) => flag.name === name));
  if (others.length === 0) return refuse(`${what}, see ramster ${command.name} --help`);
  return refuse(`${what}, it belongs to ${others.map((spec) => `"${spec.name}"`).join(" and ")}`);
}
