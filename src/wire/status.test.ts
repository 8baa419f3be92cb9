import { expect, test } from "bun:test";
import { STATUS, statusName } from "../core/status.ts";
import { TRANSPORT_STATUS, TRANSPORT_STATUS_WIRE_MAX, transportStatusName } from "./status.ts";

const TABLES = [
  { name: "transport status", table: TRANSPORT_STATUS, nameOf: transportStatusName },
  { name: "handler status", table: STATUS, nameOf: statusName },
] as const;

for (const { name, table, nameOf } of TABLES) {
  test(`${name}: numbers are 0, 1, 2, ... without a gap, and every one has its name`, () => {
    const numbers: number[] = Object.values(table);
    expect(numbers).toEqual(numbers.map((_, i) => i));
    for (const [key, number] of Object.entries(table)) {
      expect(nameOf(number)).toBe(key.toLowerCase());
    }
    expect(nameOf(numbers.length)).toEndWith(`_${numbers.length}`);
  });
}

test("statuses on the wire keep their numbers, which are part of the protocol", () => {
  expect(TRANSPORT_STATUS).toEqual({
    NONE: 0,
    NO_HANDLER: 1,
    OVERFLOW: 2,
    DIED: 3,
    TIMED_OUT: 4,
    NOT_CONNECTED: 5,
  });
  expect(TRANSPORT_STATUS_WIRE_MAX).toBe(2);
  expect(Object.keys(STATUS).slice(0, 17).join(" ")).toBe(
    "OK NOT_FOUND NO_ROOM COMPRESS_POOR MEAN_COMPRESS_POOR FROZEN UNKNOWN_POOL POOL_MISMATCH " +
      "POOLS_FULL INDEX_FULL CORRUPT LOST STALE DISABLED BAD_REQUEST PENDING UNREACHABLE",
  );
});
