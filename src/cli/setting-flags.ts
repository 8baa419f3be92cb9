/**
 * The flags of `ramster node` and `ramster server`, made from the table of settings
 * (src/node/settings.ts).
 */
import { settingsOf } from "../node/config.ts";
import { CONTROLS, READ_ONLY_CONTROLS } from "../node/controls.ts";
import { nameOf, type Role, type Setting } from "../node/setting.ts";
import { SETTINGS, type SettingKey } from "../node/settings.ts";
import type { FlagGroup, FlagSpec, NameSpec } from "./flag-spec.ts";

/** The flag that only the command line has. It names the file with the other flags. */
const CONFIG: FlagSpec = {
  name: "config",
  value: "FILE",
  defaultNote: "none",
  help: "TOML file with these flags as keys, or the original's ramster.conf",
};

/** The flags of a command, in the groups and the order of the table. */
export function settingGroups(role: Role): readonly FlagGroup[] {
  const groups = new Map<string, FlagSpec[]>();
  for (const [key, setting] of settingsOf(role)) {
    const flags = groups.get(setting.group) ?? [];
    groups.set(setting.group, flags);
    flags.push(specOf(setting));
    if (key === "name") flags.push(CONFIG);
  }
  return [...groups].map(([title, flags]) => ({ title, flags }));
}

/** The flag of one setting, for commands that have it among other flags. */
export function settingFlag(key: SettingKey): FlagSpec {
  return specOf(SETTINGS[key]);
}

/** What `ramster get` shows, in that order. */
export function knobNames(): readonly NameSpec[] {
  return [...controlNames(READ_ONLY_CONTROLS), ...settableNames()];
}

/** What `ramster set` changes. */
export function settableNames(): readonly NameSpec[] {
  const live = Object.values(SETTINGS).filter((setting: Setting) => setting.live === true);
  return [
    ...controlNames(CONTROLS),
    ...live.map((setting) => ({
      name: nameOf(setting),
      help: setting.help,
      value: setting.type.placeholder,
    })),
  ];
}

function controlNames(controls: Readonly<Record<string, string>>): NameSpec[] {
  return Object.entries(controls).map(([name, help]) => ({ name, help }));
}

function specOf({ flag, help, type, default: value, defaultNote }: Setting): FlagSpec {
  const isList = type.join !== undefined;
  const text = value === null || isList || type.placeholder === null ? null : type.format(value);
  return {
    name: flag,
    value: type.placeholder,
    help,
    ...(isList ? { list: true } : {}),
    ...(type.bare === undefined ? {} : { bare: type.bare }),
    ...(defaultNote === undefined ? {} : { defaultNote }),
    ...(text === null || defaultNote !== undefined ? {} : { default: text }),
  };
}
