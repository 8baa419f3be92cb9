import { expect, test } from "bun:test";
import { Progress } from "./progress.ts";

function terminal(options: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  const { isTTY, columns = 80 } = options;
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

test("a line has phase, share and detail, is rewritten in place, and erased", () => {
  const stream = terminal({ isTTY: true });
  const progress = new Progress(stream, { quiet: false });
  progress.show("load", 0.5, "7 pages");
  progress.show("load", 9, "8 pages");
  progress.end();
  progress.end();
  expect(stream.written).toEqual([
    `\r\u001b[Kload     [${"#".repeat(12)}${".".repeat(12)}] 7 pages`,
    `\r\u001b[Kload     [${"#".repeat(24)}] 8 pages`,
    "\r\u001b[K",
  ]);
});

test("a bar that is cleared makes room for a line, and is shown again", () => {
  const stream = terminal({ isTTY: true });
  const progress = new Progress(stream, { quiet: false });
  progress.show("load", 0, "");
  progress.clear();
  progress.clear();
  expect(stream.written.slice(1)).toEqual(["\r\u001b[K"]);
  progress.show("load", 0, "");
  expect(stream.written).toHaveLength(3);
});

test("nothing is shown after the end", () => {
  const stream = terminal({ isTTY: true });
  const progress = new Progress(stream, { quiet: false });
  progress.show("load", 0, "");
  progress.end();
  progress.show("load", 1, "");
  expect(stream.written.at(-1)).toBe("\r\u001b[K");
});

test("a line is never longer than the terminal is wide", () => {
  const stream = terminal({ isTTY: true, columns: 40 });
  new Progress(stream, { quiet: false }).show("load", 0, "x".repeat(100));
  expect(stream.written[0]?.length).toBe("\r\u001b[K".length + 39);
});

test("nothing is shown without a terminal, or when the result goes to a program", () => {
  for (const [isTTY, quiet] of [
    [false, false],
    [true, true],
  ] as const) {
    const stream = terminal({ isTTY });
    const progress = new Progress(stream, { quiet });
    progress.show("load", 0.5, "7 pages");
    progress.end();
    expect(stream.written).toEqual([]);
  }
});
