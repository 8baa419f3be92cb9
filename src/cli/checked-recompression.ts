/**
 * The check of recompression in this program, with the hidden word `check-recompression`: the
 * Worker compresses pages of a program again, with a dictionary where libzstd is, and each is
 * decompressed here. It prints one line, and ends with 1 if something is wrong.
 *
 *     libzstd 1.5.4: 32 of 32 zpages are shorter, 42120 bytes instead of 63500
 */
import { BATCH_ZPAGES, type Recompressor } from "../cold/recompressor.ts";
import type { ZpageBatch } from "../cold/zpage-batch.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { programPages } from "../compress/native/sample.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { Log } from "../core/log.ts";
import { openMemory } from "../memory/open-memory.ts";
import { BunClock } from "../net/bun.ts";
import { openCodecs } from "./codecs.ts";
import { type ColdCodec, type ColdCodecEnvironment, openRecompressor } from "./cold-codec.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { print } from "./print.ts";

export async function run(): Promise<ExitCode> {
  const lines: string[] = [];
  const log = new Log((_level, _area, line) => lines.push(line));
  const env = { memory: openMemory(), log, clock: new BunClock() };
  const opening = openCodecs(env, { codec: "auto", role: "node" });
  const result = await check(env, opening);
  await print(`${[...lines, result.line].join("\n")}\n`);
  return result.isGood ? EXIT.DONE : EXIT.FAILED;
}

interface Result {
  readonly isGood: boolean;
  readonly line: string;
}

/** Compresses pages again once. */
export async function check(
  env: ColdCodecEnvironment,
  opening: Promise<readonly Codec[]>,
): Promise<Result> {
  const cold = await openRecompressor(env, { coldCodec: "zstd" }, opening);
  const { recompressor } = cold;
  if (recompressor === null) return { isGood: false, line: "there is no recompressor" };
  try {
    return await checked(recompressor, cold);
  } finally {
    recompressor.close();
    cold.dictionaries?.close();
  }
}

async function checked(recompressor: Recompressor, cold: ColdCodec): Promise<Result> {
  const pages = programPages();
  const hot = cold.codecs[CODEC.LZ4];
  const { library, batch } = recompressor;
  if (hot === undefined) return { isGood: false, line: "there is no lz4" };
  let number = 0;
  if (cold.dictionaries !== null) {
    const samples = recompressor.newSamples();
    fill(samples, hot, pages, pages.byteLength / PAGE_BYTES);
    const dictionary = await trained(recompressor, samples);
    number = 1;
    if (dictionary === null || !cold.dictionaries.add(number, dictionary)) {
      return { isGood: false, line: `${library}: no dictionary came of the training` };
    }
    recompressor.add(number, dictionary);
  }
  fill(batch, hot, pages, BATCH_ZPAGES);
  if (!(await recompressed(recompressor, number))) {
    return { isGood: false, line: `${library}: the Worker has failed` };
  }
  const codec = cold.codecs[number === 0 ? CODEC.ZSTD : CODEC.ZSTD_DICTIONARY];
  if (codec === undefined) return { isGood: false, line: "there is no zstd" };
  return outcome(library, batch, { hot, cold: codec });
}

function fill(batch: ZpageBatch, codec: Codec, pages: Uint8Array, count: number): void {
  batch.count = 0;
  const zpage = new Uint8Array(2 * PAGE_BYTES);
  for (let i = 0; i < count; i += 1) {
    const byteCount = codec.compress(pages, i * PAGE_BYTES, zpage, 0, PAGE_BYTES);
    if (byteCount > 0) batch.add(zpage.subarray(0, byteCount), codec.id);
  }
}

function trained(recompressor: Recompressor, samples: ZpageBatch): Promise<Uint8Array | null> {
  return new Promise((onTrained) => {
    recompressor.train(samples, { onTrained, onRecompressed: () => {} });
  });
}

function recompressed(recompressor: Recompressor, dictionary: number): Promise<boolean> {
  return new Promise((onRecompressed) => {
    recompressor.recompress(dictionary, { onRecompressed, onTrained: () => {} });
  });
}

/** Whether the outputs give the pages of the inputs. */
function outcome(
  library: string,
  batch: ZpageBatch,
  { hot, cold }: { hot: Codec; cold: Codec },
): Result {
  let [shorter, before, after] = [0, 0, 0];
  const [page, again] = [new Uint8Array(PAGE_BYTES), new Uint8Array(PAGE_BYTES)];
  for (let i = 0; i < batch.count; i += 1) {
    const [inputBytes = 0, outputBytes = 0] = [batch.inputBytes[i], batch.outputBytes[i]];
    before += inputBytes;
    after += outputBytes === 0 ? inputBytes : outputBytes;
    if (outputBytes === 0) continue;
    shorter += 1;
    const at = i * PAGE_BYTES;
    const isRight =
      hot.decompress(batch.input, at, inputBytes, page, 0) &&
      cold.decompress(batch.output, at, outputBytes, again, 0) &&
      Buffer.compare(page, again) === 0;
    if (!isRight) return { isGood: false, line: `${library}: zpage ${i} is not that of its page` };
  }
  const what = `${shorter} of ${batch.count} zpages are shorter`;
  return { isGood: shorter > 0, line: `${library}: ${what}, ${after} bytes instead of ${before}` };
}
