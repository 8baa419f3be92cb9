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
}

export interface Bench {
  name: string;
  /** What is measured and what is not, in a few lines. */
  about: string;
  run(options: { quick: boolean }): Promise<Figure[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
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
