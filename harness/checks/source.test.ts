import { describe, expect, test } from "bun:test";
import { blank, commentsOf, importsOf } from "./source.ts";
import { readSources, sample } from "./sources.ts";

describe("blank()", () => {
  test("keeps lines, columns and code", () => {
    const text = 'a("b") /* c\nd */ + `e${f("g")}h`; // i\n/j"k/.test(l) / 2 / m';
    const expected = 'a(" ")     \n     + ` ${f(" ")} `;     \n/   /.test(l) / 2 / m';
    expect(blank(text)).toBe(expected);
  });

  test("of every source file has as many characters, and braces that match", () => {
    for (const { path, text } of readSources()) {
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

test("commentsOf() keeps comments, and nothing else", () => {
  expect(commentsOf('a("// b"); // c\n/* d */ e')).toBe("           // c\n/* d */  ");
});
