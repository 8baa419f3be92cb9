import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poll } from "./poll.ts";

test("a wrong address is an error at once, whether or not it may be tried again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ramster-test-"));
  const at = { client: { kind: "unix", path: join(folder, "nobody") }, keyPath: null } as const;
  const outages: string[] = [];
  for (const retries of [true, false]) {
    const polled = poll(at, new AbortController().signal, {
      retries,
      read: async () => 1,
      onOutage: (reason) => outages.push(reason),
    });
    await expect(polled).rejects.toMatchObject({ code: "ADDRESS_UNREACHABLE" });
  }
  expect(outages).toEqual([]);
  rmSync(folder, { recursive: true });
});
