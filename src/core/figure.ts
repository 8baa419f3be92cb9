/**
 * Figure: what a node says of one counter or gauge: its kind, unit, a line of help, and the name
 * that it had in the original RAMster.
 *
 * A part that counts makes its counters from a table of figures, so the table is the one place
 * where a counter is declared:
 *
 *     const Counters = countersOf(ZCACHE_COUNTED);   // a field for each row, 0 at first
 *     counters.flush_total += 1;                     // as cheap as any field
 *
 * Not here: the tables (figures.ts).
 */

export type FigureKind = "counter" | "gauge" | "histogram";

/** `boolean`: true or false, 1 or 0 in metrics. `0 or 1`: a number in all reports. */
export type Unit =
  | ("pages" | "frames" | "objects" | "copies" | "flushes" | "bytes" | "chunks")
  | ("requests" | "messages" | "datagrams" | "connections" | "streams" | "members" | "times")
  | (
      | "lines"
      | "descriptors"
      | "days"
      | "seconds"
      | "percent"
      | "points"
      | "pages/s"
      | "ratio"
      | "0 or 1"
      | "boolean"
    );

export interface Figure<U extends Unit = Unit> {
  readonly kind: FigureKind;
  readonly unit: U;
  /** One sentence. */
  readonly help: string;
  /** What the original called it; null: it had no such figure. */
  readonly original: string | null;
  /** The most so far, not what may be. Metrics say which of the two a `_max` is. */
  readonly isPeak?: boolean;
  /** What Prometheus calls it, without `ramster_` and `_total`; null: as in the stats. */
  readonly metric: string | null;
}

export type FigureTable = Readonly<Record<string, Figure>>;

/** A number for each row of a table. */
export type Counts<T extends FigureTable> = { -readonly [Name in keyof T]: number };

/** What a report has for each row of a table. */
export type Report<T extends FigureTable> = {
  readonly [Name in keyof T]: T[Name] extends Figure<"boolean"> ? boolean : number;
};

export type Prefixed<P extends string, T extends FigureTable> = {
  readonly [Name in keyof T as `${P}${Name & string}`]: T[Name];
};

type More = Partial<Pick<Figure, "original" | "metric">>;

/** It only grows: how often something has happened since the node started. */
export function counter<U extends Unit>(unit: U, help: string, more: More = {}): Figure<U> {
  return { kind: "counter", unit, help, original: null, metric: null, ...more };
}

/** It grows and shrinks: how much there is now. A name that ends in `_max` is that of a limit. */
export function gauge<U extends Unit>(unit: U, help: string, more: More = {}): Figure<U> {
  return { kind: "gauge", unit, help, original: null, metric: null, ...more };
}

/** The most that there was so far. Its name ends in `_max`. */
export function peak<U extends Unit>(unit: U, help: string): Figure<U> {
  return { ...gauge(unit, help), isPeak: true };
}

/** How long something took, as a histogram (histogram.ts). */
export function latency(help: string): Figure<"seconds"> {
  return { kind: "histogram", unit: "seconds", help, original: null, metric: null };
}

/** Rows that the original had under the same names. */
export function asInOriginal<T extends FigureTable>(table: T): T {
  const rows = Object.entries(table).map(([name, row]) => [name, { ...row, original: name }]);
  return Object.fromEntries(rows) as T;
}

/** The rows of a table under longer names. */
export function prefixed<P extends string, T extends FigureTable>(
  prefix: P,
  table: T,
): Prefixed<P, T> {
  const rows = Object.entries(table).map(([name, row]) => [`${prefix}${name}`, row]);
  return Object.fromEntries(rows) as Prefixed<P, T>;
}

/** Counts under longer names, as `prefixed` has them. */
export function withPrefix<P extends string, T extends FigureTable>(
  prefix: P,
  counts: Readonly<Counts<T>>,
): Report<Prefixed<P, T>> {
  const values = Object.entries(counts).map(([name, value]) => [`${prefix}${name}`, value]);
  return Object.fromEntries(values) as Report<Prefixed<P, T>>;
}

/** A class whose objects have a field for each row of the table, 0 at first. */
export function countersOf<T extends FigureTable>(table: T): new () => Counts<T> {
  const zeros = Object.fromEntries(Object.keys(table).map((name) => [name, 0]));
  class Counters {
    constructor() {
      Object.assign(this, zeros);
    }
  }
  return Counters as new () => Counts<T>;
}
