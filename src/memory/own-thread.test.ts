import { expect, test } from "bun:test";
import { OwnThread } from "./own-thread.ts";

test("cpuMs() grows while the thread works, and not faster than time", () => {
  const thread = OwnThread.open();
  if (thread === null) throw new Error("there is no C library here");
  const startMs = performance.now();
  const before = thread.cpuMs();
  let sum = 0;
  while (thread.cpuMs() - before < 5) sum += 1;
  expect(sum).toBeGreaterThan(0);
  expect(thread.cpuMs() - before).toBeLessThan(performance.now() - startMs + 1);
});
