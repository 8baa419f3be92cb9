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
export function pagesByCodec(byCodec: Int32Array) {
  const [raw_pages = 0, lz4_pages = 0, zstd_pages = 0, ...dictionaries] = byCodec;
  const zstd_dictionary_pages = dictionaries.reduce((sum, count) => sum + count, 0);
  return { raw_pages, lz4_pages, zstd_pages, zstd_dictionary_pages };
}
