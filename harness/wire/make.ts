/**
 * Writes fixtures/wire from good-frames.ts and bad-frames.ts: `bun harness/wire/make.ts`. A changed
 * file means a changed protocol: see "Versions" in src/wire/PROTOCOL.md.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { BAD_FRAMES } from "./bad-frames.ts";
import { fixtureUrl } from "./fixtures.ts";
import { hexFile } from "./frame-writer.ts";
import { GOOD_FRAMES } from "./good-frames.ts";

/** Every file with its text, by path below fixtures/wire. */
export function goldenFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name, about, fields, json } of GOOD_FRAMES) {
    files.set(`good/${name}.hex`, hexFile([about], fields));
    files.set(`good/${name}.json`, `${JSON.stringify(json, null, 2)}\n`);
  }
  for (const { name, reason, fields } of BAD_FRAMES) {
    files.set(`bad/${name}.hex`, hexFile([`reason: ${reason}`], fields));
  }
  return files;
}

if (import.meta.main) {
  for (const folder of ["good", "bad"]) {
    rmSync(fixtureUrl(folder), { recursive: true, force: true });
    mkdirSync(fixtureUrl(folder), { recursive: true });
  }
  const files = goldenFiles();
  for (const [path, text] of files) writeFileSync(fixtureUrl(path), text);
  console.log(`${files.size} files written`);
}
