import { expect, test } from "bun:test";
import { ConfigError, quoted, reasonOf } from "./errors.ts";

test("quoted() puts a value on one line, and cuts a long one", () => {
  expect(quoted('a "b"\nc')).toBe('"a \\"b\\"\\nc"');
  expect(quoted("x".repeat(5000))).toBe(`"${"x".repeat(100)}..."`);
});

test("reasonOf() leaves out the value that cannot be used", () => {
  const error = (line: string) => new ConfigError("BAD_CONFIG", line);
  expect(reasonOf(error('Cannot use address "a": no port'))).toBe("no port");
  expect(reasonOf(error("it takes a number"))).toBe("it takes a number");
});
