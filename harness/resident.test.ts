/** Memory is given back to the operating system: measured from inside a process of its own. */
import { expect, test } from "bun:test";

const MIB = 1024 * 1024;

interface Grown {
  readonly full: number;
  readonly empty: number;
}

test("resident memory falls after 512 MiB of pages are flushed", async () => {
  const fixture = new URL("resident-fixture.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, fixture], { stdout: "pipe" });
  const { full, empty }: Grown = JSON.parse(await new Response(child.stdout).text());
  expect(full).toBeGreaterThan(450 * MIB);
  expect(empty).toBeLessThan(64 * MIB);
  expect(await child.exited).toBe(0);
});
