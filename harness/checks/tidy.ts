/**
 * Tidy: the style of this project as rules that can fail, for what no linter knows.
 *
 * A rule takes one source file and says what is wrong in it, as lines of text. Dead files are
 * found over all files at once. tidy.test.ts runs the rules over the tree, and each rule over a
 * bad snippet.
 *
 * Rules look at the text, not at a syntax tree. `blank` first puts spaces in place of comments and
 * of what is inside quotes, so that a word in a sentence is no call.
 */
import { dirname, join, normalize } from "node:path";

export interface SourceFile {
  /** From the root of the project, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly path: string;
  /** From 1; 0 is the file as a whole. */
  readonly line: number;
  readonly message: string;
}

export interface Rule {
  readonly name: string;
  readonly check: (file: SourceFile) => readonly Finding[];
}

const LINES_MAX = 600;
const COLUMNS_MAX = 100;
/**
 * What the formatter leaves on one line: a literal that has it to itself, and the title of a test.
 */
const UNBREAKABLE = /^\s*(?:\w+: )?(["'`/]).*\1[dgimsuy]*[,;)]*$|^\s*\)?(?:test|describe)?\("/;

/** What each room of src may import, besides itself. "+" adds all that the named room may. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  memory: ["core"],
  disk: ["core"],
  spill: ["core"],
  frames: ["core"],
  tmem: ["core"],
  zbud: ["core", "frames"],
  compress: ["core"],
  zcache: ["tmem", "zbud", "compress", "frames", "core"],
  wire: ["core"],
  net: ["wire", "core"],
  gossip: ["core"],
  cluster: ["gossip", "net", "core"],
  security: ["gossip", "net", "core"],
  ramster: ["spill", "zcache", "tmem", "zbud", "compress", "net", "wire", "core"],
  nbd: ["net", "core"],
  http: ["net", "core"],
  doors: ["http", "ramster", "net", "wire", "core"],
  exports: ["ramster", "nbd", "net", "core"],
  client: ["security", "net", "wire", "memory", "core"],
  node: [
    ...["doors", "exports", "ramster", "zcache", "tmem", "zbud", "compress", "frames"],
    ...["cluster", "gossip", "security", "net", "wire", "memory", "core"],
  ],
  cli: [
    "node",
    "cluster",
    "doors",
    "exports",
    "client",
    "security",
    "gossip",
    "memory",
    "disk",
    "net",
    "wire",
    "core",
  ],
  main: ["cli", "core"],
};

/** Single files that a room may import although the room that they are in is closed to it. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  "src/cli/stress.ts": ["harness/"],
};

/**
 * What is not ours: each has the rooms or files that may import it. Types of tests are no matter.
 */
const OUTSIDE: readonly { readonly name: RegExp; readonly homes: readonly string[] }[] = [
  { name: /^lz4-wasm/, homes: ["src/compress/"] },
  { name: /^(cac|kleur)$/, homes: ["src/cli/"] },
  { name: /^@msgpack\/msgpack$/, homes: ["src/gossip/"] },
  { name: /^node:(crypto|zlib)$/, homes: ["src/gossip/", "src/security/"] },
  { name: /^node:dns/, homes: ["src/net/bun-datagrams.ts"] },
  { name: /^(@peculiar\/x509|reflect-metadata)$/, homes: ["src/security/"] },
  { name: /^prom-client$/, homes: ["src/doors/metrics.ts"] },
  { name: /^bun:(ffi|jsc)$/, homes: ["src/memory/"] },
  { name: /^node:buffer$/, homes: ["src/"] },
  {
    name: /^node:fs/,
    homes: [
      ...[
        "src/net/bun.ts",
        "src/net/bun-listener.ts",
        "src/compress/lz4.ts",
        "src/memory/linux-memory.ts",
      ],
      ...["src/memory/linux-process.ts", "src/memory/descriptors.ts"],
      "src/memory/libc-path.ts",
      ...["src/disk/", "src/cli/", "src/main.ts"],
    ],
  },
  {
    name: /^node:/,
    homes: ["src/net/bun.ts", "src/memory/", "src/disk/", "src/cli/", "src/main.ts"],
  },
];

/** Where time, chance, the process and the console may be touched. */
const EFFECT_HOMES = [
  ...["src/net/bun.ts", "src/net/bun-datagrams.ts", "src/net/bun-listener.ts"],
  ...["src/memory/", "src/disk/", "src/cli/", "src/main.ts"],
];

const BANNED: readonly {
  readonly call: RegExp;
  readonly instead: string;
  readonly homes: readonly string[];
}[] = [
  { call: /\bDate\.now\b|\bnew Date\(\)/, instead: "the Clock passed in", homes: EFFECT_HOMES },
  { call: /\bperformance\./, instead: "the Clock passed in", homes: EFFECT_HOMES },
  { call: /\bMath\.random\b/, instead: "the Random passed in", homes: EFFECT_HOMES },
  {
    call: /\b(set(Timeout|Interval|Immediate)|queueMicrotask)\b/,
    instead: "the Clock passed in",
    homes: EFFECT_HOMES,
  },
  {
    call: /\bprocess\.exit\b/,
    instead: "an exit code returned to main.ts",
    homes: ["src/main.ts"],
  },
  { call: /\bprocess\./, instead: "what main.ts and cli pass in", homes: EFFECT_HOMES },
  {
    call: /\bBun\.hash\.crc32\b/,
    instead: "Checksummer",
    homes: [...EFFECT_HOMES, "src/compress/checksum.ts"],
  },
  { call: /\bBun\.(?!hash\.crc32\b)/, instead: "an interface", homes: EFFECT_HOMES },
  { call: /\bconsole\./, instead: "counters and errors", homes: EFFECT_HOMES },
];

export const RULES: readonly Rule[] = [
  { name: "layering", check: layering },
  { name: "outside imports", check: outsideImports },
  { name: "file length", check: fileLength },
  { name: "line length", check: lineLength },
  { name: "banned calls", check: bannedCalls },
  { name: "no any", check: noAny },
  { name: "nothing focused, skipped or promised", check: nothingPromised },
  { name: "no mutable state at module level", check: noModuleState },
  { name: "no empty catch", check: noEmptyCatch },
  { name: "imports with extension", check: importsWithExtension },
];

function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.endsWith(".d.ts");
}

function isProduct(path: string): boolean {
  return path.startsWith("src/") && !isTest(path);
}

/** `core` for src/core/list.ts, `main` for src/main.ts. */
function roomOf(path: string): string {
  const [, first = ""] = path.split("/");
  return first.replace(/\.ts$/, "");
}

function isAt(homes: readonly string[], path: string): boolean {
  return homes.some((home) => (home.endsWith("/") ? path.startsWith(home) : path === home));
}

function layering(file: SourceFile): Finding[] {
  if (!isProduct(file.path)) return [];
  const room = roomOf(file.path);
  const allowed = ROOMS[room];
  if (allowed === undefined) {
    return [{ path: file.path, line: 0, message: `"src/${room}" is not in the table of rooms` }];
  }
  return importsOf(file).flatMap(({ target, line }) => {
    if (target === null || isAt(FILES[file.path] ?? [], target)) return [];
    if (target === "package.json" && room === "cli") return [];
    const other = target.startsWith("src/") ? roomOf(target) : target;
    if (other === room || allowed.includes(other)) return [];
    const known = allowed.length === 0 ? "nothing" : allowed.join(", ");
    return [{ path: file.path, line, message: `"${room}" imports "${target}", may: ${known}` }];
  });
}

function outsideImports(file: SourceFile): Finding[] {
  if (!isProduct(file.path)) return [];
  return importsOf(file).flatMap(({ specifier, target, line }) => {
    if (target !== null) return [];
    const entry = OUTSIDE.find((it) => it.name.test(specifier));
    if (entry !== undefined && isAt(entry.homes, file.path)) return [];
    const homes = entry === undefined ? "nowhere" : `in ${entry.homes.join(", ")}`;
    return [{ path: file.path, line, message: `"${specifier}" is imported, allowed ${homes}` }];
  });
}

function fileLength(file: SourceFile): Finding[] {
  const count = file.text.trimEnd().split("\n").length;
  if (count <= LINES_MAX) return [];
  return [{ path: file.path, line: 0, message: `${count} lines, at most ${LINES_MAX}` }];
}

function lineLength(file: SourceFile): Finding[] {
  return linesOf(file.text).flatMap(({ text, line }) => {
    const columns = [...text].length;
    if (columns <= COLUMNS_MAX || UNBREAKABLE.test(text)) return [];
    return [{ path: file.path, line, message: `${columns} columns, at most ${COLUMNS_MAX}` }];
  });
}

function bannedCalls(file: SourceFile): Finding[] {
  if (!isProduct(file.path)) return [];
  return linesOf(blank(file.text)).flatMap(({ text, line }) =>
    BANNED.filter(({ call, homes }) => call.test(text) && !isAt(homes, file.path)).map((it) => {
      const found = it.call.exec(text)?.[0] ?? "";
      return { path: file.path, line, message: `"${found}" is banned here: use ${it.instead}` };
    }),
  );
}

function noAny(file: SourceFile): Finding[] {
  const type = /\bas any\b|[:<,|&(]\s*any\b(?!\s*[:(.=])|\bany\[\]/;
  return matches(file, blank(file.text), type, '"any": narrow an unknown instead');
}

function nothingPromised(file: SourceFile): Finding[] {
  const focused = /\b(test|it|describe)\b[\w.]*\.(only|skip|todo)\b/;
  const promised = new RegExp(["TO", "DO\\b|\\bFIX", "ME\\b|@ts-", "(ignore|nocheck)"].join(""));
  return [
    ...matches(file, blank(file.text), focused, "a test is focused or skipped"),
    ...matches(file, file.text, promised, "something is promised or hidden: do it, or file it"),
  ];
}

function noModuleState(file: SourceFile): Finding[] {
  if (isTest(file.path)) return [];
  const findings: Finding[] = [];
  let depth = 0;
  for (const { text, line } of linesOf(blank(file.text))) {
    if (depth === 0 && /^\s*(export\s+)?(let|var)\s/.test(text)) {
      findings.push({ path: file.path, line, message: "mutable at module level: make it a field" });
    }
    for (const character of text) {
      if ("{[(".includes(character)) depth += 1;
      if ("}])".includes(character)) depth -= 1;
    }
  }
  return findings;
}

function noEmptyCatch(file: SourceFile): Finding[] {
  const found = /\bcatch\s*(\([^)]*\))?\s*\{\s*\}/g;
  const text = blank(file.text, { comments: "keep" });
  return [...text.matchAll(found)].map((match) => ({
    path: file.path,
    line: text.slice(0, match.index).split("\n").length,
    message: "an empty catch: say in a comment why nothing is to be done",
  }));
}

function importsWithExtension(file: SourceFile): Finding[] {
  return importsOf(file).flatMap(({ specifier, target, line }) => {
    if (target === null || /\.[a-z]+$/.test(specifier)) return [];
    return [{ path: file.path, line, message: `"${specifier}" is imported without its extension` }];
  });
}

function matches(file: SourceFile, text: string, pattern: RegExp, message: string): Finding[] {
  return linesOf(text)
    .filter((it) => pattern.test(it.text))
    .map(({ line }) => ({ path: file.path, line, message }));
}

/** Files of src that nothing reaches from `entries`, over imports of any kind. */
export function deadFiles(files: readonly SourceFile[], entries: readonly string[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const open = [...entries];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { target } of importsOf(file)) if (target !== null) open.push(target);
  }
  return files
    .filter((file) => isProduct(file.path) && !reached.has(file.path))
    .map(({ path }) => ({
      path,
      line: 0,
      message: `nothing reaches it from ${entries.join(", ")}`,
    }));
}

export interface Import {
  readonly specifier: string;
  /** Path from the root of the project; null for a package or a module of the runtime. */
  readonly target: string | null;
  readonly line: number;
}

/** Every import and re-export of a file, also of types and in `import()`. */
export function importsOf(file: SourceFile): Import[] {
  // Comments are blank and quotes keep what they hold, so a specifier is still there.
  const text = blank(file.text, { quotes: "keep" });
  const found = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)"([^"\n]+)"/gm;
  return [...text.matchAll(found)]
    .filter((match) => isCode(file.text, match.index))
    .map((match) => {
      const specifier = match[1] ?? "";
      const start = match.index + match[0].search(/\S/);
      return {
        specifier,
        target: specifier.startsWith(".") ? normalize(join(dirname(file.path), specifier)) : null,
        line: text.slice(0, start).split("\n").length,
      };
    });
}

