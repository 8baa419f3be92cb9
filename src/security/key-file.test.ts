import { expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { type ClusterKey, formatKeyFile, parseKeyFile } from "./key-file.ts";
import { makeKey } from "./make-key.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const key = await makeKey({ nowMs: NOW, days: 30 });
const other = await makeKey({ nowMs: NOW, days: 30 });

function refusal(changes: Partial<ClusterKey>, nowMs: number | null = NOW): string {
  try {
    parseKeyFile(formatKeyFile({ ...key, ...changes }), nowMs);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}

test("a key comes back from its file, with all of its gossip keys", () => {
  const two = { ...key, gossipKeys: [...key.gossipKeys, new Uint8Array(16).fill(3)] };
  const read = parseKeyFile(formatKeyFile(two), NOW);
  expect(read.gossipKeys.map((it) => [...it])).toEqual(two.gossipKeys.map((it) => [...it]));
  expect(read.tls.key.trim()).toBe(key.tls.key.trim());
  expect(formatKeyFile(read)).toBe(formatKeyFile(two));
  expect(refusal({}, null)).toBe("");
});

test("dates are looked at: a day before it was made to the last of its days", () => {
  expect(refusal({}, NOW - DAY_MS + 1000)).toBe("");
  expect(refusal({}, NOW + 30 * DAY_MS - 1000)).toBe("");
  expect(refusal({}, NOW + 31 * DAY_MS)).toBe(
    "its certificate expired on Jan 31 00:00:00 2026 GMT",
  );
  expect(refusal({}, NOW - 2 * DAY_MS)).toContain("is the clock right?");
  expect(refusal({}, null)).toBe("");
});

test("parts of two files, parts that are damaged, and other files are refused", () => {
  expect(refusal({ tls: { ...key.tls, authority: other.tls.authority } })).toContain("two files");
  const damaged = key.tls.certificate.replace(/[A-Za-z]{8}\n/, "AAAAAAAA\n");
  expect(refusal({ tls: { ...key.tls, certificate: damaged } })).not.toBe("");
  expect(refusal({ gossipKeys: [] })).toBe("it has no gossip-key");
  expect(refusal({ gossipKeys: [new Uint8Array(20)] })).toContain("one here has 20");
  const text = formatKeyFile(key);
  expect(() => parseKeyFile("hello", NOW)).toThrow("it is no key file");
  expect(() => parseKeyFile(text.replace(/gossip-key = .*/, "gossip-key = ???"), NOW)).toThrow(
    "no base64",
  );
});
