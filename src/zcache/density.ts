/** How dense a store is: bytes of pages, of zpages, of frames, and of what is beside them. */
import type { Report } from "../core/figure.ts";
import type { DENSITY_READ } from "../core/figures.ts";
import { FRAME_BYTES, PAGE_BYTES } from "../core/limits.ts";

export type DensityReport = Report<typeof DENSITY_READ>;

/** Pages of one repeated word take no frame and do not count. An empty store has ratio 1. */
export function densityOf(store: {
  readonly zpages: number;
  readonly zbytes: number;
  readonly frames: number;
  readonly metadataBytes: number;
}): DensityReport {
  const pageBytes = store.zpages * PAGE_BYTES;
  const frameBytes = store.frames * FRAME_BYTES;
  return {
    page_bytes: pageBytes,
    zpage_bytes: store.zbytes,
    frame_bytes: frameBytes,
    metadata_bytes: store.metadataBytes,
    codec_ratio: ratioOf(pageBytes, store.zbytes),
    placement_ratio: ratioOf(store.zbytes, frameBytes),
    effective_ratio: ratioOf(pageBytes, frameBytes + store.metadataBytes),
  };
}

/** With two digits. 1 where there is nothing. */
export function ratioOf(bytes: number, taken: number): number {
  return bytes === 0 || taken === 0 ? 1 : Math.round((bytes / taken) * 100) / 100;
}

/** Counts of pages by codec id (core/limits.ts), with their names in reports. */
export function pagesByCodec(counts: Int32Array) {
  const { raw, lz4, zstd, dictionary } = byCodec(counts);
  return {
    raw_pages: raw,
    lz4_pages: lz4,
    zstd_pages: zstd,
    zstd_dictionary_pages: dictionary,
  };
}

/** Bytes of zpages by codec id, with their names in reports. */
export function bytesByCodec(bytes: Float64Array) {
  const { raw, lz4, zstd, dictionary } = byCodec(bytes);
  return {
    raw_zbytes: raw,
    lz4_zbytes: lz4,
    zstd_zbytes: zstd,
    zstd_dictionary_zbytes: dictionary,
  };
}

function byCodec([raw = 0, lz4 = 0, zstd = 0, ...dictionaries]: Int32Array | Float64Array) {
  return { raw, lz4, zstd, dictionary: dictionaries.reduce((sum, count) => sum + count, 0) };
}
