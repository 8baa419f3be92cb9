import { expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { Log } from "../core/log.ts";
import { type NodeConfig, nodeConfig, settingsOf } from "../node/config.ts";
import { Reload } from "./reload.ts";

const FIRST = nodeConfig({
  number: 1,
  name: "a",
  cluster: "c",
  listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
});

function world(next: () => NodeConfig) {
  const lines: string[] = [];
  const sets: string[] = [];
  const log = new Log((level, _area, line) => lines.push(`${level}: ${line}`));
  const reload = new Reload(FIRST, next, log);
  const node = {
    refusals: new Map<string, number>(),
    setKnob(name: string, value: string): string {
      const left = this.refusals.get(name) ?? 0;
      this.refusals.set(name, left - 1);
      if (left > 0) throw new ConfigError("BAD_CONFIG", `Cannot set "${name}": no`);
      sets.push(`${name}=${value}`);
      return value;
    },
  };
  return { reload, node, lines, sets };
}

test("what has changed is set, in the form of flags", () => {
  const { reload, node, lines, sets } = world(() => ({
    ...FIRST,
    warnAtPercent: 70,
    putWaitMs: 2000,
    target: null,
  }));
  reload.onHangup(node);
  expect(sets.sort()).toEqual(["put-wait=2s", "target=none", "warn-at=70"]);
  expect(lines).toContain('info: set "warn-at" to "70", as the configuration has it now');
  reload.onHangup(node);
  expect(sets).toHaveLength(3);
  expect(lines.at(-1)).toBe("info: read the configuration again: it is the same");
});

test("a change that is refused is tried once more, then logged", () => {
  const { reload, node, lines, sets } = world(() => ({
    ...FIRST,
    highMarkPercent: 60,
    lowMarkPercent: 50,
    memoryBytes: 2 ** 30,
  }));
  node.refusals.set("high-mark", 1);
  node.refusals.set("memory", 2);
  reload.onHangup(node);
  expect(sets.sort()).toEqual(["high-mark=60", "low-mark=50"]);
  expect(lines.filter((line) => line.startsWith("warn"))).toEqual([
    'warn: Cannot set "memory": no',
  ]);
});

test("a change that was refused is tried again at the next signal", () => {
  const { reload, node, lines, sets } = world(() => ({ ...FIRST, memoryBytes: 2 ** 30 }));
  node.refusals.set("memory", 2);
  reload.onHangup(node);
  expect(sets).toEqual([]);
  reload.onHangup(node);
  expect(sets).toEqual(["memory=1GiB"]);
  reload.onHangup(node);
  expect(lines.at(-1)).toBe("info: read the configuration again: it is the same");
});

test("the default of each setting that may change has a form that can be set", () => {
  const parts = settingsOf("node").filter(([, { live }]) => live === true);
  const other = Object.fromEntries(parts.map(([key]) => [key, "another"]));
  const { reload, node, sets } = world(() => FIRST);
  // From anything else back to the defaults.
  const changed = new Reload({ ...FIRST, ...other } as NodeConfig, () => FIRST, new Log(() => {}));
  changed.onHangup(node);
  expect(sets.length).toBe(parts.length);
  for (const set of sets) {
    const [flag = "", ...rest] = set.split("=");
    const text = rest.join("=");
    const [, setting] = parts.find(([, it]) => it.flag === flag) ?? [];
    const { plain, parse } = setting?.type ?? {};
    expect(() => (plain?.parse ?? parse)?.(text)).not.toThrow();
  }
  reload.onHangup(node);
});

test("a configuration that is wrong changes nothing", () => {
  const { reload, node, lines, sets } = world(() => {
    throw new ConfigError("BAD_CONFIG", 'Cannot use memory "x" in "n.toml", line 3: no');
  });
  reload.onHangup(node);
  expect(sets).toEqual([]);
  expect(lines).toEqual([
    'error: Cannot read the configuration again, so nothing has changed: Cannot use memory "x" in "n.toml", line 3: no',
  ]);
});

test("a node that starts ignores the signal", () => {
  const { reload, lines } = world(() => FIRST);
  reload.onHangup(null);
  expect(lines).toEqual(["warn: ignored SIGHUP: the node is not ready yet"]);
});
