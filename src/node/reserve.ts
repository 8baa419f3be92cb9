/** Parses a reserve as flags and knobs write it: `1GiB`, `10%`, `auto`. */
import { parseSize, refused } from "../core/units.ts";
import type { Reserve } from "../ramster/foreign/lend-limit.ts";

/** Throws ConfigError BAD_CONFIG with what to write instead. */
export function parseReserve(text: string): Reserve {
  if (text === "auto") return "auto";
  const share = /^(\d{1,16}(?:\.\d{1,3})?)%$/.exec(text)?.[1];
  if (share !== undefined) {
    if (Number(share) <= 100) return { percent: Number(share) };
    throw refused("it must be at most 100%");
  }
  if (/^\d/.test(text)) return { bytes: parseSize(text) };
  throw refused('write a size, such as "1GiB", a share, such as "10%", or "auto"');
}

export function formatReserve(reserve: Reserve): string {
  if (reserve === "auto") return "auto";
  return "bytes" in reserve ? String(reserve.bytes) : `${reserve.percent}%`;
}
