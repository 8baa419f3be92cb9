import { describe, expect, test } from "bun:test";
import { nearest } from "./nearest.ts";

const FLAGS = ["memory", "number", "name", "high-mark", "low-mark", "peers"];

describe("nearest()", () => {
  test("finds a word with a letter missing, added, changed or swapped", () => {
    expect(nearest("memry", FLAGS)).toBe("memory");
    expect(nearest("memmory", FLAGS)).toBe("memory");
    expect(nearest("nunber", FLAGS)).toBe("number");
    expect(nearest("pesre", FLAGS)).toBeNull();
    expect(nearest("pere", FLAGS)).toBeNull();
    expect(nearest("peesr", FLAGS)).toBe("peers");
    expect(nearest("highmark", FLAGS)).toBe("high-mark");
  });

  test("finds nothing where the words have little in common", () => {
    expect(nearest("verbose", FLAGS)).toBeNull();
    expect(nearest("", FLAGS)).toBeNull();
    expect(nearest("x", FLAGS)).toBeNull();
  });

  test("takes the closest of several", () => {
    expect(nearest("low-markk", FLAGS)).toBe("low-mark");
    expect(nearest("nam", ["names", "name"])).toBe("name");
  });

  test("is done with a word of millions of letters at once", () => {
    const many = Array.from({ length: 200 }, (_, i) => `${FLAGS[i % FLAGS.length]}-${i}`);
    expect(nearest("memory".repeat(1_000_000), many)).toBeNull();
  });
});
