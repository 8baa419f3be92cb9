/**
 * --config FILE: settings of a node in a file, TOML with the names of the flags, or the original's
 * ramster.conf (ramster-conf.ts); each is known by its form.
 *
 *     memory = "256MiB"        # the same text as after --memory
 *     lend = "1GiB"
 *     join = ["10.0.0.1:7946", "10.0.0.2:7946"]
 *     selfshrink = false       # on|off; insecure = true is the flag without a value
 *
 * What is read is text again, with the place where it stands, so that each value gets its meaning
 * where those of the command line do (args.ts), and what is wrong with it is said of the file.
 */
import { ConfigError } from "../core/errors.ts";
import { type CommandSpec, type FlagSpec, flagsOf } from "./flag-spec.ts";
import type { GivenText, GivenTexts } from "./given.ts";
import { nearest } from "./nearest.ts";
import { isRamsterConf, type OwnName, readRamsterConf } from "./ramster-conf.ts";
import { placeText } from "./units.ts";

/**
 * The flags of `command` that the text of a file sets. `file` is what it is called in errors.
 * Throws ConfigError BAD_CONFIG with one line that names file, line and key.
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
    const place = { file, line: lineOf(text, key), key };
    const flag = flagOf(command, place);
    const values = Array.isArray(value) ? value : [value];
    if (Array.isArray(value) && flag.list !== true)
      throw wrong(place, "it takes one value, no list");
    // A text may be a list with commas, as on the command line; a member of a list is itself.
    const isMember = Array.isArray(value);
    const given = values
      .flatMap((it) => textsOf(flag, it, place))
      .map((it) => ({ ...it, isMember }));
    if (given.length > 0) texts.set(flag.name, given);
  }
  return texts;
}

interface KeyPlace {
  readonly file: string;
  readonly line: number;
  readonly key: string;
}

/** Flags that make no sense in a file. */
const NOT_IN_FILES: readonly string[] = ["config"];

function flagOf(command: CommandSpec, place: KeyPlace): FlagSpec {
  const flags = flagsOf(command).filter((flag) => !NOT_IN_FILES.includes(flag.name));
  const flag = flags.find((it) => it.name === place.key);
  if (flag !== undefined) return flag;
  const meant = nearest(
    place.key,
    flags.map((it) => it.name),
  );
  const hint = meant === null ? "" : `, did you mean "${meant}"?`;
  throw wrong(place, `"${command.name}" has no such setting${hint}`);
}

function textsOf(flag: FlagSpec, value: unknown, place: KeyPlace): GivenText[] {
  if (flag.value === null) {
    if (typeof value !== "boolean") throw wrong(place, "it is true or false");
    return value ? [{ text: "", place }] : [];
  }
  if (typeof value === "boolean") return [{ text: value ? "on" : "off", place }];
  if (typeof value === "number") return [{ text: String(value), place }];
  if (typeof value === "string") return [{ text: value, place }];
  const list = flag.list === true ? "a text, or a list of them" : null;
  throw wrong(place, `it takes ${list ?? "a text, a number, or true or false"}`);
}

function parseToml(file: string, text: string): Record<string, unknown> {
  const error = tomlError(text);
  if (error === null) return Bun.TOML.parse(text) as Record<string, unknown>;
  const place = placeText({ file, line: lineOfError(text, error) });
  throw new ConfigError("BAD_CONFIG", `Cannot use --config ${place}: ${error}`);
}

/** What is wrong with it, or null. */
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
 * The parser does not say where it stopped: it reads no further than the line of the error, and so
 * says the same of a text that ends there. With fewer lines it says something else, or nothing.
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

/** Where the key stands, from 1; 0 when it cannot be found, as in a table. */
function lineOf(text: string, key: string): number {
  const lines = text.split("\n");
  return 1 + lines.findIndex((line) => line.match(/^\s*\[?"?([\w-]+)/)?.[1] === key);
}

function wrong(place: KeyPlace, detail: string): ConfigError {
  const what = `Cannot use ${JSON.stringify(place.key)} in ${placeText(place)}`;
  return new ConfigError("BAD_CONFIG", `${what}: ${detail}`);
}
