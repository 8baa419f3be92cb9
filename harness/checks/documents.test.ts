/**
 * The documents hold what they name: links, commands, flags, scripts, warnings.
 *
 * Not here: that the commands of README.md and docs/swap.md work: processes/documents.long.ts.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { parseArgs } from "../../src/cli/args.ts";
import { flagsOf } from "../../src/cli/flag-spec.ts";
import { COMMANDS } from "../../src/commands.ts";
import {
  type Block,
  commandsOf,
  type Document,
  documentPaths,
  HOWS,
  outputLike,
  ROOT,
  ramsterCalls,
  readDocument,
} from "./documents.ts";

const MACHINE = { hostName: "pebble", environment: {}, readText: () => "" };
/** Flags of `bun run fuzz`, `sim`, `soak` and of other people's programs. */
const OTHER_FLAGS = ["runs", "seed", "seeds", "hours", "minutes", "only", "corpora"];

const documents = documentPaths().map(readDocument);

/** `## Names, and more` is linked to as `#names-and-more`. */
function anchorsOf({ text }: Document): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) => anchorOf(title));
}

function anchorOf(title: string): string {
  const words = title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "");
  return words.replaceAll(" ", "-");
}

/** Links to files of this project, as written. */
function linksOf({ text }: Document): string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links.filter((link) => !/^https?:/.test(link));
}

/** Why a link leads nowhere; null: it leads somewhere. */
function deadLink(from: string, link: string): string | null {
  const [file = "", anchor] = link.split("#");
  const path = file === "" ? from : normalize(join(dirname(from), file));
  if (!existsSync(join(ROOT, path))) return `${from}: "${link}" is not there`;
  if (anchor === undefined || anchorsOf(readDocument(path)).includes(anchor)) return null;
  return `${from}: "${link}" has no such section`;
}

/** Why this program does not take a command; null: it does. */
function refusal(block: Block, words: readonly string[]): string | null {
  try {
    parseArgs(words, MACHINE, COMMANDS);
    return null;
  } catch (error) {
    return `${block.at}: ${(error as Error).message}`;
  }
}

function shellBlocks(): Block[] {
  return documents.flatMap(({ blocks }) => blocks.filter(({ language }) => language === "sh"));
}

test("links lead to files and sections that are there", () => {
  const dead = documents.flatMap((it) => linksOf(it).map((link) => deadLink(it.path, link)));
  expect(dead.filter((it) => it !== null)).toEqual([]);
  expect(deadLink("README.md", "docs/swap.md#the-recipe")).toBeNull();
  expect(deadLink("README.md", "docs/swap.md#no-such")).toContain("no such section");
  expect(deadLink("README.md", "docs/none.md")).toContain("is not there");
});

test("files that README, docs and harness name are there", () => {
  const paths = ["src", "harness"].flatMap((folder) => {
    return [...new Bun.Glob(`${folder}/**/*`).scanSync(ROOT)].map((path) => `/${path}`);
  });
  // docs/original.md names files of Linux.
  const ours = documents.filter(({ path }) => !/^src\/|original\.md$/.test(path));
  const missing = ours.flatMap(({ path, text }) => {
    const named = [...text.matchAll(/`([\w/-]+\.ts)`/g)].map(([, name = ""]) => name);
    const unknown = named.filter((name) => !paths.some((it) => it.endsWith(`/${name}`)));
    return unknown.map((name) => `${path}: ${name}`);
  });
  expect(missing).toEqual([]);
});

test("README leads to every document in docs", () => {
  const links = linksOf(readDocument("README.md"));
  const paths = documents.map(({ path }) => path).filter((path) => path.startsWith("docs/"));
  expect(paths.length).toBeGreaterThan(5);
  for (const path of paths) expect(links).toContain(path);
});

test("comments that cite docs/original.md name a section of it", () => {
  const sections = anchorsOf(readDocument("docs/original.md"));
  const cited = ["src", "harness"].flatMap((folder) => {
    const paths = [...new Bun.Glob(`${folder}/**/*.ts`).scanSync(ROOT)];
    return paths
      .filter((path) => !path.startsWith("harness/checks/"))
      .flatMap((path) => {
        // A comment may break in the middle.
        const text = readFileSync(join(ROOT, path), "utf8").replaceAll(
          /\s*\n\s*(?:\*|\/\/) ?/g,
          " ",
        );
        const found = text.matchAll(/docs\/original\.md, "([^"]+)"/g);
        return [...found].map(([, section = ""]) => ({ path, section }));
      });
  });
  for (const { path, section } of cited) {
    if (sections.includes(anchorOf(section))) continue;
    throw new Error(`${path}: docs/original.md has no section "${section}"`);
  }
});

