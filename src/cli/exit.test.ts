import { describe, expect, test } from "bun:test";
import { AssertionError } from "../core/assert.ts";
import { ConfigError, ERROR_CODES, type ErrorCode, RamsterError } from "../core/errors.ts";
import { describeError, EXIT, exitCodeOf } from "./exit.ts";

function systemError(): Error {
  return Object.assign(new Error("EACCES: permission denied, open '/report.json'"), {
    code: "EACCES",
    syscall: "open",
  });
}

describe("exitCodeOf()", () => {
  test("has a failing code for every error there is", () => {
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const exit = exitCodeOf(new RamsterError(code, "Cannot do it"));
      expect([EXIT.FAILED, EXIT.BAD_USAGE, EXIT.NOT_STARTED] as number[]).toContain(exit);
    }
  });

  test("has different codes for bad usage, no start and a bug", () => {
    expect(exitCodeOf(new ConfigError("BAD_CONFIG", "Cannot use it"))).toBe(2);
    expect(exitCodeOf(new RamsterError("UNKNOWN_SETTING", "Cannot find it"))).toBe(2);
    expect(exitCodeOf(new RamsterError("ADDRESS_IN_USE", "Cannot listen"))).toBe(3);
    expect(exitCodeOf(new AssertionError("it broke"))).toBe(70);
  });

  test("treats an unknown exception as a bug and a system error as a failure", () => {
    expect(exitCodeOf(new TypeError("x is undefined"))).toBe(70);
    expect(exitCodeOf("text")).toBe(70);
    expect(exitCodeOf(systemError())).toBe(1);
  });

  test("treats missing memory as a failure, and a wrong length as a bug", () => {
    expect(exitCodeOf(new RangeError("Out of memory"))).toBe(1);
    expect(exitCodeOf(new RangeError("Invalid array length"))).toBe(70);
  });
});

describe("describeError()", () => {
  test("is one line for a failure from outside", () => {
    expect(describeError(new ConfigError("BAD_CONFIG", "Cannot use\nit"))).toBe("Cannot use it");
    expect(describeError(systemError())).toContain("permission denied");
  });

  test("shows where a bug is", () => {
    expect(describeError(new AssertionError("it broke"))).toMatch(
      /^A bug: .*it broke\n.*exit.test/s,
    );
    expect(describeError(7)).toBe("A bug: 7 was thrown");
    expect(describeError(new TypeError("a\u001b[31mb\u009bc"))).toStartWith("A bug: ");
    expect(describeError(new TypeError("a\u001b[31mb\u009bc"))).toContain("a [31mb c\n");
  });
});
