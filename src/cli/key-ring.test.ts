import { expect, test } from "bun:test";
import { fingerprints, keysAnswer } from "./key-ring.ts";

test("marks the key that encrypts, and the one that is new", () => {
  expect(keysAnswer(["a"], ["a"], null).text).toBe("a  encrypts");
  expect(keysAnswer(["a"], ["a", "b"], null).text).toBe("a  encrypts\nb  new");
  expect(keysAnswer(["a", "b"], ["b", "a"], null).text).toBe("b  encrypts\na");
  expect(keysAnswer([], [], null)).toEqual({ text: "none", json: { keys: [] } });
});

test("gives a new key in the form of key files, and alone for programs", () => {
  const { text, json } = keysAnswer(["a"], ["a", "b"], "AA==");
  expect(text).toBe("gossip-key = AA==\na  encrypts\nb  new");
  expect(json).toEqual({
    gossip_key: "AA==",
    keys: [
      { fingerprint: "a", encrypts: true },
      { fingerprint: "b", encrypts: false },
    ],
  });
});

test("the text of a node stays on its line", () => {
  expect(fingerprints("none")).toEqual([]);
  expect(fingerprints("a b")).toEqual(["a", "b"]);
  expect(fingerprints("\u001b[31mx\ny\u202e").join("|")).toBe("|[31mx|y|");
});
