/**
 * Units: the text of a value, and the number behind it.
 *
 *     sizes       4096   64KiB   1.5GiB        bytes, in powers of 1024 only
 *     durations   500ms   2s   1.5m   1h       milliseconds; the unit is never left out
 *     percents    80   80%
 *     ratios      60:30:10                     parts, of which at least one is not zero
 *     counts      8                            whole numbers
 *
 * Every parser throws ConfigError BAD_CONFIG with only the reason, on one line. The caller adds
 * what the value is for: a flag (src/cli/units.ts) or a setting of a running node
 * (src/node/knobs.ts).
 */
import { ConfigError } from "./errors.ts";

/** Both ends belong to it. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

const ANY: Bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** Largest first: a value is written in the largest unit that it fills. */
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

/** The error for a value that cannot be used. */
export function refused(reason: string): ConfigError {
  return new ConfigError("BAD_CONFIG", reason);
}

/** Bytes; a fraction of a byte is cut off. The case of units does not count. No unit: bytes. */
export function parseSize(text: string, bounds: Bounds = ANY): number {
  const [, digits, name = ""] = NUMBER.exec(text) ?? [];
  if (digits === undefined) throw refused('write a size, such as "64MiB" or "4096"');
  const unit = SIZE_UNITS.find((it) => it.name.toLowerCase() === (name || "B").toLowerCase());
  if (unit === undefined) throw refused(unknownSizeUnit(digits, name));
  const bytes = multiply(digits, unit.bytes);
  if (unit.bytes === 1 && bytes % 1 > 0) throw refused("a byte has no parts");
  return bounded(Math.floor(bytes), bounds, formatSize);
}

function unknownSizeUnit(digits: string, name: string): string {
  const meant = SIZE_UNITS.find((it) => it.name[0]?.toLowerCase() === name[0]?.toLowerCase());
  if (meant !== undefined) return `there is no unit "${name}", write "${digits}${meant.name}"`;
  return `there is no unit "${name}", take one of B, KiB, MiB, GiB, TiB`;
}

/** Milliseconds. */
export function parseDuration(text: string, bounds: Bounds = ANY): number {
  const [, digits, name = ""] = NUMBER.exec(text) ?? [];
  if (digits === undefined) throw refused('write a duration, such as "500ms" or "2s"');
  const isTooShort = Number(digits) === 0 && bounds.min > 0;
  if (name === "" && !isTooShort) {
    throw refused(`the unit is missing, write "${digits}ms" or "${digits}s"`);
  }
  const unit = DURATION_UNITS.find((it) => it.name === (name || "ms").toLowerCase());
  if (unit === undefined) throw refused(`there is no unit "${name}", take one of ms, s, m, h`);
  const ms = multiply(digits, unit.ms);
  if (ms % 1 > 0) throw refused("it is not a whole number of milliseconds");
  return bounded(ms, bounds, formatDuration);
}

/** A whole number. */
export function parseCount(text: string, bounds: Bounds = ANY): number {
  if (!/^-?\d+$/.test(text)) throw refused("write a whole number");
  return bounded(Number(text), bounds, String);
}

/** Percent: `80`, or `80%`. */
export function parsePercent(text: string, bounds: Bounds = ANY): number {
  return parseCount(text.replace(/%$/, ""), bounds);
}

/** `parts` whole numbers with colons between them, not all zero. */
export function parseRatio(text: string, parts: readonly string[]): readonly number[] {
  const texts = text.split(":");
  const wanted = `write ${parts.length} whole numbers as "${parts.join(":")}"`;
  if (texts.length !== parts.length) throw refused(wanted);
  if (!texts.every((it) => /^\d{1,6}$/.test(it))) throw refused(wanted);
  const numbers = texts.map(Number);
  if (numbers.every((number) => number === 0)) throw refused("all parts are zero");
  return numbers;
}

/** One of a few words. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((it) => it === text);
  if (choice === undefined) throw refused(`take one of ${choices.join(", ")}`);
  return choice;
}

/** `digits` may have a fraction. The point is moved first, so 1.1 times 1000 is exactly 1100. */
function multiply(digits: string, factor: number): number {
  const [whole = "", fraction = ""] = digits.split(".");
  return (Number(whole + fraction) * factor) / 10 ** fraction.length;
}

function bounded(value: number, { min, max }: Bounds, format: (value: number) => string): number {
  if (value < min) throw refused(`it must be at least ${format(min)}`);
  if (value > max) throw refused(`it must be at most ${format(max)}`);
  return value;
}

/** `"64MiB"`, `"1.5GiB"`, `"3.91KiB"`: rounded to two decimals unless three are exact. */
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

function decimal(value: number): string {
  const exact = Number(value.toFixed(3));
  return String(exact === value ? exact : Number(value.toFixed(2)));
}
