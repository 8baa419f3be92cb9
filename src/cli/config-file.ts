/**
 * --config FILE: settings of a node in a file. The file is TOML with the flags as keys, or the
 * original's ramster.conf (ramster-conf.ts). Its first line shows which of the two it is.
 *
 *     memory = "256MiB"        # the same text as after --memory
 *     lend = "1GiB"
 *     join = ["10.0.0.1:7946", "10.0.0.2:7946"]
 *     selfshrink = false       # on|off; insecure = true is the flag without a value
 *
 * Values become text again, each with its file and line. So they are read like values of the
 * command line (read-settings.ts), and an error names the file, the line and the key.
 */
import { ConfigError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { type CommandSpec, type FlagSpec, flagsOf } from "./flag-spec.ts";
import type { GivenText, GivenTexts } from "./given.ts";
import { isRamsterConf, type OwnName, readRamsterConf } from "./ramster-conf.ts";
import { type FileKey, formatLine } from "./units.ts";

/**
 * The flags of `command` that the text of a file sets. `file` is its name in errors. Throws
 * ConfigError BAD_CONFIG with one line that names file, line and key.
 */
export function readConfigText(
  command: CommandSpec,
  file: string,
  text: string,
  own: OwnName,
): GivenTexts {
  if (isRamsterConf(text)) return readRamsterConf(file, text, own);
  const texts = new Map<string, readonly GivenText[]>();
  for (const [key, value] of Object.entries(parseToml(file, text))) {
    const source = { file, line: lineOf(text, key), key };
    const flag = flagOf(command, source);
    const isList = Array.isArray(value);
    if (isList && flag.list !== true) throw wrong(source, "it takes one value, not a list");
    // A text may be a list with commas, as on the command line. An element of an array is one
    // value.
    const given = (isList ? value : [value])
      .flatMap((it) => textsOf(flag, it, source))
      .map((it) => ({ ...it, isMember: isList }));
    if (given.length > 0) texts.set(flag.name, given);
  }
  return texts;
}

/** Flags that make no sense in a file. */
const NOT_IN_FILES: readonly string[] = ["config"];

function flagOf(command: CommandSpec, source: FileKey): FlagSpec {
  const flags = flagsOf(command).filter((flag) => !NOT_IN_FILES.includes(flag.name));
  const flag = flags.find((it) => it.name === source.key);
  if (flag !== undefined) return flag;
  const meant = nearest(
    source.key,
    flags.map((it) => it.name),
  );
  const hint = meant === null ? "" : `, did you mean "${meant}"?`;
  throw wrong(source, `"${command.name}" has no such setting${hint}`);
}

function textsOf(flag: FlagSpec, value: unknown, source: FileKey): GivenText[] {
  if (flag.value === null) {
    if (typeof value !== "boolean") throw wrong(source, "it is true or false");
    return value ? [{ text: "", source }] : [];
  }
  if (typeof value === "boolean") return [{ text: value ? "on" : "off", source }];
  if (typeof value === "number") return [{ text: String(value), source }];
  if (typeof value === "string") return [{ text: value, source }];
  const list = flag.list === true ? "a text, or a list of them" : null;
  throw wrong(source, `it takes ${list ?? "a string, a number, true or false"}`);
}

function parseToml(file: string, text: string): Record<string, unknown> {
  const error = tomlError(text);
  if (error === null) return Bun.TOML.parse(text) as Record<string, unknown>;
  const line = formatLine({ file, line: lineOfError(text, error) });
  const hint = quotesHint(text.split("\n")[lineOfError(text, error) - 1] ?? "");
  throw new ConfigError("BAD_CONFIG", `Cannot use --config ${line}: ${error}${hint}`);
}

/** How to write a value that lacks its quotes: `, put it in quotes: memory = "256MiB"`. */
function quotesHint(line: string): string {
  const [, key, value] = /^\s*([\w-]+)\s*=\s*([^\s"'[{#][^"'#]*?)\s*(?:#.*)?$/.exec(line) ?? [];
  return value === undefined ? "" : `, put it in quotes: ${key} = "${value}"`;
}

/** The error of the parser, or null. */
function tomlError(text: string): string | null {
  try {
    Bun.TOML.parse(text);
    return null;
  } catch (error) {
    const [detail = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    return detail.replace(/^TOML Parse error: /, "");
  }
}

/**
 * The parser does not report a line, but it reads no further than the line of the error. So a text
 * that ends with that line has the same error. A shorter text has another error, or none.
 */
function lineOfError(text: string, error: string): number {
  const lines = text.split(/(?<=\n)/);
  let [least, most] = [1, lines.length];
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (tomlError(lines.slice(0, middle).join("")) === error) most = middle;
    else least = middle + 1;
  }
  return least;
}

/** The line of the key, from 1. 0 when it cannot be found, as in a table. */
function lineOf(text: string, key: string): number {
  const lines = text.split("\n");
  return 1 + lines.findIndex((line) => line.match(/^\s*\[?"?([\w-]+)/)?.[1] === key);
}

function wrong(source: FileKey, detail: string): ConfigError {
  const what = `Cannot use ${JSON.stringify(source.key)} in ${formatLine(source)}`;
  return new ConfigError("BAD_CONFIG", `${what}: ${detail}`);
}
