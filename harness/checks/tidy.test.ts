/**
 * Style as a test: the rules of tidy.ts over every source file, and each rule over what it
 * forbids.
 */
import { describe, expect, test } from "bun:test";
import { describeFindings, readSources, sample } from "./sources.ts";
import { RULES } from "./tidy.ts";

describe("the tree", () => {
  const files = readSources();

  test.each(RULES.map((rule) => [rule.name, rule] as const))("%s", (_, rule) => {
    expect(describeFindings(files.flatMap((file) => [...rule.check(file)]))).toEqual([]);
  });
});

/**
 * What each rule must find, and beside it what it must leave alone. `|` separates path and text.
 */
const SAMPLES: Readonly<Record<string, { bad: readonly string[]; good: readonly string[] }>> = {
  layering: {
    bad: [
      'src/core/a.ts|import { Clock } from "../net/clock.ts";',
      'src/tmem/a.ts|import type { Zbud } from "../placement/zbud.ts";',
      'src/placement/a.ts|export { Tmem } from "../tmem/tmem.ts";',
      'src/wire/a.ts|const net = await import("../net/bun.ts");',
      'src/ramster/a.ts|import {\n  Node,\n} from "../node/node.ts";',
      'src/node/a.ts|import "../cli/args.ts";',
      'src/cli/node.ts|import { run } from "../../harness/stress/stress.ts";',
      'src/main.ts|import { run } from "../harness/stress/stress.ts";',
      'harness/sim/a.ts|import { COMMANDS } from "../../src/commands.ts";',
      'harness/sim/a.ts|import { run } from "../../packaging/build/run.ts";',
      'src/client/a.ts|import { Zcache } from "../zcache/zcache.ts";',
      'src/attic/a.ts|import { assert } from "../core/assert.ts";',
    ],
    good: [
      'src/tmem/a.ts|import { assert } from "../core/assert.ts";\nimport "./pool.ts";',
      'src/commands.ts|import { stress } from "../harness/stress/command.ts";',
      'src/tmem/a.test.ts|import { openMemory } from "../memory/open-memory.ts";',
      'harness/sim/a.ts|import { Node } from "../../src/node/node.ts";',
      'src/core/a.ts|// As import { Clock } from "../net/clock.ts" would do.',
      'src/core/a.ts|const text = `see import x from "../net/bun.ts"`;',
    ],
  },
  "rooms of src/ramster": {
    bad: [
      'src/ramster/holders/a.ts|import { Fetches } from "../repatriate/fetches.ts";',
      'src/ramster/remotify/a.ts|import type { Repair } from "../repair/repair.ts";',
      'src/ramster/foreign/a.ts|import { Lenders } from "../holders/lenders.ts";',
      'src/ramster/holders/a.ts|import { Ramster } from "../ramster.ts";',
      'src/ramster/copies.ts|import { Lenders } from "./holders/lenders.ts";',
      'src/ramster/attic/a.ts|import { copyAt } from "../copies.ts";',
    ],
    good: [
      'src/ramster/repair/a.ts|import { Remotify } from "../remotify/remotify.ts";',
      'src/ramster/holders/a.ts|import { copyAt } from "../copies.ts";\nimport "./lenders.ts";',
      'src/ramster/ramster.ts|import { Lenders } from "./holders/lenders.ts";',
      'src/ramster/holders/a.test.ts|import { Ramster } from "../ramster.ts";',
      'src/doors/a.ts|import { Lenders } from "../ramster/holders/lenders.ts";',
    ],
  },
  "outside imports": {
    bad: [
      'src/net/a.ts|import kleur from "kleur";',
      'src/zcache/a.ts|import { readFile } from "node:fs/promises";',
      'src/core/a.ts|import { dlopen } from "bun:ffi";',
      'src/cli/a.ts|import leftPad from "left-pad";',
    ],
    good: [
      'src/cli/a.ts|import kleur from "kleur";\nimport { hostname } from "node:os";',
      'src/memory/a.ts|import { dlopen } from "bun:ffi";',
      'src/net/a.test.ts|import { test } from "bun:test";',
    ],
  },
  "file length": {
    bad: [`src/core/a.ts|${"const a = 1;\n".repeat(601)}`],
    good: [`src/core/a.ts|${"const a = 1;\n".repeat(600)}`],
  },
  "line length": {
    bad: [`src/core/a.ts|// ${"x".repeat(98)}`],
    good: [`src/core/a.ts|// ${"x".repeat(97)}\n// ${"é".repeat(97)}`],
  },
  "banned calls": {
    bad: [
      "src/core/a.ts|const now = Date.now();",
      "src/zcache/a.ts|const now = new Date();",
      "src/net/a.ts|const now = performance.now();",
      "src/ramster/a.ts|const draw = Math.random();",
      "src/net/channel.ts|setTimeout(() => {}, 5);",
      "src/tmem/a.ts|queueMicrotask(run);",
      "src/node/node.ts|process.on(1);",
      "src/cli/node.ts|process.exit(1);",
      "src/net/a.ts|Bun.listen({});",
      "src/wire/a.ts|const sum = Bun.hash.crc32(bytes);",
      "src/doors/a.ts|console.log(1);",
      "src/doors/a.ts|throw new Error(`at ${Date.now()}`);",
    ],
    good: [
      "src/net/bun.ts|const now = performance.now(); setTimeout(run, 5); Bun.listen({});",
      "src/cli/a.ts|process.on(1); console.log(1);",
      "src/main.ts|process.exit(1);",
      "src/compress/checksum.ts|const sum = Bun.hash.crc32(bytes);",
      "src/core/a.test.ts|const now = Date.now();",
      "harness/sim/a.ts|console.log(Date.now());",
      'src/core/a.ts|// Date.now is not for us.\n/* console.log */ const text = "Bun.listen";',
      "src/core/a.ts|step.process(1); subprocess.pid = 2;",
    ],
  },
  "no any": {
    bad: [
      "src/core/a.ts|let a: any;",
      "src/core/a.ts|const a = b as any;",
      "src/core/a.ts|const a: Map<string, any> = b;",
      "harness/a.ts|function f(a: number, b: any[]) {}",
      "src/core/a.ts|type A = string | any;",
    ],
    good: [
      "src/core/a.ts|// any page, any time: any\nconst any = { any: 1 }; f(any.any);",
      'src/core/a.ts|const text = "take: any";',
    ],
  },
  "nothing focused, skipped or promised": {
    bad: [
      'src/core/a.test.ts|test.only("x", () => {});',
      'src/core/a.test.ts|describe.skip("x", () => {});',
      'src/core/a.test.ts|test.todo("x");',
      `src/core/a.ts|// ${"TO"}${"DO"}: later`,
      `src/core/a.ts|// ${"FIX"}${"ME"}`,
      `src/core/a.ts|// @ts-${"ignore"}`,
    ],
    good: ["src/core/a.ts|// What is to do is done.\nlist.skip(1); this.only = 2;"],
  },
  "no mutable state at module level": {
    bad: [
      "src/core/a.ts|let count = 0;",
      "src/core/a.ts|const a = 1;\nexport let count: number;",
      "src/core/a.ts|function f() {\n  return `}${g({ a: 1 })}{`;\n}\nvar count = 0;",
      "src/core/a.ts|const brace = /[{(]/;\nlet count = 0;",
    ],
    good: [
      "src/core/a.ts|function f() {\nlet count = 0;\n}",
      "src/core/a.ts|const brace = '}';\nfor (const a of b) {\nlet c = a / 2; // }\n}",
      "src/core/a.test.ts|let count = 0;",
    ],
  },
  "no empty catch": {
    bad: ["src/core/a.ts|try { f(); } catch {}", "src/core/a.ts|try { f(); } catch (error) {\n}"],
    good: ["src/core/a.ts|try { f(); } catch {\n// It is gone already.\n}"],
  },
  "imports with extension": {
    bad: ['src/core/a.ts|import { b } from "./b";'],
    good: ['src/core/a.ts|import { b } from "./b.ts";\nimport { cac } from "cac";'],
  },
};

describe.each(RULES.map((rule) => [rule.name, rule] as const))("the rule %s", (name, rule) => {
  const samples = SAMPLES[name];

  test("fails on what it forbids", () => {
    expect(samples?.bad.length).toBeGreaterThan(0);
    for (const bad of samples?.bad ?? []) {
      expect({ bad, findings: rule.check(sample(bad)).length }).toEqual({ bad, findings: 1 });
    }
  });

  test("leaves alone what it allows", () => {
    expect(samples?.good.length).toBeGreaterThan(0);
    for (const good of samples?.good ?? []) {
      expect({ good, findings: rule.check(sample(good)) }).toEqual({ good, findings: [] });
    }
  });
});
