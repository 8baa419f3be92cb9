/** Reads the values of the flags of `ramster node` and `ramster server`, or of a file. */
import { settingsOf } from "../node/config.ts";
import type { Role, Setting } from "../node/setting.ts";
import { SETTINGS, type SettingKey, type SettingValues } from "../node/settings.ts";
import type { GivenFlags } from "./given.ts";
import { parseGiven } from "./units.ts";

/** The values of all given settings of the command. */
export function readSettings(flags: GivenFlags, role: Role): Partial<SettingValues> {
  const values = settingsOf(role)
    .filter(([, { flag }]) => flags.has(flag))
    .map(([key, setting]) => [key, read(flags, setting)]);
  return Object.fromEntries(values) as Partial<SettingValues>;
}

/** The value of one setting, or else its default. */
export function readSetting<K extends SettingKey>(flags: GivenFlags, key: K): SettingValues[K] {
  const setting: Setting = SETTINGS[key];
  return (flags.has(setting.flag) ? read(flags, setting) : setting.default) as SettingValues[K];
}

function read(flags: GivenFlags, { flag, type }: Setting): unknown {
  if (type.placeholder === null) return true;
  if (type.join === undefined) {
    return parseGiven(flags.value(flag), (text) => type.parse(text));
  }
  const members = flags.list(flag).map((given) => parseGiven(given, (text) => type.parse(text)));
  return members.reduce((first, second) => type.join?.(first, second));
}
