import { expect, test } from "bun:test";
import { NBD_SLICE, NBD_SLICE_MIN } from "../core/limits.ts";
import { Turns } from "./turns.ts";

test("many share what eight have, down to a least", () => {
  const turns = new Turns();
  const unitsOf = (waiting: number): number => {
    turns.waiting = waiting;
    return turns.units;
  };
  expect([0, 1, 8, 16, 1000].map(unitsOf)).toEqual([
    ...[NBD_SLICE, NBD_SLICE, NBD_SLICE, NBD_SLICE / 2, NBD_SLICE_MIN],
  ]);
});
