/** Status as JSON: what of a node's stats is the cluster as it sees it, without counters. */

const FIELDS = [
  "node",
  "repair",
  "nowhere",
  "exports",
  "spill",
  "lending",
  "members",
  "peers",
] as const;

export type StatsForStatus = Readonly<Record<(typeof FIELDS)[number], unknown>>;

/** The text of `ramster status --json`, and of `/status.json`. Lines without the last line end. */
export function statusJson(stats: StatsForStatus): string {
  return JSON.stringify(Object.fromEntries(FIELDS.map((name) => [name, stats[name]])), null, 2);
}
