/**
 * Reports of a node: the JSON of STATS and EVENTS. What the library itself reads of it is checked;
 * the rest is passed on as it is.
 */
import { RamsterError } from "../core/errors.ts";
import type { Events, NodeStats } from "../wire/stats.ts";

/** One part of the stats, with how many members and peers are in later ones. */
export type StatsPart = NodeStats & { more: number };

/** Throws RamsterError BAD_FRAME for what is no report. */
export function readStats(text: string): StatsPart {
  const report = readObject(text);
  const { members, peers, more } = report;
  if (!isList(members) || !isList(peers) || typeof more !== "number")
    throw badReport("it lists no members");
  return withMissing(report as unknown as StatsPart);
}

/** Throws RamsterError BAD_FRAME for what is no report. */
export function readEvents(text: string): Events {
  const report = readObject(text);
  if (!isList(report["events"])) throw badReport("it lists no events");
  return report as unknown as Events;
}

export function badReport(why: string): RamsterError {
  return new RamsterError("BAD_FRAME", `Cannot read the node's report: ${why}`);
}

function readObject(text: string): Record<string, unknown> {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    throw badReport("it is not JSON");
  }
  if (!isObject(report)) throw badReport("it is not an object");
  return report;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isList(value: unknown): value is Array<Record<string, unknown>> {
  return Array.isArray(value) && value.every(isObject);
}

/** The report with 0 for what nodes of earlier versions leave out. */
function withMissing(stats: StatsPart): StatsPart {
  const pools = stats.pools ?? [];
  const members = stats.members.map((member) => {
    const { foreign_pages = 0, own_frames = 0 } = member;
    return { ...member, foreign_pages, own_frames };
  });
  return { ...stats, pools, members };
}
