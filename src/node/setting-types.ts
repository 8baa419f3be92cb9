/**
 * Setting types: how a value of a setting is written, read and shown.
 *
 * A value has two forms. Flags and files write it with its unit: `2s`, `64MiB`, `on`. The plain
 * form is a bare number, as in the control files of the original RAMster. `ramster get` and
 * `ramster set` use it under names that include the unit: `idle_timeout_ms 2000`, `quota_pages 7`,
 * `selfshrink 1`. Both forms are accepted everywhere.
 *
 * Every parser throws ConfigError BAD_CONFIG with only the reason.
 */
import { TUNING, type Tuning } from "../cluster/settings.ts";
import { MEMORY_BYTES_MIN, NBD_EXPORT_BYTES_MAX, PAGE_BYTES } from "../core/limits.ts";
import { type AreaLevel, parseLogLevel } from "../core/log.ts";
import { LOG_AREAS } from "../core/log-line.ts";
import { nearest } from "../core/nearest.ts";
import {
  type Bounds,
  formatDuration,
  formatSize,
  parseChoice,
  parseCount,
  parseDuration,
  parsePercent,
  parseSize,
  refused,
} from "../core/units.ts";
import type { ExportConfig } from "../exports/export.ts";
import {
  type Address,
  formatAddress,
  parseAddress,
  parseTcpAddress,
  type TcpAddress,
} from "../net/address.ts";
import type { Reserve } from "../ramster/foreign/lend-limit.ts";
import type { Replicas, Target } from "../ramster/holders/lenders.ts";
import { formatPeer, type PeerConfig, parsePeer } from "./peers.ts";
import { formatReserve, parseReserve } from "./reserve.ts";

/** In place of a folder: one that the node makes (src/memory/keep-folder.ts). */
export const KEEP_AUTO = "auto";

/** How a value is read and shown. */
export interface Form<T> {
  parse(text: string): T;
  format(value: T): string;
}

export interface SettingType<T> extends Form<T> {
  /** The placeholder for a value in the help. Null: the flag has no value, and means true. */
  readonly placeholder: string | null;
  /** The end of "it takes ...", with the bounds. Absent: the parser's error says it. */
  readonly takes?: string;
  /** The bounds of a number. */
  readonly bounds?: Bounds;
  /** Joins two lists, for a list setting whose `parse` reads one member. */
  join?(first: T, second: T): T;
  /** What the flag means without a value. `--no-FLAG` then means "off". */
  readonly bare?: string;
  /** The unit of the plain form, which ends the name of the knob. Absent: there is none. */
  readonly unit?: "ms" | "bytes" | "pages" | "percent";
  /** The plain form. Absent: it is the same. */
  readonly plain?: Form<T>;
}

const NUMBERS_ONLY = /^\d+$/;

export function count(bounds: Bounds, placeholder = "N"): SettingType<number> {
  const takes = `a number from ${bounds.min} to ${bounds.max}`;
  return { placeholder, takes, bounds, parse: (text) => parseCount(text, bounds), format: String };
}

export function percent(bounds: Bounds): SettingType<number> {
  const parse = (text: string): number => parsePercent(text, bounds);
  return { ...count(bounds, "PERCENT"), unit: "percent", parse };
}

export function duration(bounds: Bounds): SettingType<number> {
  const parse = (text: string): number => parseDuration(text, bounds);
  return {
    placeholder: "DURATION",
    takes: `milliseconds from ${bounds.min} to ${bounds.max}, or a duration such as "2s"`,
    bounds,
    unit: "ms",
    parse,
    format: formatDuration,
    plain: { parse: (text) => parse(NUMBERS_ONLY.test(text) ? `${text}ms` : text), format: String },
  };
}

export function size(bounds: Bounds, placeholder = "SIZE"): SettingType<number> {
  return {
    placeholder,
    takes: `a size from ${formatSize(bounds.min)} to ${formatSize(bounds.max)}`,
    bounds,
    unit: "bytes",
    parse: (text) => parseSize(text, bounds),
    format: (value) => (value === 0 ? "0" : formatSize(value)),
    plain: { parse: (text) => parseSize(text, bounds), format: String },
  };
}

/** A small number of bytes, which is shown without a unit. */
export function bytes(bounds: Bounds): SettingType<number> {
  const takes = `bytes from ${bounds.min} to ${bounds.max}`;
  return { ...size(bounds, "BYTES"), takes, format: String };
}

