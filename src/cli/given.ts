/**
 * Given: the flags of one command line as text, before their values mean anything.
 *
 * cac takes the line apart. Left to itself it turns "007" into 7, drops names such as
 * "constructor" and lets "--no-memory" pass for "--memory", so each token is looked at first: a
 * flag must be one of the command's, and a value gets a guard in front that keeps it text.
 *
 * Refused here: unknown flags and arguments, a missing value, a flag given twice. Every refusal is
 * a ConfigError BAD_CONFIG on one line that names the flag.
 */
import { cac } from "cac";
import { assert } from "../core/assert.ts";
import { ConfigError } from "../core/errors.ts";
import { COMMANDS, type CommandSpec, type FlagSpec, flagsOf } from "./flags.ts";
import { nearest } from "./nearest.ts";
import { badValue, type Given } from "./units.ts";

const GUARD = ":";
const HELP_FLAGS: readonly string[] = ["--help", "-h"];

export class GivenFlags {
  private readonly command: CommandSpec;
  private readonly texts: ReadonlyMap<string, readonly string[]>;

  constructor(command: CommandSpec, texts: ReadonlyMap<string, readonly string[]>) {
    this.command = command;
    this.texts = texts;
  }

  /** Whether the flag stands on the command line. */
  has(flag: string): boolean {
    return this.texts.has(this.spec(flag).name);
  }

  /** Its value, else its default. Throws ConfigError when it has neither. */
  value(flag: string): Given {
    const text = this.texts.get(flag)?.[0] ?? this.spec(flag).default;
    if (text === undefined) throw missing(this.command, this.spec(flag));
    return { flag, text };
  }

  /** Its value, or null when it is not given. */
  optional(flag: string): Given | null {
    const text = this.texts.get(this.spec(flag).name)?.[0];
    return text === undefined ? null : { flag, text };
  }

  /** The members of all its comma lists, in order. */
  list(flag: string): readonly Given[] {
    const texts = this.texts.get(this.spec(flag).name) ?? [];
    const members = texts.flatMap((text) => text.split(",").map((it) => ({ flag, text: it })));
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

/** `--client ADDR`: one member where there may be several. */
function example(spec: FlagSpec): string {
  return spec.value === null
    ? `--${spec.name}`
    : `--${spec.name} ${spec.value.replace(",...", "")}`;
}

/** The flags of `tokens`, or null when help is asked for. Throws ConfigError BAD_CONFIG. */
export function readFlags(command: CommandSpec, tokens: readonly string[]): GivenFlags | null {
  const guarded: string[] = [];
  for (const token of tokens) {
    if (HELP_FLAGS.includes(token)) return null;
    guarded.push(guard(command, token));
  }
  const cli = cac("ramster");
  for (const spec of COMMANDS) {
    const cacCommand = cli.command(spec.name, spec.summary);
    for (const flag of flagsOf(spec)) cacCommand.option(rawName(flag), flag.help);
  }
  cli.parse(["", "ramster", command.name, ...guarded], { run: false });
  const [argument] = cli.args;
  if (argument !== undefined) {
    const text = unguard(argument);
    const detail = text.startsWith("-")
      ? `flags begin with "--", see ramster ${command.name} --help`
      : `"${command.name}" takes flags only`;
    throw refuse(`Cannot use argument ${JSON.stringify(text)}: ${detail}`);
  }
  const texts = new Map<string, readonly string[]>();
  for (const flag of flagsOf(command)) {
    const parsed: unknown = cli.options[optionName(flag)];
    if (parsed !== undefined) texts.set(flag.name, textsOf(flag, parsed));
  }
  return new GivenFlags(command, texts);
}

/** `--memory <SIZE>`, as cac wants it. */
function rawName(flag: FlagSpec): string {
  return flag.value === null ? `--${flag.name}` : `--${flag.name} <value>`;
}

/** cac files `--high-mark` under `highMark`. */
function optionName(flag: FlagSpec): string {
  return flag.name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function guard(command: CommandSpec, token: string): string {
  if (!token.startsWith("--")) return GUARD + token;
  const equals = token.indexOf("=");
  const name = token.slice(2, equals < 0 ? undefined : equals);
  const spec = flagsOf(command).find((flag) => flag.name === name);
  if (spec === undefined) throw unknownFlag(command, name);
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
    throw refuse(`Cannot use --${flag.name} without a value: write ${example(flag)}`);
  });
  if (texts.length > 1 && flag.list !== true) {
    const quoted = texts.map((text) => JSON.stringify(text)).join(" and ");
    throw refuse(`Cannot use --${flag.name} twice: it is ${quoted}`);
  }
  return texts;
}

function unknownFlag(command: CommandSpec, name: string): ConfigError {
  const what = `Cannot use --${name}: "${command.name}" has no such flag`;
  const meant = nearest(
    name,
    flagsOf(command).map((flag) => flag.name),
  );
  if (meant !== null) return refuse(`${what}, did you mean --${meant}?`);
  const others = COMMANDS.filter((spec) => flagsOf(spec).some((flag) => flag.name === name));
  if (others.length === 0) return refuse(`${what}, see ramster ${command.name} --help`);
  return refuse(`${what}, it belongs to ${others.map((spec) => `"${spec.name}"`).join(" and ")}`);
}

function refuse(message: string): ConfigError {
  return new ConfigError("BAD_CONFIG", message.replaceAll("\n", " "));
}
