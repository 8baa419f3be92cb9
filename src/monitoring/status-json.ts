/** Status as JSON: the cluster as a node sees it, from the node's stats without its counters. */

const FIELDS = [
  "verdict",
  "findings",
  "node",
  "repair",
  "nowhere",
  "codec",
  "cold_codec",
  "exports",
  "pools",
  "spill",
  "lending",
  "members",
  "peers",
] as const;

export type StatsForStatus = Readonly<Record<(typeof FIELDS)[number], unknown>>;

/** The text of `ramster status --json` and of `/status.json`, without the last line end. */
export function statusJson(stats: StatsForStatus): string {
  return JSON.stringify(Object.fromEntries(FIELDS.map((name) => [name, stats[name]])), null, 2);
}