/** A size that `ramster set` counts in pages of 4 KiB. Null: no limit. */
export function pages(bounds: Bounds): SettingType<number | null> {
  const { min, max } = { min: bounds.min / PAGE_BYTES, max: bounds.max / PAGE_BYTES };
  const parse = (text: string): number | null => {
    return text === "none" ? null : parseSize(text, bounds);
  };
  return {
    placeholder: "SIZE",
    takes: `a number of pages from ${min} to ${max}, a size such as "1GiB", or "none"`,
    bounds,
    unit: "pages",
    parse,
    format: (value) => (value === null ? "none" : formatSize(value)),
    plain: {
      parse: (text) => (NUMBERS_ONLY.test(text) ? parse(String(pagesToBytes(text))) : parse(text)),
      format: (value) => (value === null ? "none" : String(Math.floor(value / PAGE_BYTES))),
    },
  };
}

function pagesToBytes(text: string): number {
  return Math.min(Number(text) * PAGE_BYTES, Number.MAX_SAFE_INTEGER);
}

/** The size of what a node lends: 0, or at least enough to be useful. */
export function lentSize(bounds: Bounds): SettingType<number> {
  const type = size(bounds);
  return {
    ...type,
    parse: (text) => {
      const value = type.parse(text);
      if (value === 0 || value >= MEMORY_BYTES_MIN) return value;
      throw refused(`it must be 0 or at least ${formatSize(MEMORY_BYTES_MIN)}`);
    },
  };
}

export const ON_OFF: SettingType<boolean> = {
  placeholder: "on|off",
  takes: "0 or 1, or off or on",
  parse: (text) => parseChoice(text, ["on", "off"]) === "on",
  format: (value) => (value ? "on" : "off"),
  plain: {
    parse: (text) => text === "1" || (text !== "0" && ON_OFF.parse(text)),
    format: (value) => (value ? "1" : "0"),
  },
};

/** True when the flag is given. In a file it is true or false. */
export const PRESENCE: SettingType<boolean> = {
  placeholder: null,
  parse: () => true,
  format: (value) => String(value),
};

export const TEXT: SettingType<string> = {
  placeholder: "TEXT",
  parse: (text) => text,
  format: (value) => value,
};

export const NAME: SettingType<string> = { ...TEXT, placeholder: "NAME" };

/** A folder. Null: "off". */
export const KEEP: SettingType<string | null> = {
  placeholder: "auto|off|DIR",
  parse: (text) => (text === "off" ? null : path().parse(text)),
  format: (value) => value ?? "off",
};

/** Whether a process waits to take over. */
export const STANDBY_SETTINGS = ["auto", "on", "off"] as const;

export function path(placeholder = "FILE"): SettingType<string> {
  const parse = (text: string): string => {
    if (text === "") throw refused("the path is empty");
    return text;
  };
  return { placeholder, parse, format: (value) => value };
}

/** `earlier` has words that are still taken, each with the choice that it means. */
export function choice<T extends string>(
  choices: readonly T[],
  earlier: Readonly<Record<string, T>> = {},
): SettingType<T> {
  return {
    placeholder: choices.join("|"),
    parse: (text) =>
      (Object.hasOwn(earlier, text) ? earlier[text] : undefined) ?? parseChoice(text, choices),
    format: (value) => value,
  };
}

export function tcp(placeholder = "HOST:PORT"): SettingType<TcpAddress> {
  return { placeholder, parse: parseTcpAddress, format: formatAddress };
}

/** An address, or "none". */
export const TCP_OR_NONE: SettingType<TcpAddress | null> = {
  placeholder: "HOST:PORT|none",
  parse: (text) => (text === "none" ? null : parseTcpAddress(text)),
  format: (value) => (value === null ? "none" : formatAddress(value)),
};

function list<E>(placeholder: string, member: Form<E>): SettingType<readonly E[]> {
  const join = (first: readonly E[], second: readonly E[]): readonly E[] => [...first, ...second];
  return {
    placeholder,
    join,
    parse: (text) => [member.parse(text)],
    format: (value) => value.map((it) => member.format(it)).join(","),
    plain: {
      parse: (text) => text.split(",").map((it) => member.parse(it)),
      format: (value) => value.map((it) => member.format(it)).join(","),
    },
  };
}

