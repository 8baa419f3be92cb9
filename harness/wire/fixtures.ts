/** Reads fixtures/wire. */
import { readdirSync, readFileSync } from "node:fs";
import { parseHex } from "./hex.ts";
import type { JsonFrame } from "./json-frame.ts";

export interface GoodFixture {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly json: JsonFrame;
}

export interface BadFixture {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Why the frame must be refused. */
  readonly reason: string;
}

/** `path` below fixtures/wire. */
export function fixtureUrl(path: string): URL {
  return new URL(`../../fixtures/wire/${path}`, import.meta.url);
}

export function goodFixtures(): GoodFixture[] {
  return hexNames("good").map((name) => ({
    name,
    bytes: parseHex(readFileSync(fixtureUrl(`good/${name}.hex`), "utf8")),
    json: JSON.parse(readFileSync(fixtureUrl(`good/${name}.json`), "utf8")) as JsonFrame,
  }));
}

export function badFixtures(): BadFixture[] {
  return hexNames("bad").map((name) => {
    const text = readFileSync(fixtureUrl(`bad/${name}.hex`), "utf8");
    const reason = /^# reason: (.*)$/m.exec(text)?.[1] ?? "";
    return { name, bytes: parseHex(text), reason };
  });
}

function hexNames(folder: string): string[] {
  const files = readdirSync(fixtureUrl(folder)).filter((file) => file.endsWith(".hex"));
  return files.map((file) => file.slice(0, -".hex".length)).sort();
}
