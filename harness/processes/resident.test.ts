/** Memory is given back to the operating system, as measured in a process that does only this. */
import { expect, test } from "bun:test";

const MIB = 1024 * 1024;

interface Grown {
  readonly before: number;
  readonly full: number;
  readonly empty: number;
  readonly isLocked: boolean;
}

async function grown(...words: readonly string[]): Promise<Grown> {
  const fixture = new URL("resident-fixture.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, fixture, ...words], { stdout: "pipe" });
  const result: Grown = JSON.parse(await new Response(child.stdout).text());
  expect(await child.exited).toBe(0);
  return result;
}

// Where memory may not be locked, "locked" has no effect.
test.each([[[]], [["locked"]]])(
  "resident memory falls after 512 MiB of pages are flushed, %p",
  async (words) => {
    const { full, empty } = await grown(...words);
    expect(full).toBeGreaterThan(450 * MIB);
    expect(empty).toBeLessThan(64 * MIB);
  },
);

test.each([[[]], [["locked"]]])(
  "pinned memory is resident before the first page, and stays, %p",
  async (words) => {
    const { before, full, empty } = await grown("pinned", ...words);
    expect(before).toBeGreaterThan(512 * MIB);
    expect(full).toBeLessThan(64 * MIB);
    expect(empty).toBeGreaterThan(-16 * MIB);
  },
);
