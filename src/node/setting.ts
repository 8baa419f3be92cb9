/** Setting: what one row of the table of settings says (settings.ts). */
import type { SettingType } from "./setting-types.ts";

/** What runs a node: `ramster node` and `ramster server`. */
export type Role = "node" | "server";

/** A row, but for the type of its values and the part of the help that it is in. */
export interface SettingSpec<T> {
  /** Without dashes. It is the key in the TOML file, too. */
  readonly flag: string;
  readonly help: string;
  readonly default: T;
  /** Shown in the help in place of `default`, where that depends on something. */
  readonly defaultNote?: string;
  /** May change while the node runs. */
  readonly live?: boolean;
  /** The original RAMster's name of it, which `ramster get` and `set` use then. */
  readonly original?: string;
  /** Its name in `ramster get` and `set`; absent: that of the flag, and the unit. */
  readonly liveName?: string;
  /** Its key in the original's ramster.conf, behind the stanza that it stands in. */
  readonly conf?: `${"cluster" | "node"}.${string}`;
  /** What differs for a memory server. */
  readonly onServer?: {
    readonly type: SettingType<T>;
    readonly flag: string;
    readonly help: string;
    readonly default: T;
  };
}

export interface Setting<T = unknown> extends SettingSpec<T> {
  readonly type: SettingType<T>;
  /** The title of its part of the help. */
  readonly group: string;
  /** The commands that have it; null: both. */
  readonly role: Role | null;
}

type IsLive<S> = S extends { readonly live: true } ? true : false;
type Row<T, S extends SettingSpec<T | null>> = Setting<T | Extract<S["default"], null>> & {
  readonly live: IsLive<S>;
};

/** Makes rows of one part of the help. Their values are those of the type, or a default of null. */
export function rowsOf(group: string, role: Role | null = null) {
  return <T, const S extends SettingSpec<T | null>>(type: SettingType<T>, spec: S): Row<T, S> => {
    return { ...spec, type, group, role } as unknown as Row<T, S>;
  };
}

/** The row as a command has it. */
export function settingFor<T>(setting: Setting<T>, role: Role): Setting<T> {
  return role === "server" && setting.onServer !== undefined
    ? { ...setting, ...setting.onServer }
    : setting;
}

/** The name in `ramster get` and `set`: `idle_timeout_ms`. */
export function nameOf({ original, liveName, flag, type: { unit } }: Setting): string {
  const name = original ?? liveName;
  if (name !== undefined) return name;
  const words = flag.replaceAll("-", "_");
  return unit === undefined ? words : `${words}_${unit}`;
}
