import { expect, test } from "bun:test";
import { CODEC, codecName } from "./codec.ts";

test("CODEC ids never change: they are stored and sent", () => {
  expect(CODEC).toEqual({ RAW: 0, LZ4: 1, ZSTD: 2, ZSTD_DICTIONARY: 3 });
});

test("codecName() names every id, known or not", () => {
  expect(codecName(CODEC.RAW)).toBe("raw");
  expect(codecName(CODEC.LZ4)).toBe("lz4");
  expect(codecName(CODEC.ZSTD)).toBe("zstd");
  expect(codecName(CODEC.ZSTD_DICTIONARY)).toBe("zstd_dictionary");
  expect(codecName(31)).toBe("codec_31");
});
