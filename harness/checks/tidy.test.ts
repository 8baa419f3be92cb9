/**
 * Style as a test: the rules of tidy.ts over every source file, and each rule over what it
 * forbids.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { blank, deadFiles, type Finding, importsOf, RULES, type SourceFile } from "./tidy.ts";

const ROOT = join(import.meta.dir, "../..");

/**
 * Where programs and packages begin: the entry of the binary, workers beside it, and the exports.
 */
const ENTRIES = [
  ...(packageJson.scripts.build.match(/\bsrc\/\S+\.ts\b/g) ?? []),
  packageJson.exports["."].default.replace(/^\.\//, ""),
];

function sources(): SourceFile[] {
  return [...new Bun.Glob("{src,harness}/**/*.ts").scanSync(ROOT)]
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** One line each, as a compiler would write it. */
function describeFindings(findings: readonly Finding[]): string[] {
  return findings.map(({ path, line, message }) => `${path}:${line}: ${message}`);
}

describe("the tree", () => {
  const files = sources();

  test.each(RULES.map((rule) => [rule.name, rule] as const))("%s", (_, rule) => {
    expect(describeFindings(files.flatMap((file) => [...rule.check(file)]))).toEqual([]);
  });

  test("dead files", () => {
    expect(ENTRIES).toContain("src/main.ts");
    expect(ENTRIES).toContain("src/client/mod.ts");
    expect(describeFindings(deadFiles(files, ENTRIES))).toEqual([]);
  });
});

/**
 * What each rule must find, and beside it what it must leave alone. `|` separates path and text.
 */
const SAMPLES: Readonly<Record<string, { bad: readonly string[]; good: readonly string[] }>> = {
  layering: {
    bad: [
      'src/core/a.ts|import { Clock } from "../net/clock.ts";',
      'src/tmem/a.ts|import type { Zbud } from "../zbud/zbud.ts";',
      'src/zbud/a.ts|export { Tmem } from "../tmem/tmem.ts";',
      'src/wire/a.ts|const net = await import("../net/bun.ts");',
      'src/ramster/a.ts|import {\n  Node,\n} from "../node/node.ts";',
      'src/node/a.ts|import "../cli/args.ts";',
      'src/cli/node.ts|import { run } from "../../harness/stress/stress.ts";',
      'src/client/a.ts|import { Zcache } from "../zcache/zcache.ts";',
      'src/attic/a.ts|import { assert } from "../core/assert.ts";',
    ],
    good: [
      'src/tmem/a.ts|import { assert } from "../core/assert.ts";\nimport "./pool.ts";',
      'src/cli/stress.ts|import { run } from "../../harness/stress/stress.ts";',
      'src/tmem/a.test.ts|import { openMemory } from "../memory/open-memory.ts";',
      'harness/sim/a.ts|import { Node } from "../../src/node/node.ts";',
      'src/core/a.ts|// As import { Clock } from "../net/clock.ts" would do.',
      'src/core/a.ts|const text = `see import x from "../net/bun.ts"`;',
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

function sample(text: string): SourceFile {
  const bar = text.indexOf("|");
  return { path: text.slice(0, bar), text: text.slice(bar + 1) };
}

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

describe("deadFiles()", () => {
  const files = [
    'src/main.ts|import "./cli/a.ts";\nconst b = () => import("./cli/b.ts");',
    'src/cli/a.ts|export * from "../core/c.ts";',
    "src/cli/b.ts|",
    'src/core/c.ts|import type { D } from "./d.ts";',
    "src/core/d.ts|",
    'src/core/dead.ts|import "./d.ts";',
    'src/core/dead.test.ts|import "./dead.ts";',
    "src/core/shapes.d.ts|",
  ].map(sample);

  test("finds the file that only its test imports", () => {
    const dead = deadFiles(files, ["src/main.ts"]).map((finding) => finding.path);
    expect(dead).toEqual(["src/core/dead.ts"]);
  });
});

describe("blank()", () => {
  test("keeps lines, columns and code", () => {
    const text = 'a("b") /* c\nd */ + `e${f("g")}h`; // i\n/j"k/.test(l) / 2 / m';
    const expected = 'a(" ")     \n     + ` ${f(" ")} `;     \n/   /.test(l) / 2 / m';
    expect(blank(text)).toBe(expected);
  });

  test("of every source file has as many characters, and braces that match", () => {
    for (const { path, text } of sources()) {
      const code = blank(text);
      expect({ path, length: code.length }).toEqual({ path, length: text.length });
      const opened = code.split("{").length;
      expect({ path, opened }).toEqual({ path, opened: code.split("}").length });
    }
  });

  test("lets importsOf() name the line of an import", () => {
    const file = sample('src/core/a.ts|// one\nimport {\n  b,\n} from "./b.ts";\nimport "cac";');
    expect(importsOf(file)).toEqual([
      { specifier: "./b.ts", target: "src/core/b.ts", line: 4 },
      { specifier: "cac", target: null, line: 5 },
    ]);
  });
});
