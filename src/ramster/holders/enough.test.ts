import { expect, test } from "bun:test";
import { type Copies, NO_COPIES, SPILL, withCopy } from "../copies.ts";
import { isAtRisk, isEnough, isShort, mayLeaveDisk } from "./enough.ts";

const AT_TWO = { copiesWanted: 2, wantsDiskCopy: false };
const AT_ONE_AND_DISK = { copiesWanted: 1, wantsDiskCopy: true };

function copies(...nodes: number[]): Copies {
  return nodes.reduce(withCopy, NO_COPIES);
}

test("a copy on the disk replaces none at a lender", () => {
  expect(isShort(copies(1, 2), AT_TWO)).toBe(false);
  expect(isShort(copies(1, SPILL), AT_TWO)).toBe(true);
  expect(isShort(copies(SPILL), AT_ONE_AND_DISK)).toBe(true);
});

test("a page is at risk with fewer copies than it should have, or at most one of several", () => {
  expect(isAtRisk(copies(1, 2), copies(1, 2), 2)).toBe(false);
  expect(isAtRisk(copies(1, 2), copies(1), 2)).toBe(true);
  expect(isAtRisk(copies(1), copies(1), 2)).toBe(true);
  expect(isAtRisk(copies(1), copies(1), 1)).toBe(false);
  expect(isAtRisk(copies(1, 2), copies(1), 1)).toBe(true);
  expect(isAtRisk(copies(1), copies(), 1)).toBe(true);
  expect(isAtRisk(copies(1, 2, 3), copies(1, 2), 2)).toBe(false);
  expect(isAtRisk(copies(1, SPILL), copies(SPILL), 2)).toBe(false);
});

test("a wanted copy on the disk is missing, unless lenders have one more", () => {
  expect(isShort(copies(1, SPILL), AT_ONE_AND_DISK)).toBe(false);
  expect(isShort(copies(1), AT_ONE_AND_DISK)).toBe(true);
  expect(isShort(copies(1, 2), AT_ONE_AND_DISK)).toBe(false);
});

test("a page leaves the disk when lenders have enough copies, and none there is wanted", () => {
  expect(mayLeaveDisk(copies(1, 2), AT_TWO)).toBe(true);
  expect(mayLeaveDisk(copies(1), AT_TWO)).toBe(false);
  expect(mayLeaveDisk(copies(1), AT_ONE_AND_DISK)).toBe(false);
  expect(isEnough(copies(1), SPILL, AT_ONE_AND_DISK)).toBe(true); // The page stays there.
  expect(isEnough(copies(1), 2, AT_ONE_AND_DISK)).toBe(false);
});
