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

test("a key file is read as it was written, with all gossip keys", () => {
  const two = { ...key, gossipKeys: [...key.gossipKeys, new Uint8Array(16).fill(3)] };
  const read = parseKeyFile(formatKeyFile(two), NOW);
  expect(read.gossipKeys.map((it) => [...it])).toEqual(two.gossipKeys.map((it) => [...it]));
  expect(read.tls.key.trim()).toBe(key.tls.key.trim());
  expect(formatKeyFile(read)).toBe(formatKeyFile(two));
  expect(refusal({}, null)).toBe("");
});

test("every authority of a key file is trusted, and its first certificate is shown", async () => {
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

test("a step out of order is refused", async () => {
  const fresh = async () => other;
  const add = await renewKey(key, "add", fresh);
  const use = await renewKey(add, "use", fresh);
  for (const [at, next, wrong] of [
    [key, "add", ["use", "remove"]],
    [add, "use", ["add", "remove"]],
    [use, "remove", ["add", "use"]],
  ] as const) {
    for (const step of wrong) {
      await expect(renewKey(at, step, fresh)).rejects.toThrow(`its next step is "${next}"`);
    }
  }
});

test("a key ends when its certificate or the issuer of that expires", async () => {
  const late = await makeKey({ nowMs: NOW, days: 300 });
  expect(certificateEndMs(key.tls)).toBe(NOW + 30 * DAY_MS);
  const both = await renewKey(key, "add", async () => late);
  expect(certificateEndMs(both.tls)).toBe(NOW + 30 * DAY_MS);
  const shown = await renewKey(both, "use", async () => late);
  expect(certificateEndMs(shown.tls)).toBe(NOW + 300 * DAY_MS);
  // An expired authority that did not sign the shown certificate does no harm.
  expect(parseKeyFile(formatKeyFile(shown), NOW + 200 * DAY_MS).tls.key).toBe(late.tls.key.trim());
});

test("a certificate is valid from the day before it was made to its last day", () => {
  expect(refusal({}, NOW - DAY_MS + 1000)).toBe("");
  expect(refusal({}, NOW + 30 * DAY_MS - 1000)).toBe("");
  expect(refusal({}, NOW + 31 * DAY_MS)).toBe(
    "its certificate expired on Jan 31 00:00:00 2026 GMT",
  );
  expect(refusal({}, NOW - 2 * DAY_MS)).toContain("check the clock");
  expect(refusal({}, null)).toBe("");
});

test("parts of two files, damaged parts and other files are refused", () => {
  expect(refusal({ tls: { ...key.tls, authority: other.tls.authority } })).toContain("two files");
  expect(refusal({ tls: { ...key.tls, key: other.tls.key } })).toContain("two files");
  expect(refusal({ next: { certificate: other.tls.certificate, key: other.tls.key } })).toContain(
    "two files",
  );
  const damaged = key.tls.certificate.replace(/[A-Za-z]{8}\n/, "AAAAAAAA\n");
  expect(refusal({ tls: { ...key.tls, certificate: damaged } })).not.toBe("");
  expect(refusal({ gossipKeys: [] })).toBe("it has no gossip-key line");
  expect(refusal({ gossipKeys: [new Uint8Array(20)] })).toContain("has 20 bytes");
  const text = formatKeyFile(key);
  expect(() => parseKeyFile("hello", NOW)).toThrow("it is not a key file");
  expect(() => parseKeyFile(text.replace(/gossip-key = .*/, "gossip-key = ???"), NOW)).toThrow(
    "not base64",
  );
});
