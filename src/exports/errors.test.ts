import { expect, test } from "bun:test";
import { STATUS, type Status } from "../core/status.ts";
import { ERRNO } from "../nbd/protocol.ts";
import { errnoOf } from "./errors.ts";

test("every status maps to an error, except OK", () => {
  for (const status of Object.values(STATUS) as Status[]) {
    expect(errnoOf(status) === ERRNO.OK).toBe(status === STATUS.OK);
  }
});
