/** Setting: the type of a row in the table of settings (settings.ts). */
import type { SettingType } from "./setting-types.ts";

/** The command that runs a node: `ramster node` or `ramster server`. */
export type Role = "node" | "server";

/** The part of a row that is written for each setting. */
export interface SettingSpec<T> {
  /** The flag without dashes. It is also the key in the TOML file. */
  readonly flag: string;
  readonly help: string;
  readonly default: T;
  /** Shown in the help instead of `default`, if the default depends on something. */
  readonly defaultNote?: string;
  /** Whether the setting may change while the node runs. */
  readonly live?: boolean;
  /** The name in the original RAMster, which `ramster get` and `ramster set` then use. */
  readonly original?: string;
  /** The name in `ramster get` and `ramster set`. Absent: the flag and the unit. */
  readonly liveName?: string;
  /** The stanza and key in the original's ramster.conf. */
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
  /** The title of the setting's part of the help. */
  readonly group: string;
  /** The command that has the setting. Null: both. */
  readonly role: Role | null;
}

type IsLive<S> = S extends { readonly live: true } ? true : false;
type Row<T, S extends SettingSpec<T | null>> = Setting<T | Extract<S["default"], null>> & {
  readonly live: IsLive<S>;
};

/** Makes rows for one part of the help. Their values have the given type, or are null. */
export function rowsOf(group: string, role: Role | null = null) {
  return <T, const S extends SettingSpec<T | null>>(type: SettingType<T>, spec: S): Row<T, S> => {
    return { ...spec, type, group, role } as unknown as Row<T, S>;
  };
}

/** The row with the values for one command. */
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
