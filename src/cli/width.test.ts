import { expect, test } from "bun:test";
import { columnsOf, wrapText } from "./width.ts";

test("columnsOf() is the width of a narrow terminal, and 80 otherwise", () => {
  expect(columnsOf({ isTTY: true, columns: 50 })).toBe(50);
  expect(columnsOf({ isTTY: true, columns: 200 })).toBe(80);
  expect(columnsOf({ isTTY: true, columns: 0 })).toBe(20);
  expect(columnsOf({ columns: 50 })).toBe(80);
});

test("wrapText() breaks long lines at words, and leaves tables and whole words", () => {
  expect(wrapText("at risk: no page and more", 16)).toBe("at risk: no\n  page and more");
  expect(wrapText("node  name  state  lends", 16)).toBe("node  name  state  lends");
  expect(wrapText("x".repeat(30), 16)).toBe("x".repeat(30));
  const long = "word ".repeat(30);
  expect(wrapText(long, 80)).toBe(long);
});
