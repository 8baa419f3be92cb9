/**
 * Paint: colours text that a person reads, and leaves text for programs plain.
 *
 * kleur decides once, for stdout. Here each stream is checked, since stderr may be a terminal while
 * stdout is a file. NO_COLOR (no-color.org) and TERM=dumb switch colour off. FORCE_COLOR switches
 * it on.
 */
import kleur from "kleur";

export interface Paint {
  title(text: string): string;
  flag(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  faint(text: string): string;
}

/** Leaves every text plain. */
export const PLAIN: Paint = {
  title: String,
  flag: String,
  good: String,
  bad: String,
  warn: String,
  faint: String,
};

const COLOURS: Paint = {
  title: (text) => kleur.bold(text),
  flag: (text) => kleur.cyan(text),
  good: (text) => kleur.green(text),
  bad: (text) => kleur.red(text),
  warn: (text) => kleur.yellow(text),
  faint: (text) => kleur.dim(text),
};

export interface Terminal {
  readonly isTTY?: boolean | undefined;
}

/** The paint for one stream in this environment. */
export function paintFor(
  stream: Terminal,
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  if (!wantsColour(stream, environment)) return PLAIN;
  kleur.enabled = true;
  return COLOURS;
}

function wantsColour(
  stream: Terminal,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = environment;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "") return FORCE_COLOR !== "0";
  return stream.isTTY === true && TERM !== "dumb";
}
