/**
 * Checks of the answers to STATS and EVENTS: whether they are what stats.ts says. A later version
 * may have more fields, figures and words. An earlier one has less of what is marked so.
 */
import type { FigureTable, Report } from "../core/figure.ts";
import { EXPORT, PEER, POOL } from "../core/figures.ts";
import type { HistogramSnapshot } from "../core/histogram.ts";
import {
  fieldsOf,
  isFlag,
  isNumber,
  isText,
  listOf,
  mapOf,
  orMissing,
  orNull,
  parseShape,
  type Shape,
} from "./shape.ts";
import type {
  EventReport,
  Events,
  Finding,
  LendingStats,
  MemberStats,
  NodeStats,
  Verdict,
} from "./stats.ts";

/** What earlier versions leave out. */
type Sent<T, Missing extends keyof T> = Omit<T, Missing> & {
  [K in Missing]: T[K] | undefined;
};

type Unseen = LendingStats["unseen"][number];

export type SentMember = Sent<MemberStats, "foreign_pages" | "own_frames">;

/** A part of the stats. `more`: how many members and peers are left. */
export type SentStats = Sent<Omit<NodeStats, "members">, "pools"> & {
  members: SentMember[];
  more: number;
};

/** Throws WireError. */
export function parseStats(text: string): SentStats {
  return parseShape(text, "a report of stats", isStats);
}

/** Throws WireError. */
export function parseEvents(text: string): Events {
  return parseShape(text, "a list of events", isEvents);
}

/** One of some words: any text, since a later version may have more of them. */
function isWord<T extends string>(value: unknown): value is T {
  return isText(value);
}

function isLevel(value: unknown): value is Finding["level"] {
  return value === 0 || value === 1 || value === 2;
}

/** The figures of a table. A later version may have dropped some. */
function figuresOf<T extends FigureTable>(table: T): Shape<Report<T>> {
  const names = Object.keys(table);
  const isFigure = orMissing<unknown>((it): it is unknown => isNumber(it) || isFlag(it));
  return fieldsOf(Object.fromEntries(names.map((name) => [name, isFigure]))) as Shape<Report<T>>;
}

function both<A, B>(a: Shape<A>, b: Shape<B>): Shape<A & B> {
  return (value): value is A & B => a(value) && b(value);
}

const isHistogram = fieldsOf<HistogramSnapshot>({ counts: listOf(isNumber), sum_us: isNumber });

const isMember = fieldsOf<SentMember>({
  name: isText,
  number: orNull(isNumber),
  state: isWord,
  address: isText,
  incarnation: isNumber,
  rtt_ms: orNull(isNumber),
  role: orNull(isWord<"node" | "server">),
  boot_id: orNull(isText),
  zone: orNull(isText),
  lend_frames: isNumber,
  free_frames: isNumber,
  foreign_pages: orMissing(isNumber),
  own_frames: orMissing(isNumber),
  pressure: isNumber,
  target: orNull(isText),
  drained: isFlag,
  note: isText,
});

const isFinding = fieldsOf<Finding>({
  state: isWord,
  name: isWord,
  level: isLevel,
  reason: isText,
  advice: isText,
});

const isStats = fieldsOf<SentStats>({
  // Missing in earlier versions. Who shows them looks for that.
  verdict: orMissing(isText) as Shape<Verdict>,
  findings: orMissing(listOf(isFinding)) as Shape<Finding[]>,
  node: fieldsOf<NodeStats["node"]>({
    number: isNumber,
    name: isText,
    cluster: isText,
    version: isText,
    boot_id: isText,
    listen: isText,
  }),
  members: listOf(isMember),
  repair: fieldsOf<NodeStats["repair"]>({
    pages_at_risk: isNumber,
    pages_exposed: isNumber,
    pages_out_of_reach: isNumber,
    pages_lost: isNumber,
    copies_intended: isNumber,
    copies_possible: isNumber,
    pages_per_second: orNull(isNumber),
    seconds_left: orNull(isNumber),
  }),
  nowhere: orNull(isText),
  codec: orNull(fieldsOf({ name: isText, library: orNull(isText) })),
  cold_codec: orNull(fieldsOf({ library: isText, dictionaries: isFlag, failed: isFlag })),
  exports: listOf(
    both(
      fieldsOf<Pick<NodeStats["exports"][number], "name" | "latencies">>({
        name: isText,
        latencies: fieldsOf({ read: isHistogram, write: isHistogram }),
      }),
      figuresOf(EXPORT),
    ),
  ),
  pools: orMissing(
    listOf(
      both(
        fieldsOf<Pick<NodeStats["pools"][number], "id" | "kind" | "export">>({
          id: isNumber,
          kind: isWord,
          export: orNull(isText),
        }),
        figuresOf(POOL),
      ),
    ),
  ),
  spill: fieldsOf({ trouble: orNull(isText) }),
  lending: fieldsOf({ unseen: listOf(isWord<Unseen>) }),
  knobs: mapOf(isText),
  // A figure that is no number is null in JSON.
  counters: mapOf(orNull(isNumber)) as Shape<NodeStats["counters"]>,
  latencies: mapOf(isHistogram) as Shape<NodeStats["latencies"]>,
  zbud: fieldsOf({
    eph_cumul_chunk_counts: listOf(isNumber),
    pers_cumul_chunk_counts: listOf(isNumber),
  }),
  peers: listOf(
    both(
      fieldsOf<
        Pick<
          NodeStats["peers"][number],
          "node" | "name" | "address" | "state" | "failure" | "boot_id"
        >
      >({
        node: isNumber,
        name: isText,
        address: isText,
        state: isText,
        failure: isText,
        boot_id: orNull(isText),
      }),
      figuresOf(PEER),
    ),
  ),
  more: isNumber,
});

const isEvents = fieldsOf<Events>({
  boot_id: isText,
  events: listOf(
    fieldsOf<EventReport>({ number: isNumber, kind: isWord, text: isText, age_ms: isNumber }),
  ),
});
