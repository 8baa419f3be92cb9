/**
 * Units: the text of a value in a flag or a report, and the number behind it.
 *
 *     sizes       4096   64KiB   1.5GiB        bytes, in powers of 1024 only
 *     durations   500ms   2s   1.5m   1h       milliseconds; the unit is never left out
 *     ratios      60:30:10                     parts, of which at least one is not zero
 *     counts      8                            whole numbers
 *
 * Every parser throws ConfigError BAD_CONFIG with one line that quotes the flag and the value.
 */
import { ConfigError, quoted } from "../core/errors.ts";

/** Where a value stands that is not on the command line. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** What the value is called there. */
  readonly key: string;
}

/** A value as it was given: the flag without its dashes, and the text. */
export interface Given {
  readonly flag: string;
  readonly text: string;
  readonly place?: Place | undefined;
}

/** Both ends belong to it. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

const ANY: Bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** Largest first: a value is written in the largest unit that it reaches. */
const SIZE_UNITS = [
  { name: "TiB", bytes: 2 ** 40 },
  { name: "GiB", bytes: 2 ** 30 },
  { name: "MiB", bytes: 2 ** 20 },
  { name: "KiB", bytes: 2 ** 10 },
  { name: "B", bytes: 1 },
] as const;

const DURATION_UNITS = [
  { name: "h", ms: 3_600_000 },
  { name: "m", ms: 60_000 },
  { name: "s", ms: 1000 },
  { name: "ms", ms: 1 },
] as const;

const NUMBER = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/;

/**
 * The error for a value that cannot be used: `Cannot use --memory "64M": write "64MiB"`, or, from a
 * file, `Cannot use memory "64M" in "node.toml", line 3: write "64MiB"`.
 */
export function badValue(given: Given, detail: string): ConfigError {
  const text = quoted(given.text);
  const { place } = given;
  const what =
    place === undefined ? `--${given.flag} ${text}` : `${place.key} ${text} in ${placeText(place)}`;
  return new ConfigError("BAD_CONFIG", `Cannot use ${what}: ${detail}`.replaceAll("\n", " "));
}

/** On one line, whatever is quoted in it. */
export function refuse(message: string): ConfigError {
  return new ConfigError("BAD_CONFIG", message.replaceAll("\n", " "));
}

