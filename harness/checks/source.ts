/**
 * Source text as the rules of tidy.ts and tree.ts see it: lines, imports, and code without comments
 * and quoted text. It is text with patterns, not a syntax tree.
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

export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.endsWith(".d.ts");
}

export function isProduct(path: string): boolean {
  return path.startsWith("src/") && !isTest(path);
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
  const code = blank(file.text);
  const found = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)"([^"\n]+)"/gm;
  return [...text.matchAll(found)]
    .filter((match) => isCode(code, match.index))
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

/** Whether the first word at `index` of blanked text stands outside of quotes and comments. */
function isCode(code: string, index: number): boolean {
  return /^\s*(from|import)\b/.test(code.slice(index, index + 20));
}

export function linesOf(text: string): { text: string; line: number }[] {
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

/** The text with spaces in place of all but comments. */
export function commentsOf(text: string): string {
  const code = blank(text);
  const without = blank(text, { comments: "keep" });
  return [...without].map((it, i) => (it === code[i] && it !== "\n" ? " " : it)).join("");
}
