import { expect, test } from "bun:test";
import { NBD_SLICE, NBD_SLICE_MIN } from "../core/limits.ts";
import { FairShare } from "./fair-share.ts";

test("many connections share what eight get, down to a minimum", () => {
  const share = new FairShare();
  const unitsOf = (waiting: number): number => {
    share.waiting = waiting;
    return share.units;
  };
  expect([0, 1, 8, 16, 1000].map(unitsOf)).toEqual([
    NBD_SLICE,
    NBD_SLICE,
    NBD_SLICE,
    NBD_SLICE / 2,
    NBD_SLICE_MIN,
  ]);
});
