import { expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { formatReserve, parseReserve } from "./reserve.ts";

test.each([
  ["auto", "auto", "auto"],
  ["0", { bytes: 0 }, "0"],
  ["20GiB", { bytes: 20 * 2 ** 30 }, "21474836480"],
  ["1.5gib", { bytes: 1.5 * 2 ** 30 }, "1610612736"],
  ["10%", { percent: 10 }, "10%"],
  ["2.5%", { percent: 2.5 }, "2.5%"],
  ["100%", { percent: 100 }, "100%"],
] as const)("%s is understood, and what is shown of it is, too", (text, reserve, shown) => {
  expect(parseReserve(text)).toEqual(reserve);
  expect(formatReserve(reserve)).toBe(shown);
  expect(parseReserve(shown)).toEqual(reserve);
});

test.each(["", "10", "x", "-1", "101%", "1GB", "1 GiB", "%", "1e3", "99999999999TiB", "AUTO"])(
  "%j is a size of bytes or refused",
  (text) => {
    if (text === "10") expect(parseReserve(text)).toEqual({ bytes: 10 });
    else expect(() => parseReserve(text)).toThrow(ConfigError);
  },
);