/** Whether the first word at `index` stands outside of quotes. */
function isCode(text: string, index: number): boolean {
  const at = index + (/\S/.exec(text.slice(index))?.index ?? 0);
  return blank(text)[at] === text[at];
}

function linesOf(text: string): { text: string; line: number }[] {
  return text.split("\n").map((it, index) => ({ text: it, line: index + 1 }));
}

/**
 * The text with spaces in place of comments and of what quotes hold, line by line as long as
 * before. Code in `${}` of a template stays code. A slash begins a regular expression where a
 * value may begin.
 */
export function blank(text: string, options: { comments?: "keep"; quotes?: "keep" } = {}): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[`{}]|\/(?![/*])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//y;
  let result = "";
  let at = 0;
  // One entry for each open brace: true where it is the `${` of a template.
  const braces: boolean[] = [];
  while (at < text.length) {
    token.lastIndex = at;
    const found = token.exec(text)?.[0];
    if (found === undefined || (isRegExp(found) && !mayBeginValue(result))) {
      result += text[at];
      at += 1;
      continue;
    }
    at += found.length;
    if (found === "{") braces.push(false);
    if (found === "`" || (found === "}" && braces.pop() === true)) {
      const end = templateEnd(text, at);
      const inside = text.slice(at, end.at);
      result += found + (options.quotes === "keep" ? inside : spaces(inside)) + end.mark;
      at = end.at + end.mark.length;
      if (end.mark === "${") braces.push(true);
      continue;
    }
    result += isMark(found) ? found : blankToken(found, options);
  }
  return result;
}

function isMark(found: string): boolean {
  return found === "{" || found === "}";
}

function isRegExp(found: string): boolean {
  return found.startsWith("/") && !found.startsWith("//") && !found.startsWith("/*");
}

/** A slash after a name, a number or a closing bracket divides. */
function mayBeginValue(before: string): boolean {
  const code = before.trimEnd();
  return /(^|[=(,:[!&|?{};+\-*%<>~^]|\b(return|typeof|case|in|of))$/.test(code.slice(-20));
}

/** Where the text of a template stops: at its closing quote, or at the next `${`. */
function templateEnd(text: string, from: number): { at: number; mark: string } {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "`") return { at, mark: "`" };
    else if (text.startsWith("${", at)) return { at, mark: "${" };
  }
  return { at: text.length, mark: "" };
}

function blankToken(found: string, options: { comments?: "keep"; quotes?: "keep" }): string {
  const isComment = found.startsWith("//") || found.startsWith("/*");
  if ((isComment ? options.comments : options.quotes) === "keep") return found;
  if (isComment) return spaces(found);
  const quote = found[0] ?? "";
  return quote + spaces(found.slice(1, -1)) + quote;
}

function spaces(text: string): string {
  return text.replace(/[^\n]/g, " ");
}
