import { describe, expect, test } from "bun:test";
import { settingsOf } from "./config.ts";
import { CONTROLS, READ_ONLY_CONTROLS } from "./controls.ts";
import { nameOf, type Setting } from "./setting.ts";
import { SETTINGS } from "./settings.ts";

const ROWS = Object.entries(SETTINGS) as [string, Setting][];

describe("the table of settings", () => {
  test.each(ROWS)("%s has a default that is written and read back as it was", (_, setting) => {
    for (const role of ["node", "server"] as const) {
      const [, row] = settingsOf(role).find(([, { flag }]) => flag === setting.flag) ?? [];
      if (row === undefined) continue;
      const { type, default: value } = row;
      if (value === null || type.placeholder === null || type.join !== undefined) continue;
      expect(type.parse(type.format(value))).toEqual(value);
      if (type.plain !== undefined) {
        expect(type.plain.parse(type.plain.format(value))).toEqual(value);
        expect(type.plain.parse(type.format(value))).toEqual(value);
      }
    }
  });

  test.each(["node", "server"] as const)("no two settings of a %s have one flag", (role) => {
    const flags = settingsOf(role).map(([, { flag }]) => flag);
    expect(new Set(flags).size).toBe(flags.length);
  });

  test("names of ramster get differ, and no name is another setting's flag", () => {
    const live = ROWS.filter(([, { live }]) => live === true);
    const controls = [...Object.keys(READ_ONLY_CONTROLS), ...Object.keys(CONTROLS)];
    const names = [...live.map(([, setting]) => nameOf(setting)), ...controls];
    expect(new Set(names).size).toBe(names.length);
    for (const [key, setting] of live) {
      const sameFlag = ROWS.find(([, { flag }]) => flag === nameOf(setting));
      expect([undefined, key]).toContain(sameFlag?.[0]);
    }
  });

  test("names of the original are kept", () => {
    const originals = ROWS.map(([, { original }]) => original).filter((it) => it !== undefined);
    expect(originals.sort()).toEqual([
      "eph_remotify_enable",
      "idle_timeout_ms",
      "keepalive_delay_ms",
      "pers_remotify_enable",
      "reconnect_delay_ms",
      "remote_target_nodenum",
      "zv_max_mean_zsize",
      "zv_max_zsize",
    ]);
  });
});