/** `Cannot use address "x": `, `Cannot use size "x" in "f", line 1: `. */
const REFUSED = /^Cannot use [^"]*"(?:[^"\\]|\\.)*"(?: in "[^"]*", line \d+)?: /;

/** What `parse` refuses of it, or of a part of it, said once more with flag and text. */
export function said<T>(given: Given, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw badValue(given, error.message.replace(REFUSED, ""));
  }
}

/** `"node.toml", line 3`. */
export function placeText({ file, line }: { file: string; line: number }): string {
  return `${JSON.stringify(file)}, line ${line}`;
}

/** Bytes, a part of one cut off. Units in any case; a number alone counts bytes. */
export function parseSize(given: Given, bounds: Bounds = ANY): number {
  const [, digits, name = ""] = NUMBER.exec(given.text) ?? [];
  if (digits === undefined) throw badValue(given, 'write a size, such as "64MiB" or "4096"');
  const unit = SIZE_UNITS.find((it) => it.name.toLowerCase() === (name || "B").toLowerCase());
  if (unit === undefined) throw badValue(given, unknownSizeUnit(digits, name));
  const bytes = multiply(digits, unit.bytes);
  if (unit.bytes === 1 && bytes % 1 > 0) throw badValue(given, "a byte has no parts");
  return bounded(given, Math.floor(bytes), { bounds, format: formatSize });
}

function unknownSizeUnit(digits: string, name: string): string {
  const meant = SIZE_UNITS.find((it) => it.name[0]?.toLowerCase() === name[0]?.toLowerCase());
  if (meant !== undefined) return `there is no unit "${name}", write "${digits}${meant.name}"`;
  return `there is no unit "${name}", take one of B, KiB, MiB, GiB, TiB`;
}

/** Milliseconds. */
export function parseDuration(given: Given, bounds: Bounds = ANY): number {
  const [, digits, name = ""] = NUMBER.exec(given.text) ?? [];
  if (digits === undefined) throw badValue(given, 'write a duration, such as "500ms" or "2s"');
  const isTooShort = Number(digits) === 0 && bounds.min > 0;
  if (name === "" && !isTooShort)
    throw badValue(given, `the unit is missing, write "${digits}ms" or "${digits}s"`);
  const unit = DURATION_UNITS.find((it) => it.name === (name || "ms").toLowerCase());
  if (unit === undefined) {
    throw badValue(given, `there is no unit "${name}", take one of ms, s, m, h`);
  }
  const ms = multiply(digits, unit.ms);
  if (ms % 1 > 0) throw badValue(given, "it is not a whole number of milliseconds");
  return bounded(given, ms, { bounds, format: formatDuration });
}

/** A whole number. */
export function parseCount(given: Given, bounds: Bounds = ANY): number {
  if (!/^-?\d+$/.test(given.text)) throw badValue(given, "write a whole number");
  return bounded(given, Number(given.text), { bounds, format: String });
}

/** Of a hundred: `80`, or `80%`. */
export function parsePercent(given: Given, bounds: Bounds = ANY): number {
  const number = { ...given, text: given.text.replace(/%$/, "") };
  return said(given, () => parseCount(number, bounds));
}

/** `parts` whole numbers with colons between them, not all zero. */
export function parseRatio(given: Given, parts: readonly string[]): readonly number[] {
  const texts = given.text.split(":");
  const wanted = `write ${parts.length} whole numbers as "${parts.join(":")}"`;
  if (texts.length !== parts.length) throw badValue(given, wanted);
  if (!texts.every((text) => /^\d{1,6}$/.test(text))) throw badValue(given, wanted);
  const numbers = texts.map(Number);
  if (numbers.every((number) => number === 0)) throw badValue(given, "all parts are zero");
  return numbers;
}

/** One of a few words. */
export function parseChoice<T extends string>(given: Given, choices: readonly T[]): T {
  const choice = choices.find((it) => it === given.text);
  if (choice === undefined) throw badValue(given, `take one of ${choices.join(", ")}`);
  return choice;
}

/** `digits` may have a fraction. The point is moved first, so that 1.1 times 1000 is 1100. */
function multiply(digits: string, factor: number): number {
  const [whole = "", fraction = ""] = digits.split(".");
  return (Number(whole + fraction) * factor) / 10 ** fraction.length;
}

function bounded(
  given: Given,
  value: number,
  range: { bounds: Bounds; format: (value: number) => string },
): number {
  const { bounds, format } = range;
  if (value < bounds.min) throw badValue(given, `it must be at least ${format(bounds.min)}`);
  if (value > bounds.max) throw badValue(given, `it must be at most ${format(bounds.max)}`);
  return value;
}

/** `"64MiB"`, `"1.5GiB"`, `"3.91KiB"`: rounded to two decimals where three are not exact. */
export function formatSize(bytes: number): string {
  const unit = SIZE_UNITS.find((it) => bytes >= it.bytes) ?? { name: "B", bytes: 1 };
  return `${decimal(bytes / unit.bytes)}${unit.name}`;
}

/** `"500ms"`, `"2s"`, `"1.5m"`: as formatSize. */
export function formatDuration(ms: number): string {
  const unit = DURATION_UNITS.find((it) => ms >= it.ms) ?? { name: "ms", ms: 1 };
  return `${decimal(ms / unit.ms)}${unit.name}`;
}

/** `"1,234,567"`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `"60:30:10"`. */
export function formatRatio(parts: readonly number[]): string {
  return parts.join(":");
}

function decimal(value: number): string {
  const exact = Number(value.toFixed(3));
  return String(exact === value ? exact : Number(value.toFixed(2)));
}
