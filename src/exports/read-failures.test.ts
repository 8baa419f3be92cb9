import { expect, test } from "bun:test";
import { Log } from "../core/log.ts";
import { STATUS } from "../core/status.ts";
import { ReadFailures } from "./read-failures.ts";

test("there is one line for each export and reason, with the number of pages", () => {
  const lines: string[] = [];
  const log = new Log((level, area, line) => void lines.push(`${level} ${area} ${line}`));
  const failures = new ReadFailures({ log, ioTimeoutMs: () => 30_000 });
  failures.report();
  expect(lines).toEqual([]);
  failures.add("swap", STATUS.LOST, 1);
  failures.add("swap", STATUS.LOST, 2);
  failures.add("swap", STATUS.CORRUPT, 1);
  failures.add("disk", STATUS.UNREACHABLE, 7);
  failures.report();
  const what = (name: string): string => `error doors Cannot read pages of export "${name}"`;
  expect(lines.splice(0)).toEqual([
    `${what("swap")}: 3 are lost, no copy is left: restart the programs that used them`,
    `${what("swap")}: 1 do not match their checksum: drain this node, and test the memory of its machine`,
    `${what("disk")}: 7 are out of reach after 30s (--io-timeout): ` +
      "bring back the lenders that ramster status names",
  ]);
  failures.report();
  expect(lines).toEqual([]);
});
