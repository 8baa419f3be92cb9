import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileReason } from "./system-error.ts";
import { readTextAgain, readTextFile } from "./text-file.ts";

const directory = mkdtempSync(join(tmpdir(), "ramster-test-"));
const path = join(directory, "file");

afterAll(() => rmSync(directory, { recursive: true }));

test("a file up to the limit is read as it is, without its byte order mark", () => {
  for (const text of ["", "a", "é".repeat(2048)]) {
    writeFileSync(path, text);
    expect(readTextFile(path, 4096)).toBe(text);
  }
  writeFileSync(path, "\ufeffa = 1");
  expect(readTextFile(path, 4096)).toBe("a = 1");
});

test("a file without an end, or longer than the limit, is refused", () => {
  expect(() => readTextFile("/dev/zero", 4096)).toThrow("it is longer than 4096 bytes");
  writeFileSync(path, "a".repeat(4097));
  expect(() => readTextFile(path, 4096)).toThrow("it is longer than 4096 bytes");
});

test("the error names the line with bytes or a character that are not text", () => {
  writeFileSync(path, Buffer.concat([Buffer.from("é\n\nb = "), Buffer.of(0xe9, 0x0a, 0x0a)]));
  expect(() => readTextFile(path, 4096)).toThrow("line 3 is not UTF-8 text");
  for (const [text, refusal] of [
    ["a\nb\0\n", "line 2 has the character U+0000, which is not text"],
    ["a\r\nb\rc\n", "line 2 has the character U+000D, which is not text"],
    ["a\n\n\ufeffb", "line 3 has the character U+FEFF, which is not text"],
    ["a\u0085", "line 1 has the character U+0085, which is not text"],
  ] as const) {
    writeFileSync(path, text);
    expect(() => readTextFile(path, 4096)).toThrow(refusal);
  }
  writeFileSync(path, Buffer.from("\ufeffa = 1\n", "utf16le"));
  expect(() => readTextFile(path, 4096)).toThrow("line 1 is not UTF-8 text");
  writeFileSync(path, "a\tb\r\nc\r\n");
  expect(readTextFile(path, 4096)).toBe("a\tb\r\nc\r\n");
});

test("content that is not text, or a missing file, is refused", () => {
  writeFileSync(path, Uint8Array.of(0x61, 0xe9, 0x0a));
  expect(() => readTextFile(path, 4096)).toThrow("line 1 is not UTF-8 text");
  expect(() => readTextFile(directory, 4096)).toThrow("it is a directory");
  expect(() => readTextFile(join(directory, "none"), 4096)).toThrow(
    "there is no such file or directory",
  );
});

test("fileReason() has words for errors of the system, and keeps others", () => {
  const error = Object.assign(new Error("ENOENT: no such file, open 'x'"), { code: "ENOENT" });
  expect(fileReason(error)).toBe("there is no such file or directory");
  expect(fileReason(new Error("it is longer than 7 bytes"))).toBe("it is longer than 7 bytes");
  expect(fileReason("text")).toBe("text");
});

test("a pipe or an empty file is not read again", () => {
  const folder = mkdtempSync(join(tmpdir(), "ramster-test-"));
  try {
    const pipe = join(folder, "pipe");
    expect(Bun.spawnSync(["mkfifo", pipe]).success).toBe(true);
    expect(() => readTextAgain(pipe, 100)).toThrow("it is no regular file");
    const empty = join(folder, "empty");
    writeFileSync(empty, "");
    expect(() => readTextAgain(empty, 100)).toThrow("it is empty");
    writeFileSync(empty, "a = 1\n");
    expect(readTextAgain(empty, 100)).toBe("a = 1\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
