/**
 * The native codec against lz4-wasm, in turns over the same real pages: the codec alone, and puts
 * and local gets through a store. Empty where this machine has no liblz4.
 */
import type { Codec } from "../../src/compress/codec.ts";
import { Lz4 } from "../../src/compress/lz4.ts";
import { LZ4_LIBRARY, NativeLz4 } from "../../src/compress/native/lz4.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import { findLibrary } from "../../src/memory/system-library.ts";
import { loadPages, REAL_CLASSES } from "../pages/load.ts";
import type { Figure } from "./bench.ts";
import { PagePath } from "./page-path.ts";

const ROUNDS = 40;
const WARM_UP_ROUNDS = 10;

/** Whole pages of real programs. */
const PAGES = new Uint8Array(Buffer.concat(loadPages(REAL_CLASSES).map(({ pages }) => pages)));
const PAGE_COUNT = PAGES.byteLength / PAGE_BYTES;

interface Contender {
  readonly compress: () => void;
  readonly decompress: () => void;
  readonly put: () => void;
  readonly get: () => void;
}

const TARGETS: Readonly<Record<keyof Contender, number | null>> = {
  compress: null,
  decompress: null,
  put: 1.3,
  get: 1.4,
};

const NAMES: Readonly<Record<keyof Contender, string>> = {
  compress: "liblz4, compress",
  decompress: "liblz4, decompress",
  put: "liblz4, put",
  get: "liblz4, get of a local page",
};

export async function nativeCodecFigures(): Promise<Figure[]> {
  const found = findLibrary(LZ4_LIBRARY);
  if (!("path" in found)) return [];
  const native = contender(new NativeLz4(found.path));
  const wasm = contender(await Lz4.load(openMemory()));
  return (["compress", "decompress", "put", "get"] as const).map((operation) => {
    const [nativeUs, wasmUs] = usInTurns(native[operation], wasm[operation]);
    const ratio = wasmUs / nativeUs;
    const target = TARGETS[operation];
    return {
      name: NAMES[operation],
      value: nativeUs,
      unit: "us",
      reference: { name: "lz4-wasm", value: wasmUs, unit: "us" },
      ratio,
      ...(target === null ? null : { target: `at least ${target}`, pass: ratio >= target }),
    };
  });
}

/** Microseconds a page: the fastest of the rounds, which take turns. */
function usInTurns(first: () => void, second: () => void): [number, number] {
  const times: [number[], number[]] = [[], []];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const [i, work] of [first, second].entries()) {
      const started = Bun.nanoseconds();
      work();
      const us = (Bun.nanoseconds() - started) / 1000 / PAGE_COUNT;
      if (round >= 0) times[i]?.push(us);
    }
  }
  return [Math.min(...times[0]), Math.min(...times[1])];
}

function contender(codec: Codec): Contender {
  const path = new PagePath({
    frameCountMax: PAGE_COUNT,
    pageCountMax: 2 * PAGE_COUNT,
    codec,
  });
  const target = new Uint8Array(2 * PAGE_BYTES);
  const zpages = Array.from({ length: PAGE_COUNT }, (_, i) => {
    return target.slice(0, codec.compress(PAGES, i * PAGE_BYTES, target, 0, target.length));
  });
  return {
    compress: () => {
      for (let at = 0; at < PAGES.byteLength; at += PAGE_BYTES) {
        codec.compress(PAGES, at, target, 0, target.length);
      }
    },
    decompress: () => {
      for (const zpage of zpages) codec.decompress(zpage, 0, zpage.length, target, 0);
    },
    put: () => {
      for (let i = 0; i < PAGE_COUNT; i += 1) path.putPage(i, PAGES, i * PAGE_BYTES);
    },
    get: () => {
      for (let i = 0; i < PAGE_COUNT; i += 1) path.getPage(i);
    },
  };
}

if (import.meta.main) {
  for (const { name, value, ratio } of await nativeCodecFigures()) {
    console.log(`${name}: ${value.toFixed(2)} us, ${ratio?.toFixed(2)}x lz4-wasm`);
  }
}