describe("commands", () => {
  test("each block says how it runs", () => {
    for (const { at, how } of shellBlocks()) {
      if (!Object.hasOwn(HOWS, how)) throw new Error(`${at}: "${how}" is none of documents.ts`);
    }
  });

  test("of this program have flags and values that it takes", () => {
    const calls = shellBlocks().flatMap((block) => {
      return commandsOf(block).flatMap((line) =>
        ramsterCalls(line).map((words) => ({ block, words })),
      );
    });
    expect(calls.length).toBeGreaterThan(20);
    expect(
      calls.map(({ block, words }) => refusal(block, words)).filter((it) => it !== null),
    ).toEqual([]);
    const [call] = calls;
    if (call !== undefined) expect(refusal(call.block, [...call.words, "--nosuch"])).not.toBeNull();
  });

  test("of package.json are scripts that are there", () => {
    const scripts = Object.keys(packageJson.scripts);
    const named = documents.flatMap(({ text }) => [
      ...text.matchAll(/\b(?:npm|bun) run (?:-s )?([a-z-]+)/g),
      ...text.matchAll(/^npm ([a-z]+)/gm),
    ]);
    const names = named.map(([, name = ""]) => name);
    expect(names).toEqual(expect.arrayContaining(["start", "test", "build", "guest"]));
    expect(names.filter((name) => !scripts.includes(name) && name !== "run")).toEqual([]);
  });
});

test("the commands on two machines in README.md are those of docs/install.md, which are tested", () => {
  const onMachines = (path: string): string[] => {
    const blocks = readDocument(path).blocks.filter(({ how }) => /^(?:lender|owner)/.test(how));
    return blocks.flatMap((block) => commandsOf(block).map((line) => `${block.how}: ${line}`));
  };
  const short = onMachines("README.md");
  expect(short.length).toBe(4);
  expect(onMachines("docs/install.md").slice(0, 4)).toEqual(short);
});

test("flags in the text are flags of this program", () => {
  const known = new Set([...COMMANDS.flatMap(flagsOf).map(({ name }) => name), ...OTHER_FLAGS]);
  const unknown = documents.flatMap(({ path, text }) => {
    const flags = [...text.matchAll(/`--([a-z][a-z-]*)/g)].map(([, flag = ""]) => flag);
    return flags
      .filter((flag) => !known.has(flag) && !known.has(flag.replace(/^no-/, "")))
      .map((flag) => `${path}: --${flag}`);
  });
  expect(unknown).toEqual([]);
});

test("output is like a line with the same words and other numbers, but for 0", () => {
  const line = outputLike("PASS  8 nodes, 7.6 s, 0 lost");
  for (const other of ["PASS  12 nodes, 5.0 s, 0 lost", "  PASS 1 nodes, 0.25 s, 0 lost"])
    expect(other).toMatch(line);
  const unlike = [
    "PASS  0 nodes, 7.6 s, 0 lost",
    "PASS  8 nodes, 7 s, 0 lost",
    "PASS  8 nodes, 7.6 s, 1 lost",
    "PASS  8 nodes, 7.6 s, 0 lost, 1 late",
  ];
  for (const other of unlike) expect(other).not.toMatch(line);
});

describe("docs/operations.md", () => {
  /** The code in the first cells of a section's tables: `...` stands for what varies. */
  function linesIn(section: string): string[] {
    const [, rest = ""] = readDocument("docs/operations.md").text.split(`\n## ${section}\n`);
    const [part = ""] = rest.split("\n## ");
    const cells = part.split("\n").flatMap((row) => /^\| (`.*?) \| /.exec(row)?.[1] ?? []);
    return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code));
  }

  const source = [...new Bun.Glob("src/**/*.ts").scanSync(ROOT)]
    .filter((path) => !path.endsWith(".test.ts"))
    .map((path) => readFileSync(join(ROOT, path), "utf8"))
    .join("\n");

  test.each(["Warnings", "Lines of `ramster status`"])(
    "%s: each is a line of the source",
    (section) => {
      const lines = linesIn(section);
      expect(lines.length).toBeGreaterThan(8);
      const strangers = lines.filter((line) => {
        const parts = line.split(/\.\.\.|: /).map((part) => part.trim());
        return !parts.every((part) => source.includes(part));
      });
      expect(strangers).toEqual([]);
    },
  );
});
