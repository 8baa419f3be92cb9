import { beforeEach, expect, test } from "bun:test";
import type { Asked } from "../cluster/serf-asks.ts";
import { oneLine } from "../core/printable.ts";
import { SeededRandom } from "../core/random.ts";
import { fingerprintOf, Keyring } from "../gossip/keyring.ts";
import { decodeKeyRequest, encodeKeyResponse, type KeyAnswer } from "../gossip/serf-queries.ts";
import { type KeyReport, parseKeyReport } from "../wire/key-report.ts";
import { clusterKeyControl } from "./cluster-keys.ts";
import type { Control } from "./controls.ts";

const KEY = new Uint8Array(16).fill(1);
const BASE64 = Buffer.from(KEY).toString("base64");
const PRINT = fingerprintOf(KEY);
const DISTINCT = Array.from({ length: 17 }, (_, i) => Buffer.alloc(16, i).toString("base64"));

let asked: { name: string; payload: Uint8Array; answer: (it: Asked) => void }[];
let control: Control;

beforeEach(() => {
  asked = [];
  control = clusterKeyControl({
    keyring: new Keyring([KEY], new SeededRandom(1)),
    ask: (name, payload) => {
      const { promise, resolve } = Promise.withResolvers<Asked>();
      asked.push({ name, payload, answer: resolve });
      return promise;
    },
  });
});

/** The report after members gave these answers to "list". */
async function reportOn(answers: Record<string, Uint8Array | Partial<KeyAnswer>>) {
  control.set("list");
  const payloads = Object.entries(answers).map(([name, answer]) => {
    if (answer instanceof Uint8Array) return [name, answer] as const;
    const whole = { done: true, message: "", keys: [], inFile: null, ...answer };
    return [name, encodeKeyResponse(whole)] as const;
  });
  asked.at(-1)?.answer({ answers: new Map(payloads), silent: ["t", "s"], dead: ["e", "d"] });
  await Promise.resolve();
  // As a client gets it, so that what the node leaves in it is seen.
  return JSON.parse(control.get()) as KeyReport;
}

test("reports what members have, in groups, and who is missing", async () => {
  const same = { keys: [BASE64], inFile: [PRINT] };
  expect(await reportOn({ b: same, a: same, c: { keys: [BASE64] } })).toEqual({
    id: 1,
    is_done: true,
    groups: [
      { names: ["a", "b"], count: 2, keys: [PRINT], in_file: [PRINT], error: "" },
      { names: ["c"], count: 1, keys: [PRINT], in_file: null, error: "" },
    ],
    silent: ["s", "t"],
    silent_count: 2,
    dead: ["d", "e"],
    dead_count: 2,
    base64: { [PRINT]: BASE64 },
  });
});

test.each<[string, Uint8Array | Partial<KeyAnswer>, string]>([
  ["text after a key", { keys: [`${BASE64}\n\u001b[31mEVIL`] }, "a gossip key is not base64"],
  ["a short key", { keys: ["AAAA"] }, "a gossip key has 3 bytes: it must have 16, 24 or 32"],
  ["no key at all", { keys: [""] }, "a gossip key has 0 bytes: it must have 16, 24 or 32"],
  ["too many keys", { keys: DISTINCT }, "it has more than 16 keys"],
  ["a file of too many", { inFile: new Array(17).fill(PRINT) }, "it has more than 16 keys"],
  ["no fingerprint", { inFile: ["\u001b[5mX"] }, "it names keys by no fingerprints"],
  ["a refusal", { done: false, message: `\u001b[31mno\n${"x".repeat(999)}` }, "no xxx"],
  ["bytes that are no answer", Uint8Array.of(8, 1), "Cannot read"],
])("an answer with %s is an error of that member", async (_, answer, error) => {
  const { groups, base64 } = await reportOn({ a: { keys: [BASE64] }, b: answer });
  expect(groups[1]).toMatchObject({ names: ["b"], keys: [], in_file: null });
  expect(groups[1]?.error).toContain(error);
  expect(groups[1]?.error.length).toBeLessThanOrEqual(300);
  expect(groups[1]?.error).toBe(oneLine(groups[1]?.error ?? ""));
  expect(base64).toEqual({ [PRINT]: BASE64 });
});

test("asks once at a time, and each query has an id of its own", async () => {
  expect(parseKeyReport(control.get())).toMatchObject({ id: 0, is_done: true });
  control.set(`add ${BASE64}`);
  expect(parseKeyReport(control.get())).toMatchObject({ id: 1, is_done: false, groups: [] });
  expect(() => control.set("list")).toThrow("another command asks the members through this node");
  expect(parseKeyReport(control.get()).id).toBe(1);
  asked[0]?.answer({ answers: new Map(), silent: [], dead: [] });
  await Promise.resolve();
  control.set(`use ${PRINT}`);
  expect(parseKeyReport(control.get()).id).toBe(2);
  expect(asked.map(({ name }) => name)).toEqual(["_serf_install-key", "_serf_use-key"]);
  expect(asked.map(({ payload }) => decodeKeyRequest(payload))).toEqual([KEY, KEY]);
});

test("a value that is no question is refused, and no question is asked", () => {
  for (const value of ["", "list all now", "add x", "use 0123456789ab", "drop"]) {
    expect(() => control.set(value)).toThrow();
  }
  expect(asked).toEqual([]);
  expect(() => clusterKeyControl(null).set("list")).toThrow("this node does not gossip");
});

test("removes a key that only another member has, since it was restarted with its old file", async () => {
  const old = Buffer.alloc(16, 7);
  await reportOn({ a: { keys: [BASE64] }, b: { keys: [BASE64, old.toString("base64")] } });
  control.set(`remove ${fingerprintOf(old)}`);
  const { name, payload } = asked.at(-1) ?? {};
  expect(name).toBe("_serf_remove-key");
  expect(decodeKeyRequest(payload ?? new Uint8Array(0))).toEqual(new Uint8Array(old));
  asked.at(-1)?.answer({ answers: new Map(), silent: [], dead: [] });
  await Promise.resolve();
  expect(() => control.set("remove 000000000000")).toThrow("it is not in the keyring");
});
