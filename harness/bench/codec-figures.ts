/** The codec, compared with the raw exports in a bare loop and with lz4-wasm's own glue. */
import type { Bench, Figure } from "./bench.ts";
import { CODEC_BENCH_TARGETS, codecBench } from "./codec.ts";
import { nativeCodecFigures } from "./native-codec.ts";
import { recompressionFigures } from "./recompression.ts";

export const codecFigures: Bench = {
  name: "codec",
  about:
    "Real pages, in turns. No code around lz4-wasm's exports can beat the bare loop over them. " +
    "Then liblz4 against lz4-wasm, alone and through a store. The last figures are cold pages: " +
    "zstd against the lz4 of hot pages, and the Worker that compresses them again.",
  async run(): Promise<Figure[]> {
    const figures: Figure[] = [];
    for (const rate of await codecBench()) {
      const { ofRaw, ofGlue } = CODEC_BENCH_TARGETS;
      const value = rate.shim / 1000;
      const unit = "k pages/s";
      figures.push(
        {
          name: `${rate.operation}, of the bare loop`,
          value,
          unit,
          reference: { name: "bare loop", value: rate.raw / 1000, unit },
          ratio: rate.shim / rate.raw,
          target: `at least ${ofRaw}`,
          pass: rate.shim / rate.raw >= ofRaw,
        },
        {
          name: `${rate.operation}, of lz4-wasm's glue`,
          value,
          unit,
          reference: { name: "glue", value: rate.glue / 1000, unit },
          ratio: rate.shim / rate.glue,
          target: `at least ${ofGlue} (bare loop: ${(rate.raw / rate.glue).toFixed(2)})`,
          pass: rate.shim / rate.glue >= ofGlue,
        },
      );
    }
    return [...figures, ...(await nativeCodecFigures()), ...(await recompressionFigures())];
  },
};
