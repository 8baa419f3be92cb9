/**
 * Recompression: one job, on the codecs of the thread that it runs on.
 *
 *     input -> page -> output -> page again, compared with the first
 *
 * A library that writes nonsense loses no page so: its output is dropped.
 *
 * Not here: threads (worker.ts).
 */
import { CODEC, type Codec } from "../compress/codec.ts";
import type { ZstdWithDictionaries } from "../compress/native/zstd.ts";
import type { ZstdLibrary } from "../compress/native/zstd-library.ts";
import { assert } from "../core/assert.ts";
import { RamsterError } from "../core/errors.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import type { Faults } from "./messages.ts";
import { DICTIONARY_BYTES } from "./recompressor.ts";
import type { ZpageBatch } from "./zpage-batch.ts";

/** Fewer samples make no dictionary that helps. */
export const SAMPLES_MIN = 64;

export interface RecompressionParts {
  /** By id: they decompress inputs. The one for zstd compresses too. */
  readonly codecs: readonly (Codec | undefined)[];
  /** Null, as the library is: there are no dictionaries. */
  readonly dictionaries: ZstdWithDictionaries | null;
  readonly library: Pick<ZstdLibrary, "train"> | null;
}

type FaultCounts = { -readonly [Name in keyof Faults]: Faults[Name] };

export class Recompression {
  private readonly parts: RecompressionParts;
  private readonly page = new Uint8Array(PAGE_BYTES);
  private readonly again = new Uint8Array(PAGE_BYTES);

  constructor(parts: RecompressionParts) {
    this.parts = parts;
  }

  /** Throws NOT_SUPPORTED when the library refuses the dictionary. */
  add(number: number, dictionary: Uint8Array): void {
    const { dictionaries } = this.parts;
    assert(dictionaries !== null, "there are no dictionaries");
    if (dictionaries.add(number, dictionary)) return;
    throw new RamsterError("NOT_SUPPORTED", `${dictionaries.library} refuses dictionary ${number}`);
  }

  remove(number: number): void {
    this.parts.dictionaries?.remove(number);
  }

  /** Fills the outputs of the batch. */
  recompress(batch: ZpageBatch): Faults {
    const faults = { badInputs: 0, wrongOutputs: 0 };
    for (let i = 0; i < batch.count; i += 1) {
      batch.outputBytes[i] = this.outputOf(batch, i, faults);
    }
    return faults;
  }

  private codecFor(dictionary: number): Codec {
    const { codecs, dictionaries } = this.parts;
    const codec = dictionary === 0 ? codecs[CODEC.ZSTD] : dictionaries;
    assert(codec !== undefined && codec !== null, "there is no codec for that");
    if (dictionary !== 0) dictionaries?.select(dictionary);
    return codec;
  }

  /** @returns how long the output is; 0: there is none. */
  private outputOf(batch: ZpageBatch, i: number, faults: FaultCounts): number {
    const bytesMax = batch.outputBytesMax(i);
    if (bytesMax < 1) return 0;
    const { page, again } = this;
    if (!this.decompress(batch, i, page, 0)) {
      faults.badInputs += 1;
      return 0;
    }
    const at = i * PAGE_BYTES;
    const codec = this.codecFor(batch.dictionaries[i] ?? 0);
    const byteCount = codec.compress(page, 0, batch.output, at, bytesMax);
    if (byteCount === 0) return 0;
    const isWhole = codec.decompress(batch.output, at, byteCount, again, 0);
    if (isWhole && Buffer.compare(page, again) === 0) return byteCount;
    faults.wrongOutputs += 1;
    return 0;
  }

  private decompress(batch: ZpageBatch, i: number, target: Uint8Array, targetAt: number): boolean {
    const byteCount = batch.inputBytes[i] ?? 0;
    if (byteCount < 1 || byteCount > PAGE_BYTES) return false;
    const codec = this.parts.codecs[batch.inputCodecs[i] ?? -1];
    const at = i * PAGE_BYTES;
    return codec?.decompress(batch.input, at, byteCount, target, targetAt) ?? false;
  }

  /** Trains a dictionary from the samples that decompress. Their pages take the place of outputs. */
  train(samples: ZpageBatch): Faults & { readonly dictionary: Uint8Array | null } {
    let count = 0;
    for (let i = 0; i < samples.count; i += 1) {
      if (this.decompress(samples, i, samples.output, count * PAGE_BYTES)) count += 1;
    }
    const faults = { badInputs: samples.count - count, wrongOutputs: 0 };
    const { library } = this.parts;
    if (count < SAMPLES_MIN || library === null) return { ...faults, dictionary: null };
    const pages = samples.output.subarray(0, count * PAGE_BYTES);
    return { ...faults, dictionary: library.train(pages, DICTIONARY_BYTES) };
  }
}
