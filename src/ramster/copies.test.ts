import { expect, test } from "bun:test";
import fc from "fast-check";
import { COPIES_MAX } from "../core/limits.ts";
import {
  copyAt,
  copyCount,
  hasCopy,
  NO_COPIES,
  sortedCopies,
  withCopy,
  withoutCopy,
} from "./copies.ts";

function nodesOf(copies: number): number[] {
  return Array.from({ length: copyCount(copies) }, (_, i) => copyAt(copies, i));
}

test("as many different nodes as there may be, in order, in one signed word", () => {
  const node = fc.integer({ min: 0, max: 1023 });
  fc.assert(
    fc.property(fc.uniqueArray(node, { maxLength: COPIES_MAX }), node, (nodes, other) => {
      const copies = nodes.reduce(withCopy, NO_COPIES);
      expect(new Int32Array([copies])[0]).toBe(copies);
      expect(nodesOf(copies)).toEqual(nodes);
      expect(nodesOf(sortedCopies(copies))).toEqual(nodes.toSorted((a, b) => a - b));
      expect(hasCopy(copies, other)).toBe(nodes.includes(other));
      expect(nodesOf(withoutCopy(copies, other))).toEqual(nodes.filter((it) => it !== other));
    }),
  );
});