export const ADDRESSES: SettingType<readonly Address[]> = list("ADDR,...", {
  parse: parseAddress,
  format: formatAddress,
});

/** `none` is an address that adds nothing. */
export const CLIENT_ADDRESSES: SettingType<readonly Address[]> = {
  ...ADDRESSES,
  parse: (text) => (text === "none" ? [] : ADDRESSES.parse(text)),
  format: (value) => (value.length === 0 ? "none" : ADDRESSES.format(value)),
};

export const TCP_ADDRESSES: SettingType<readonly TcpAddress[]> = list("HOST:PORT,...", tcp());

const PEER_LIST = list<PeerConfig>("N@HOST:PORT,...", { parse: parsePeer, format: formatPeer });

/** `ramster set peers ""` removes all peers. */
export const PEERS: SettingType<readonly PeerConfig[]> = {
  ...PEER_LIST,
  plain: {
    parse: (text) => (text === "" ? [] : text.split(",").map(parsePeer)),
    format: PEER_LIST.format,
  },
};

export const LOG_AREA_LEVELS: SettingType<readonly AreaLevel[]> = list("[AREA=]LEVEL,...", {
  parse: parseLogLevel,
  format: ({ areas, level }: AreaLevel) => {
    return areas.length === LOG_AREAS.length ? level : `${areas.join()}=${level}`;
  },
});

export const EXPORTS: SettingType<readonly ExportConfig[]> = list("NAME=SIZE,...", {
  parse: parseExport,
  format: ({ name, byteCount }: ExportConfig) => `${name}=${formatSize(byteCount)}`,
});

function parseExport(text: string): ExportConfig {
  const at = text.lastIndexOf("=");
  if (at <= 0) throw refused('write NAME=SIZE, as in "swap=4GiB"');
  const byteCount = parseSize(text.slice(at + 1), { min: PAGE_BYTES, max: NBD_EXPORT_BYTES_MAX });
  if (byteCount % PAGE_BYTES !== 0) throw refused("a size is whole pages of 4KiB");
  return { name: text.slice(0, at), byteCount };
}

export const GOSSIP_TUNING: SettingType<Partial<Tuning>> = {
  placeholder: "NAME=VALUE,...",
  join: (first, second) => ({ ...first, ...second }),
  parse: parseTuning,
  format: (value) =>
    TUNING.filter(({ setting }) => value[setting] !== undefined)
      .map(({ name, setting, unit }) => `${name}=${value[setting]}${unit === "ms" ? "ms" : ""}`)
      .join(","),
};

function parseTuning(text: string): Partial<Tuning> {
  const [name = "", value] = text.split("=");
  if (value === undefined) throw refused('write NAME=VALUE, as in "probe-interval=1s"');
  const spec = TUNING.find((it) => it.name === name);
  if (spec === undefined) {
    const names = TUNING.map((it) => it.name);
    const meant = nearest(name, names);
    throw refused(meant === null ? `take one of ${names.join(", ")}` : `did you mean "${meant}"?`);
  }
  const parse = spec.unit === "ms" ? parseDuration : parseCount;
  return { [spec.setting]: parse(value, spec) };
}

/** Where pages go: any lender, one node, or nowhere. */
export function target(bounds: Bounds): SettingType<Target> {
  const takes = 'a node\'s number, "auto" or "none"';
  return {
    placeholder: "auto|N|none",
    takes,
    bounds,
    parse: (text) => {
      if (text === "none") return null;
      if (text === "auto") return "auto";
      if (!NUMBERS_ONLY.test(text)) throw refused('write the number of a node, "auto" or "none"');
      return parseCount(text, bounds);
    },
    format: (value) => (value === null ? "none" : String(value)),
  };
}

export function replicas(bounds: Bounds): SettingType<Replicas> {
  return {
    placeholder: `auto|${bounds.min}..${bounds.max}`,
    takes: `"auto" or a number from ${bounds.min} to ${bounds.max}`,
    bounds,
    parse: (text) => (text === "auto" ? "auto" : parseCount(text, bounds)),
    format: String,
  };
}

export const RESERVE: SettingType<Reserve> = {
  placeholder: "SIZE|PERCENT|auto",
  parse: parseReserve,
  format: formatReserve,
};
