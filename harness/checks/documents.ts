/**
 * Documents: the Markdown files of this project, and the commands in them.
 *
 *     ```sh (keeps running)     the words in brackets say how to run the commands: see HOWS
 *     ramster server ...
 *     ```
 *     ```text (output)          lines that the block before prints, among others
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");

/** How the commands of a block run. */
export const HOWS = {
  "": "run to their end",
  "keeps running": "one command, which is ready when it prints so",
  root: "change this machine: they take root",
  clone: "run in a clone of this repository",
  "needs a node": "need a node that runs already",
  "needs nbdinfo": "need another program",
  "needs qemu-img": "need another program",
  lender: "run on the first of two machines",
  "lender, keeps running": "one command there, which is ready when it prints so",
  owner: "run on the second of two machines",
} as const;

export type How = keyof typeof HOWS;

export interface Block {
  /** From the root of the project, with the line of the fence: `docs/swap.md:12`. */
  readonly at: string;
  readonly language: string;
  /** The words in brackets. */
  readonly how: string;
  /** Without the indentation of the fence. */
  readonly lines: readonly string[];
}

export interface Document {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

export function documentPaths(): string[] {
  const patterns = ["*.md", "docs/*.md", "src/**/*.md", "harness/**/*.md"];
  return patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]).sort();
}

export function readDocument(path: string): Document {
  const text = readFileSync(join(ROOT, path), "utf8");
  return { path, text, blocks: blocksOf(path, text) };
}

function blocksOf(path: string, text: string): Block[] {
  const blocks: Block[] = [];
  let open: { indent: number; block: Block; lines: string[] } | null = null;
  for (const [i, line] of text.split("\n").entries()) {
    if (open !== null) {
      if (line.trim() === "```") open = null;
      else open.lines.push(line.slice(open.indent));
      continue;
    }
    const [, indent = "", language = "", how = ""] =
      /^( *)```(\w*)(?: \((.*)\))?$/.exec(line) ?? [];
    if (!line.trimStart().startsWith("```")) continue;
    const lines: string[] = [];
    const block = { at: `${path}:${i + 1}`, language, how, lines };
    blocks.push(block);
    open = { indent: indent.length, block, lines };
  }
  return blocks;
}

/** The commands of a block: continued lines joined, comments left out. */
export function commandsOf({ lines }: Block): string[] {
  return lines
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .map((line) => line.replace(/(^|\s+)#.*$/, ""))
    .filter((line) => line !== "");
}

/**
 * Matches lines with the same words, and other numbers: 0 stands for itself, any other integer for
 * any but 0, and a number with a fraction for any with one.
 */
export function outputLike(line: string): RegExp {
  const number = (digits: string, fraction?: string): string => {
    if (fraction !== undefined) return "\\d+\\.\\d+";
    return Number(digits) === 0 ? "0" : "[1-9]\\d*";
  };
  const pattern = line
    .trim()
    .replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")
    .replaceAll(/\s+/g, " +")
    .replaceAll(/\d+(\\\.\d+)?/g, number);
  return new RegExp(`^ *${pattern}$`, "m");
}

/** The words of each call of this program in a command, without its name. */
export function ramsterCalls(command: string): string[][] {
  return command
    .split(" | ")
    .map((part) => part.trim().split(/\s+/))
    .filter(([program = ""]) => /^(?:dist\/)?ramster$/.test(program))
    .map(([, ...words]) => words);
}
