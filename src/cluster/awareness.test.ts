import { expect, test } from "bun:test";
import { Awareness } from "./awareness.ts";

test("the score stays from 0 to max - 1, and scales times", () => {
  const awareness = new Awareness(8);
  awareness.apply(-1);
  expect([awareness.health, awareness.scale(500)]).toEqual([0, 500]);
  awareness.apply(3);
  expect([awareness.health, awareness.scale(500)]).toEqual([3, 2000]);
  awareness.apply(100);
  expect([awareness.health, awareness.scale(500)]).toEqual([7, 4000]);
  awareness.apply(-1);
  expect(awareness.health).toBe(6);
});
