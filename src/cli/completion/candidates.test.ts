import { describe, expect, test } from "bun:test";
import { SimCluster } from "../../../harness/sim/cluster.ts";
import { COMMANDS } from "../../commands.ts";
import { flagsOf } from "../flag-spec.ts";
import { candidatesFor } from "./candidates.ts";
import { candidateText } from "./complete.ts";

/** The words for what is typed: the last one is at the cursor. */
function words(typed: string): string[] | string {
  const found = candidatesFor(typed.split(" "), COMMANDS);
  return typeof found === "string" ? found : found.map(({ word }) => word);
}

describe("candidatesFor()", () => {
  test.each([
    ["key", ["keygen", "key"]],
    ["help undr", ["undrain"]],
    ["node --net", ["--network"]],
    ["node --network ", ["lan", "local", "wan"]],
    ["node --network w", ["wan"]],
    ["node --network=w", ["--network=wan"]],
    ["node --network = w", ["--network=wan"]],
    ["node --network =", ["--network=lan", "--network=local", "--network=wan"]],
    ["node --target ", ["auto", "none"]],
    ["node --listen ", []],
    ["node --swap", ["--swap"]],
    ["node --no-s", ["--no-swap"]],
    ["node --network lan --net", []],
    ["node --join 10.0.0.1:7946 --joi", ["--join", "--join-timeout"]],
    ["set selfshrink ", ["on", "off"]],
    ["set selfshrink of", ["off"]],
    ["set --client unix:/run/a.sock selfshrink of", ["off"]],
    ["set replicas_", []],
    ["get selfshrink_h", ["selfshrink_hysteresis"]],
    ["swap r", ["rotate"]],
    ["key u", ["use"]],
    ["completion ", ["bash", "zsh", "fish"]],
    ["version ", ["--json", "--help"]],
    ["nonsense ", []],
    ["node --key ", "files"],
    ["node --key=x", "files"],
    ["node --spill ", "files"],
    ["keygen --pem ", "folders"],
  ])("%p", (typed, expected) => {
    expect(words(typed)).toEqual(expected);
  });

  test("has every command, flag and setting", () => {
    expect(words("")).toEqual(expect.arrayContaining(COMMANDS.map(({ name }) => name)));
    for (const command of COMMANDS) {
      const flags = flagsOf(command).map(({ name }) => `--${name}`);
      expect(words(`${command.name} --`)).toEqual(expect.arrayContaining(flags));
      const names = (command.names ?? []).map(({ name }) => name);
      expect(words(`${command.name} `)).toEqual(expect.arrayContaining(names));
    }
  });

  test("has what a node can set after set, and what it can only read after get alone", async () => {
    const sim = new SimCluster(1);
    await sim.start([{}]);
    const { admin } = sim.node(0).node;
    const isReadOnly = (name: string): boolean => {
      try {
        admin.setKnob(name, "?");
      } catch (error) {
        return /only be read|at the start only/.test(String(error));
      }
      return false;
    };
    const shown = words("get ");
    expect(words("set ")).toEqual([...shown].filter((name) => !isReadOnly(name)));
    const readOnly = ["interface_revision", "remote_pers_pages", "certificate"];
    expect([...shown].filter(isReadOnly)).toEqual(readOnly);
    await sim.stop();
  });
});

test("candidateText() has a line for each word, or says what the shell knows", () => {
  expect(candidateText(["node", "--network", "w"], COMMANDS)).toBe("wan\t\n");
  expect(candidateText(["und"], COMMANDS)).toBe(
    "undrain\tEnds the drain of a node: it lends again\n",
  );
  expect(candidateText(["node", "--key", ""], COMMANDS)).toBe(":files\n");
  expect(candidateText(["keygen", "--pem", ""], COMMANDS)).toBe(":dirs\n");
});
