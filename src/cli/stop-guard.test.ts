import { expect, test } from "bun:test";
import { Log } from "../core/log.ts";
import { StopGuard } from "./stop-guard.ts";

function guardOf(names: readonly string[]) {
  const lines: string[] = [];
  const log = new Log((level, area, line) => lines.push(`${area} ${level}: ${line}`));
  return { lines, guard: new StopGuard(log, () => names) };
}

test("the first SIGINT does not stop a node with an export in use, the second one does", () => {
  const { guard, lines } = guardOf(["swap"]);
  expect(guard.mayStop("SIGINT")).toBe(false);
  expect(lines).toEqual([
    'doors warn: Export "swap" is in use: run ramster swap off first. ' +
      "Press Ctrl-C again to end the node and lose its pages",
  ]);
  expect(guard.mayStop("SIGINT")).toBe(true);
});

test("SIGTERM stops it, with a warning", () => {
  const { guard, lines } = guardOf(["a", "b"]);
  expect(guard.mayStop("SIGTERM")).toBe(true);
  expect(lines).toEqual([
    'doors warn: Exports "a", "b" are in use: their pages are lost with this node',
  ]);
});

test("a node without exports in use stops at once", () => {
  const { guard, lines } = guardOf([]);
  expect([guard.mayStop("SIGINT"), lines]).toEqual([true, []]);
});
