/** Numbers in few columns, for tables that are read at a glance. */

const UNITS = ["", "k", "M", "G", "T", "P"] as const;

/** At most 5 columns: `0`, `9999`, `12.3k`, `4.56M`. */
export function shortCount(count: number): string {
  return shortened(count, 1000, 9999);
}

/** At most 5 columns, in powers of 1024: `0`, `512`, `64.0k`, `1.50G`. */
export function shortSize(bytes: number): string {
  return shortened(bytes, 1024, 1023);
}

/** `64us`, `1.0ms`, `2.10s`. Null: beyond what is measured. */
export function shortTime(us: number | null): string {
  if (us === null) return "long";
  if (us < 1000) return `${us}us`;
  const ms = us / 1000;
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)}ms` : `${(ms / 1000).toFixed(1)}s`;
}

function shortened(value: number, step: number, plainMax: number): string {
  if (value <= plainMax) return String(Math.round(value));
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= step;
    unit += 1;
  }
  const digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return scaled.toFixed(digits) + (UNITS[unit] ?? "");
}
