/**
 * Values as a person gives them: the text of a flag, or of a key in a file. An error names the
 * flag, or the file, the line and the key.
 *
 * src/core/units.ts parses the units.
 */
import { ConfigError, quoted, reasonOf } from "../core/errors.ts";
import * as units from "../core/units.ts";
import * as addresses from "../net/address.ts";

/** Where a value is that is not on the command line. */
export interface FileKey {
  readonly file: string;
  /** The line, from 1. */
  readonly line: number;
  /** The key of the value. */
  readonly key: string;
}

/** A variable of the environment. */
export interface Variable {
  readonly variable: string;
}

/** Where a value comes from. */
export type Source = FileKey | Variable;

/** A given value: the flag without its dashes, and the text. */
export interface Given {
  readonly flag: string;
  readonly text: string;
  /** Absent on the command line. */
  readonly source?: Source | undefined;
}

/**
 * The error for a value that cannot be used: `Cannot use --memory "64M": write "64MiB"`, or, from a
 * file, `Cannot use memory "64M" in "node.toml", line 3: write "64MiB"`.
 */
export function badValue(given: Given, reason: string): ConfigError {
  const what = `${whereOf(given)}: ${reason}`.replaceAll("\n", " ");
  return new ConfigError("BAD_CONFIG", `Cannot use ${what}`);
}

function whereOf({ flag, text, source }: Given): string {
  if (source === undefined) return `--${flag} ${quoted(text)}`;
  if ("variable" in source) return `${source.variable}=${quoted(text)} of the environment`;
  return `${source.key} ${quoted(text)} in ${formatLine(source)}`;
}

/** An error on one line, even if it quotes text with line ends. */
export function refuse(message: string): ConfigError {
  return new ConfigError("BAD_CONFIG", message.replaceAll("\n", " "));
}

/** The value of `given`, read by `parse`. An error of `parse` becomes one that names `given`. */
export function parseGiven<T>(given: Given, parse: (text: string) => T): T {
  try {
    return parse(given.text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw badValue(given, reasonOf(error));
  }
}

/** `"node.toml", line 3`. */
export function formatLine({ file, line }: { file: string; line: number }): string {
  return `${JSON.stringify(file)}, line ${line}`;
}

/** Turns a parser of text into a parser of a given value. */
function forGiven<A extends unknown[], T>(parse: (text: string, ...rest: A) => T) {
  return (given: Given, ...rest: A): T => parseGiven(given, (text) => parse(text, ...rest));
}

export const parseSize = forGiven(units.parseSize);
export const parsePercent = forGiven(units.parsePercent);
export const parseDuration = forGiven(units.parseDuration);
export const parseCount = forGiven(units.parseCount);
export const parseRatio = forGiven(units.parseRatio);

export function parseChoice<T extends string>(given: Given, choices: readonly T[]): T {
  return parseGiven(given, (text) => units.parseChoice(text, choices));
}

export function parseAddress(given: Given): addresses.Address {
  return parseGiven(given, addresses.parseAddress);
}

/** @returns null when the path is not given. */
export function parsePath(given: Given | null): string | null {
  if (given === null) return null;
  if (given.text === "") throw badValue(given, "the path is empty");
  return given.text;
}
