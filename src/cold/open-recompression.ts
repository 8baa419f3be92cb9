/** Opens the codecs of a Recompression, on the thread that it is to run on. */
import { BunZstd } from "../compress/bun-zstd.ts";
import { CODEC, type Codec } from "../compress/codec.ts";
import { Lz4 } from "../compress/lz4.ts";
import { NativeLz4 } from "../compress/native/lz4.ts";
import { Zstd, ZstdWithDictionaries } from "../compress/native/zstd.ts";
import { ZstdLibrary } from "../compress/native/zstd-library.ts";
import { Raw } from "../compress/raw.ts";
import { giveBackLargeBlocks } from "../memory/malloc.ts";
import { openMemory } from "../memory/open-memory.ts";
import type { WorkerSettings } from "./messages.ts";
import { Recompression } from "./recompression.ts";

/** Throws NOT_SUPPORTED when a library cannot be opened. */
export async function openRecompression({
  lz4Path,
  zstdPath,
}: WorkerSettings): Promise<Recompression> {
  const memory = openMemory();
  const codecs: Codec[] = [];
  codecs[CODEC.RAW] = new Raw(memory);
  codecs[CODEC.LZ4] = lz4Path === null ? await Lz4.load(memory) : new NativeLz4(lz4Path);
  if (zstdPath === null) {
    codecs[CODEC.ZSTD] = new BunZstd();
    return new Recompression({ codecs, dictionaries: null, library: null });
  }
  giveBackLargeBlocks();
  const library = new ZstdLibrary(zstdPath);
  const dictionaries = new ZstdWithDictionaries(library);
  codecs[CODEC.ZSTD] = new Zstd(library);
  codecs[CODEC.ZSTD_DICTIONARY] = dictionaries;
  return new Recompression({ codecs, dictionaries, library });
}
