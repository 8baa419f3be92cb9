/** The rules of tree.ts over every source file, and each rule over what it forbids. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { describeFindings, ROOT, readSources, sample } from "./sources.ts";
import { circles, deadFiles, headless, missingFiles } from "./tree.ts";

/**
 * Where programs and packages begin: the entry of the binary, workers beside it, and the client.
 */
const ENTRIES = [
  ...(packageJson.scripts.build.match(/\bsrc\/\S+\.ts\b/g) ?? []),
  // packaging/client/package.ts makes a package of it.
  "src/client/mod.ts",
  // src/page/bundle.ts puts it into the binary.
  "src/page/browser/main.ts",
];

/** What a comment may name: the files of the project, but for what is installed or built. */
function namedPaths(): string[] {
  const folders = ["src", "harness", "docs", "fixtures", "packaging"];
  const inside = folders.flatMap((folder) => {
    const found = [...new Bun.Glob("**/*.{ts,md}").scanSync(join(ROOT, folder))];
    return found.map((path) => `${folder}/${path}`);
  });
  return [...inside, ...readdirSync(ROOT)];
}

describe("the tree", () => {
  const files = readSources();

  test("dead files", () => {
    expect(ENTRIES).toContain("src/main.ts");
    expect(describeFindings(deadFiles(files, ENTRIES))).toEqual([]);
  });

  test("has no circle of imports", () => {
    expect(describeFindings(circles(files))).toEqual([]);
  });

  test("has a header in each file", () => {
    expect(describeFindings(headless(files))).toEqual([]);
  });

  test("has the files that comments name", () => {
    expect(describeFindings(missingFiles(files, namedPaths()))).toEqual([]);
  });

  test("has at most 15 rooms on the top floor of src/ramster", () => {
    const rooms = readdirSync(join(ROOT, "src/ramster")).filter((it) => !it.endsWith(".test.ts"));
    expect(rooms.length).toBeLessThanOrEqual(15);
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

describe("circles()", () => {
  const line = [
    'src/core/a.ts|import "./b.ts";\nimport "./c.ts";',
    'src/core/b.ts|export * from "./c.ts";',
    "src/core/c.ts|",
    'src/core/c.test.ts|import "./a.ts";\nimport "./c.test.ts";',
  ];

  test("finds a circle once, also of types and of one file alone", () => {
    const ring = [...line.slice(0, 2), 'src/core/c.ts|import type { A } from "./a.ts";'];
    expect(describeFindings(circles(ring.map(sample)))).toEqual([
      "src/core/a.ts:0: it imports itself: src/core/a.ts -> src/core/c.ts -> src/core/a.ts",
    ]);
    const self = ['src/core/a.ts|const a = import("./a.ts");'].map(sample);
    expect(circles(self).map(({ path }) => path)).toEqual(["src/core/a.ts"]);
    const two = ["a|b", "b|a", "c|d", "d|c", "e|a"].map((it) => {
      return sample(it.replace(/(.)\|(.)/, 'src/core/$1.ts|import "./$2.ts";'));
    });
    expect(circles(two).map(({ path }) => path)).toEqual(["src/core/a.ts", "src/core/c.ts"]);
  });

  test("finds none where there is none", () => {
    expect(circles(line.map(sample))).toEqual([]);
  });
});

describe("headless()", () => {
  test("finds files without a header, and tests that nothing stands beside", () => {
    const bad = ["src/core/a.ts|const a = 1;", "src/core/b.test.ts|test();"].map(sample);
    expect(headless(bad).map(({ path }) => path)).toEqual(["src/core/a.ts", "src/core/b.test.ts"]);
  });

  test("leaves alone a file with one, shapes, and a test beside its file", () => {
    const good = [
      "src/core/a.ts|/** A. */",
      "src/core/a.test.ts|test();",
      "src/core/b.ts|// B.",
      "src/core/shapes.d.ts|declare module",
    ];
    expect(headless(good.map(sample))).toEqual([]);
  });
});

describe("missingFiles()", () => {
  const paths = ["src/net/link.ts", "docs/original.md"];
  const findings = (text: string) => missingFiles([sample(`src/a.ts|${text}`)], paths);

  test.each(["// see lnk.ts", "/** As `src/core/link.ts` does. */", "/* docs/none.md */"])(
    "finds what %p names",
    (text) => expect(findings(text).length).toBe(1),
  );

  test.each([
    "// see link.ts, net/link.ts and src/net/link.ts.",
    "// docs/original.md",
    'import "./none.ts";',
    "// mm/zswap.c, *.ts, memberlist.go",
  ])("leaves %p alone", (text) => expect(findings(text)).toEqual([]));
});
