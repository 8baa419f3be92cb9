import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKeyText } from "./key.ts";

const REFUSED = "other users can read it, run chmod 600 on it and consider a new key";

test("a key is for its owner, and for a group that root chose", () => {
  const folder = mkdtempSync(join(tmpdir(), "ramster-key-"));
  try {
    const path = join(folder, "cluster.key");
    writeFileSync(path, "text");
    const outcome = (mode: number): string => {
      chmodSync(path, mode);
      try {
        return readKeyText(path);
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(outcome(0o600)).toBe("text");
    for (const mode of [0o604, 0o660, 0o620, 0o601]) expect(outcome(mode)).toContain(REFUSED);
    if (process.getuid?.() === 0) expect(outcome(0o640)).toBe("text");
    else expect(outcome(0o640)).toContain(REFUSED);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
