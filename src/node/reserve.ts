/** A reserve as it is written, in a flag and in a knob: `1GiB`, `10%`, `auto`. */
import { ConfigError } from "../core/errors.ts";
import type { Reserve } from "../ramster/foreign/lend-limit.ts";

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Throws ConfigError BAD_CONFIG with what to write instead. */
export function parseReserve(text: string): Reserve {
  if (text === "auto") return "auto";
  const [, digits, name = ""] = /^(\d{1,16}(?:\.\d{1,3})?)(%|[A-Za-z]*)$/.exec(text) ?? [];
  const unit = UNIT_BYTES[name === "" ? "b" : name.toLowerCase()];
  if (digits !== undefined && name === "%") {
    if (Number(digits) <= 100) return { percent: Number(digits) };
    throw refused("it must be at most 100%");
  }
  if (digits === undefined || unit === undefined) {
    throw refused('write a size, such as "1GiB", a share, such as "10%", or "auto"');
  }
  const bytes = Math.floor(Number(digits) * unit);
  if (Number.isSafeInteger(bytes)) return { bytes };
  throw refused("no machine has so much");
}

export function formatReserve(reserve: Reserve): string {
  if (reserve === "auto") return "auto";
  return "bytes" in reserve ? String(reserve.bytes) : `${reserve.percent}%`;
}

function refused(detail: string): ConfigError {
  return new ConfigError("BAD_CONFIG", detail);
}
