/**
 * ClusterKeys: the gossip keys of all members, shown and changed from one node with Serf's queries
 * about keys (hashicorp/serf, keymanager.go). The query begins when the control is set, and its
 * result is read until it is done.
 *
 *     set   "list", "add BASE64", "use FINGERPRINT", "remove FINGERPRINT"
 *     get   a KeyReport (wire/key-report.ts)
 *
 * It is no secret to whoever may read it: the client door is for the user of the node.
 */
import type { Asked } from "../cluster/serf-asks.ts";
import { WireError } from "../core/errors.ts";
import { GOSSIP_KEYS_MAX } from "../core/limits.ts";
import { refused } from "../core/units.ts";
import { fingerprintOf, type Keyring } from "../gossip/keyring.ts";
import {
  decodeKeyResponse,
  encodeKeyRequest,
  INTERNAL_QUERY_PREFIX,
} from "../gossip/serf-queries.ts";
import { parseGossipKey } from "../security/key-file.ts";
import type { KeyAnswerGroup, KeyReport } from "../wire/key-report.ts";
import type { Control } from "./controls.ts";

/** A report names so many members of each kind, at most. */
const NAMES_MAX = 100;

interface Asker {
  readonly keyring: Keyring | null;
  ask(name: string, payload: Uint8Array): Promise<Asked>;
}

type Answers = Omit<KeyReport, "is_done">;

const NO_ANSWERS: Answers = { groups: [], silent: [], silent_count: 0, base64: {} };

/** `members`: null without gossip. */
export function clusterKeyControl(members: Asker | null): Control {
  let answers: Answers | null = NO_ANSWERS;
  return {
    isSecret: true,
    get: () => JSON.stringify(reportOf(answers)),
    set: (value) => {
      if (members === null) throw refused("this node does not gossip");
      if (members.keyring === null) throw refused("gossip of this node is in clear");
      if (answers === null) throw refused("the query before has not ended");
      const { query, key } = queryOf(value, members.keyring);
      answers = null;
      const asked = members.ask(`${INTERNAL_QUERY_PREFIX}${query}`, encodeKeyRequest(key));
      void asked.then((it) => {
        answers = answersOf(it);
      });
    },
  };
}

const HOW = 'it takes "list", "add KEY", "use FINGERPRINT" or "remove FINGERPRINT"';

function queryOf(value: string, keyring: Keyring): { query: string; key: Uint8Array } {
  const [action, key = "", ...more] = value.split(" ");
  if (more.length > 0) throw refused(HOW);
  switch (action) {
    case "list":
      return { query: "list-keys", key: new Uint8Array(0) };
    case "add":
      return { query: "install-key", key: parseGossipKey(key) };
    case "use":
    case "remove":
      return { query: `${action}-key`, key: keyring.byFingerprint(key) };
    default:
      throw refused(HOW);
  }
}

function reportOf(answers: Answers | null): KeyReport {
  return { is_done: answers !== null, ...(answers ?? NO_ANSWERS) };
}

function answersOf({ answers, silent }: Asked): Answers {
  const groups = new Map<string, KeyAnswerGroup & { names: string[]; count: number }>();
  const base64: Record<string, string> = {};
  for (const [name, payload] of [...answers].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const answer = readAnswer(payload, base64);
    const group = groups.get(JSON.stringify(answer)) ?? { names: [], count: 0, ...answer };
    groups.set(JSON.stringify(answer), group);
    group.count += 1;
    if (group.names.length < NAMES_MAX) group.names.push(name);
  }
  const names = [...silent].sort();
  return {
    groups: [...groups.values()],
    silent: names.slice(0, NAMES_MAX),
    silent_count: names.length,
    base64,
  };
}

/** Adds the keys of the answer to `base64`. */
function readAnswer(
  payload: Uint8Array,
  base64: Record<string, string>,
): Omit<KeyAnswerGroup, "names" | "count"> {
  try {
    const { done, message, keys, inFile, latest } = decodeKeyResponse(payload);
    const error = done ? "" : message || "it refused";
    const fingerprints = keys.slice(0, GOSSIP_KEYS_MAX).map((key) => {
      const fingerprint = fingerprintOf(Buffer.from(key, "base64"));
      base64[fingerprint] = key;
      return fingerprint;
    });
    return { keys: fingerprints, in_file: inFile, latest, error };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { keys: [], in_file: null, latest: "", error: error.message };
  }
}
