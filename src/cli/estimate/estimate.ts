/** `ramster estimate`: what compression of a machine's own pages would bring it. */
import { platform } from "node:os";
import { BunZstd } from "../../compress/bun-zstd.ts";
import { Lz4 } from "../../compress/lz4.ts";
import { HIGH_MARK_PERCENT_DEFAULT, PAGE_BYTES } from "../../core/limits.ts";
import { formatSize } from "../../core/units.ts";
import { LinuxMemory } from "../../memory/linux-memory.ts";
import { openMemory } from "../../memory/open-memory.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import type { EstimateOptions } from "../options.ts";
import { print } from "../print.ts";
import { type Gain, gainOf, type Suggestion, suggest } from "./gain.ts";
import { type PageSample, takeSample } from "./page-sample.ts";

/**
 * The part of a program's memory that is not used for two minutes: 32 % on average in
 * Lagar-Cavilla et al., "Software-Defined Far Memory in Warehouse-Scale Computers", ASPLOS 2019.
 */
const COLD_PART = 1 / 3;
const GIB = 1024 * 1024 * 1024;

export async function run({ subject, json }: EstimateOptions): Promise<ExitCode> {
  const sample = takeSample(subject, platform());
  const memory = openMemory();
  const codecs = { hot: await Lz4.load(memory), cold: new BunZstd() };
  const gain = gainOf(sample.pages, codecs, memory);
  const seen = new LinuxMemory().read();
  const stored = subject.kind === "file" ? sample.bytes : sample.bytes * COLD_PART;
  const highMarkPercent = HIGH_MARK_PERCENT_DEFAULT;
  const suggestion = seen === null ? null : suggest(stored, gain, { ...seen, highMarkPercent });
  const text = json
    ? JSON.stringify({ of: sample.of, bytes: sample.bytes, ...gain, suggestion }, null, 2)
    : estimateText(sample, gain, suggestion, subject.kind === "file");
  await print(`${text}\n`);
  return EXIT.DONE;
}

/** The lines for a person. */
export function estimateText(
  { of, bytes }: PageSample,
  gain: Gain,
  suggestion: Suggestion | null,
  isWhole: boolean,
): string {
  const { pages, sameFilled, whole, zpageBytes, density, effectiveRatio } = gain;
  const { coldEffectiveRatio } = gain;
  const percent = (count: number): string => `${((100 * count) / pages).toFixed(1)}%`;
  const perFrame = (value: number | null): string => value?.toFixed(2) ?? "-";
  const lines = [
    `sample: ${pages} of ${Math.round(bytes / PAGE_BYTES)} pages (${formatSize(bytes)}) of ${of}`,
    `same-filled: ${percent(sameFilled)}, which take no frame`,
    `compressed: ${percent(pages - sameFilled - whole)}, to ${Math.round(zpageBytes)} bytes each`,
    `stored whole: ${percent(whole)}`,
    `pages a frame: ${perFrame(density.blocks)} with blocks, ${perFrame(density.zbud)} with zbud`,
    `effective ratio: ${effectiveRatio.toFixed(2)}, with metadata`,
    `once most are cold: ${coldEffectiveRatio.toFixed(2)}, compressed again with zstd`,
    `gain: 1GiB of such pages takes ${formatSize(wholeMib(GIB / effectiveRatio))}`,
  ];
  if (suggestion === null) return lines.join("\n");
  const { storedBytes, memoryBytes, lendBytes, elsewhereBytes } = suggestion;
  const part = isWhole ? "all of them" : `the cold third, ${formatSize(wholeMib(storedBytes))}`;
  const lend = lendBytes === 0 ? "0" : formatSize(lendBytes);
  lines.push(`suggested for ${part}: --memory ${formatSize(memoryBytes)} --lend ${lend}`);
  if (elsewhereBytes > 0) {
    lines.push(`other nodes must hold ${formatSize(wholeMib(elsewhereBytes))} of these pages`);
  }
  return lines.join("\n");
}

function wholeMib(bytes: number): number {
  const mib = 1024 * 1024;
  return Math.max(1, Math.round(bytes / mib)) * mib;
}
