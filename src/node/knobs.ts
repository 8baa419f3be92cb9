/**
 * Knobs: what `ramster get` shows and `ramster set` changes on a running node.
 *
 *     settings that may change   under the original's names where it had them, in the plain form:
 *                                idle_timeout_ms 30000
 *     all settings               under their flags, in the form of flags: idle 30s, memory 64MiB
 *     controls                   they are not settings: draining, manual_node_up (controls.ts)
 *
 * The knob of a setting is made from its row in settings.ts. A refused value throws ConfigError
 * BAD_CONFIG with the reason, and changes nothing.
 */
import { ConfigError } from "../core/errors.ts";
import { refused } from "../core/units.ts";
import { clusterKeyControl } from "./cluster-keys.ts";
import { type LiveConfig, ORDERED, settingsOf } from "./config.ts";
import { type Control, controlsOf, devicesControl, keyFileControl } from "./controls.ts";
import { type LiveSetting, liveSettings } from "./live-settings.ts";
import type { NodeParts } from "./node-parts.ts";
import { nameOf, type Setting } from "./setting.ts";
import { SETTINGS, type SettingKey } from "./settings.ts";

export interface Knobs {
  /** The knobs that `ramster get` shows without a name, in this order. */
  readonly listed: ReadonlyMap<string, Control>;
  /** The listed knobs, all settings under their flags, and what `ramster key` and `swap` use. */
  readonly all: ReadonlyMap<string, Control>;
}

export function knobsOf(parts: NodeParts): Knobs {
  const live: Partial<Record<SettingKey, LiveSetting<unknown>>> = liveSettings(parts);
  const listed = new Map<string, Control>(Object.entries(controlsOf(parts)));
  for (const [key, setting] of Object.entries(SETTINGS) as [SettingKey, Setting][]) {
    const use = live[key];
    if (use === undefined) continue;
    const { plain = setting.type } = setting.type;
    listed.set(nameOf(setting), liveKnob(parts, key, use, plain.format));
  }
  const all = new Map(listed);
  all.set("cluster_keys", clusterKeyControl(parts.membership));
  all.set("key_file", keyFileControl(parts.certificate));
  all.set("devices", devicesControl(parts.nbdDoor));
  for (const [key, setting] of settingsOf(parts.config.role)) {
    if (all.has(setting.flag)) continue;
    const use = live[key];
    const knob =
      use === undefined
        ? startKnob(parts, key, setting)
        : liveKnob(parts, key, use, setting.type.format);
    all.set(setting.flag, knob);
  }
  return { listed, all };
}

/** The knob of a setting that may change. It takes both forms of its type. */
function liveKnob(
  { config }: NodeParts,
  key: SettingKey,
  live: LiveSetting<unknown>,
  format: (value: unknown) => string,
): Control {
  const { type } = SETTINGS[key] as Setting;
  return {
    get: () => show(live.get(), format),
    set: (text) => {
      if (live.unused !== undefined) throw refused(live.unused);
      const value = parse(type, text);
      checkOrder(config, key, value);
      live.set(value);
      Object.assign(config, { [key]: value });
    },
  };
}

function parse({ plain, parse: parseFlag, takes }: Setting["type"], text: string): unknown {
  try {
    return (plain?.parse ?? parseFlag)(text);
  } catch (error) {
    if (!(error instanceof ConfigError) || takes === undefined) throw error;
    throw refused(`it takes ${takes}`);
  }
}

/** Throws when `value` would be out of order with the setting that it is paired with. */
function checkOrder(config: LiveConfig, key: SettingKey, value: unknown): void {
  for (const { lower, upper, mayEqual } of ORDERED) {
    if (key !== lower && key !== upper) continue;
    const other = key === lower ? upper : lower;
    const [low, high] = key === lower ? [value, config[upper]] : [config[lower], value];
    if (Number(low) < Number(high) || (mayEqual && low === high)) continue;
    const side = key === lower ? "above" : "below";
    const must = mayEqual ? `must not be ${side}` : `must be ${key === lower ? "below" : "above"}`;
    const { plain = SETTINGS[other].type } = SETTINGS[other].type;
    throw refused(`it ${must} ${nameOf(SETTINGS[other])}, which is ${plain.format(config[other])}`);
  }
}

/** The knob of a setting that is read only at the start. */
function startKnob({ config }: NodeParts, key: SettingKey, { flag, type }: Setting): Control {
  return {
    get: () => show(config[key], type.format),
    set: () => {
      throw refused(`it is read at the start only: stop the node and start it with --${flag}`);
    },
  };
}

function show(value: unknown, format: (value: unknown) => string): string {
  return value === null ? "none" : format(value);
}
