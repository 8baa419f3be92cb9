/**
 * The result of a bench: figures, each with a reference from the same run and a target.
 */

export interface Figure {
  name: string;
  value: number;
  unit: string;
  reference?: { name: string; value: number; unit: string };
  /** value / reference, where the ratio counts. */
  ratio?: number;
  /** The target as text, and whether it is met. Absent for a figure without a target. */
  target?: string;
  pass?: boolean;
  /** Where it is in the table of the bench. Absent: it has a line of its own. */
  cell?: { row: string; column: string };
}

export interface BenchOptions {
  quick: boolean;
  /** The folder with the corpora (harness/pages/corpora.ts). */
  corpora: string;
}

export interface Bench {
  name: string;
  /** What is measured and what is not, in a few lines. */
  about: string;
  run(options: BenchOptions): Promise<Figure[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/**
 * The p99 of a time: the median over windows of the times in the order in which they were measured.
 * In some windows another program has the core.
 */
export function p99OfWindows(times: readonly number[], windows: number): number {
  const size = Math.max(1, Math.floor(times.length / windows));
  const found: number[] = [];
  for (let at = 0; at + size <= times.length; at += size) {
    const window = times.slice(at, at + size).sort((a, b) => a - b);
    found.push(window[Math.floor(size * 0.99)] ?? 0);
  }
  return median(found);
}

/** The lines of the figures that have a cell. */
export function tableLines(figures: readonly Figure[]): string[] {
  const rows = new Map<string, Map<string, string>>();
  const columns = new Set<string>();
  for (const { value, cell } of figures) {
    if (cell === undefined) continue;
    const row = rows.get(cell.row) ?? new Map<string, string>();
    rows.set(cell.row, row.set(cell.column, value.toFixed(value >= 100 ? 0 : 2)));
    columns.add(cell.column);
  }
  if (rows.size === 0) return [];
  const names = [...columns];
  const nameWidth = Math.max(...[...rows.keys()].map((name) => name.length));
  const line = (name: string, values: readonly string[]): string => {
    const padded = values.map((value, i) => value.padStart(Math.max(7, names[i]?.length ?? 0) + 1));
    return name.padEnd(nameWidth) + padded.join("");
  };
  const body = [...rows].map(([name, row]) =>
    line(
      name,
      names.map((it) => row.get(it) ?? "-"),
    ),
  );
  return [line("", names), ...body];
}

export function figureText(figure: Figure): string {
  const number = (value: number): string => {
    return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
  };
  const parts = [`${figure.name.padEnd(34)} ${number(figure.value).padStart(9)} ${figure.unit}`];
  if (figure.reference !== undefined) {
    const { name, value, unit } = figure.reference;
    parts.push(`against ${name} ${number(value)} ${unit}`);
  }
  if (figure.ratio !== undefined) parts.push(`ratio ${figure.ratio.toFixed(2)}`);
  if (figure.target !== undefined) {
    parts.push(`${figure.target}: ${figure.pass === true ? "holds" : "MISSED"}`);
  }
  return parts.join("; ");
}
