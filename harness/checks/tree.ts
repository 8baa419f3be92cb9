/**
 * Rules about all files together: no file is dead, no import forms a circle, each file has a
 * header, and the files that comments name exist. tree.test.ts runs the rules over the tree.
 */
import {
  commentsOf,
  type Finding,
  importsOf,
  isProduct,
  isTest,
  linesOf,
  type SourceFile,
} from "./source.ts";

/** Files of src that nothing reaches from `entries`, over imports of any kind. */
export function deadFiles(files: readonly SourceFile[], entries: readonly string[]): Finding[] {
  const targets = importTargets(files);
  const reached = new Set<string>();
  const open = [...entries];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    open.push(...(targets.get(path) ?? []));
  }
  return files
    .filter((file) => isProduct(file.path) && !reached.has(file.path))
    .map(({ path }) => ({
      path,
      line: 0,
      message: `nothing reaches it from ${entries.join(", ")}`,
    }));
}

/** One finding for each circle of imports, at the file of it that comes first. */
export function circles(files: readonly SourceFile[]): Finding[] {
  const targets = importTargets(files.filter((file) => !isTest(file.path)));
  const findings: Finding[] = [];
  const done = new Set<string>();
  for (const start of [...targets.keys()].sort()) {
    const way = wayBack(start, targets, done);
    // What is in no circle, or in one that is reported, is not walked through again.
    done.add(start);
    if (way === null) continue;
    const message = `it imports itself: ${[...way, start].join(" -> ")}`;
    findings.push({ path: start, line: 0, message });
  }
  return findings;
}

/** The shortest way of imports from `start` to itself that avoids `closed`, without the end. */
function wayBack(
  start: string,
  targets: ReadonlyMap<string, readonly string[]>,
  closed: ReadonlySet<string>,
): string[] | null {
  const cameFrom = new Map<string, string>();
  const open = [start];
  for (const path of open) {
    for (const target of targets.get(path) ?? []) {
      if (target === start) {
        const way = [path];
        for (let at = path; at !== start; ) {
          at = cameFrom.get(at) ?? start;
          way.unshift(at);
        }
        return way;
      }
      if (closed.has(target) || cameFrom.has(target)) continue;
      cameFrom.set(target, path);
      open.push(target);
    }
  }
  return null;
}

/** By file: the files of the project that it imports. */
function importTargets(files: readonly SourceFile[]): Map<string, string[]> {
  return new Map(
    files.map((file) => [file.path, importsOf(file).flatMap(({ target }) => target ?? [])]),
  );
}

/** Files that do not begin with a comment. A test may leave it to the file that it tests. */
export function headless(files: readonly SourceFile[]): Finding[] {
  const paths = new Set(files.map(({ path }) => path));
  return files
    .filter(({ path, text }) => !path.endsWith(".d.ts") && !/^\/[/*]/.test(text))
    .filter(({ path }) => !(path.endsWith(".test.ts") && paths.has(testedBy(path))))
    .map(({ path }) => ({ path, line: 1, message: "begin with a comment on what the file is" }));
}

function testedBy(path: string): string {
  return path.replace(/\.test\.ts$/, ".ts");
}

/** `remote-pages.ts`, `src/core/list.ts`, `docs/original.md`. */
const FILE_NAME = /(?<![\w@/.*-])[\w-][\w./-]*\.(?:ts|md)\b(?![\w/*])/g;

/** Files of other projects: that is where NBD has its protocol. */
const OF_OTHERS = ["doc/proto.md"];

/** Names of files in comments that none of `paths` ends with. */
export function missingFiles(files: readonly SourceFile[], paths: readonly string[]): Finding[] {
  const known = new Set(paths.flatMap(endingsOf));
  return files.flatMap((file) =>
    linesOf(commentsOf(file.text)).flatMap(({ text, line }) =>
      [...text.matchAll(FILE_NAME)]
        .filter(([name]) => !known.has(name) && !OF_OTHERS.includes(name))
        .map(([name]) => ({ path: file.path, line, message: `there is no file "${name}"` })),
    ),
  );
}

/** `src/core/list.ts`, `core/list.ts` and `list.ts`. */
function endingsOf(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, i) => parts.slice(i).join("/"));
}
