import { expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import {
  authoritiesOf,
  type ClusterKey,
  certificateEndMs,
  formatKeyFile,
  parseKeyFile,
} from "./key-file.ts";
import { makeKey } from "./make-key.ts";
import { renewKey } from "./renew-key.ts";

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

test("all of its authorities are trusted, and the first certificate is shown", async () => {
  const add = await renewKey(key, "add", async () => other);
  const use = await renewKey(add, "use", async () => other);
  const remove = await renewKey(use, "remove", async () => other);
  for (const [step, shown, trusted] of [
    [add, key, [key, other]],
    [use, other, [key, other]],
    [remove, other, [other]],
  ] as const) {
    const read = parseKeyFile(formatKeyFile(step), NOW);
    expect(read.tls.certificate.trim()).toBe(shown.tls.certificate.trim());
    expect(read.tls.key.trim()).toBe(shown.tls.key.trim());
    expect(authoritiesOf(read.tls)).toEqual(trusted.map(({ tls }) => tls.authority.trim()));
    expect(read.gossipKeys).toEqual(key.gossipKeys.map((it) => new Uint8Array(it)));
    expect(formatKeyFile(read)).toBe(formatKeyFile(step));
  }
});

test("a step that is not the next one is refused", async () => {
  const fresh = async () => other;
  const add = await renewKey(key, "add", fresh);
  const use = await renewKey(add, "use", fresh);
  for (const [at, next, wrong] of [
    [key, "add", ["use", "remove"]],
    [add, "use", ["add", "remove"]],
    [use, "remove", ["add", "use"]],
  ] as const) {
    for (const step of wrong) {
      await expect(renewKey(at, step, fresh)).rejects.toThrow(`the next step for it is "${next}"`);
    }
  }
});

test("it ends with the first that ends of its certificate and the authority of that", async () => {
  const late = await makeKey({ nowMs: NOW, days: 300 });
  expect(certificateEndMs(key.tls)).toBe(NOW + 30 * DAY_MS);
  const both = await renewKey(key, "add", async () => late);
  expect(certificateEndMs(both.tls)).toBe(NOW + 30 * DAY_MS);
  const shown = await renewKey(both, "use", async () => late);
  expect(certificateEndMs(shown.tls)).toBe(NOW + 300 * DAY_MS);
  // An old authority that has ended spoils nothing.
  expect(parseKeyFile(formatKeyFile(shown), NOW + 200 * DAY_MS).tls.key).toBe(late.tls.key.trim());
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
  expect(refusal({ tls: { ...key.tls, key: other.tls.key } })).toContain("two files");
  expect(refusal({ next: { certificate: other.tls.certificate, key: other.tls.key } })).toContain(
    "two files",
  );
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
