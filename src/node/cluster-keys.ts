/**
 * ClusterKeys: the gossip keys of all members, shown and changed from one node with Serf's queries
 * about keys (hashicorp/serf, keymanager.go). The query begins when the control is set, and its
 * result is read until it is done.
 *
 *     set   "list", "add BASE64", "use FINGERPRINT", "remove FINGERPRINT"
 *     get   a KeyReport (wire/key-report.ts), with an id of its own for each query
 *
 * One query is under way at a time. What members answer is checked: a key is one, and is written
 * again from its bytes.
 *
 * It is no secret to whoever may read it: the client door is for the user of the node.
 */
import type { Asked } from "../cluster/serf-asks.ts";
import { ConfigError, WireError } from "../core/errors.ts";
import { GOSSIP_KEYS_MAX } from "../core/limits.ts";
import { printable } from "../core/printable.ts";
import { refused } from "../core/units.ts";
import { fingerprintOf, isFingerprint, type Keyring } from "../gossip/keyring.ts";
import {
  decodeKeyResponse,
  encodeKeyRequest,
  INTERNAL_QUERY_PREFIX,
} from "../gossip/serf-queries.ts";
import { parseGossipKey } from "../security/key-file.ts";
import { type KeyAnswerGroup, type KeyReport, NO_KEY_ANSWERS } from "../wire/key-report.ts";
import type { Control } from "./controls.ts";

/** A report names so many members of each kind, at most. */
const NAMES_MAX = 100;

interface Asker {
  readonly keyring: Keyring | null;
  ask(name: string, payload: Uint8Array): Promise<Asked>;
}

type Answers = typeof NO_KEY_ANSWERS;

/** `members`: null without gossip. */
export function clusterKeyControl(members: Asker | null): Control {
  let id = 0;
  let answers: Answers | null = NO_KEY_ANSWERS;
  const report = (): KeyReport => ({
    id,
    is_done: answers !== null,
    ...(answers ?? NO_KEY_ANSWERS),
  });
  return {
    isSecret: true,
    get: () => JSON.stringify(report()),
    set: (value) => {
      if (members === null) throw refused("this node does not gossip");
      if (members.keyring === null) throw refused("gossip of this node is in clear");
      if (answers === null) throw refused("another command asks the members through this node");
      const { query, key } = queryOf(value, members.keyring, answers.base64);
      id += 1;
      answers = null;
      const asked = members.ask(`${INTERNAL_QUERY_PREFIX}${query}`, encodeKeyRequest(key));
      void asked.then((it) => {
        answers = answersOf(it);
      });
    },
  };
}

const HOW = 'it takes "list", "add KEY", "use FINGERPRINT" or "remove FINGERPRINT"';

/** `others`: keys that members have, by fingerprint. One that was restarted may have a key alone. */
function queryOf(
  value: string,
  keyring: Keyring,
  others: Readonly<Record<string, string>>,
): { query: string; key: Uint8Array } {
  const [action, key = "", ...more] = value.split(" ");
  if (more.length > 0) throw refused(HOW);
  switch (action) {
    case "list":
      return { query: "list-keys", key: new Uint8Array(0) };
    case "add":
      return { query: "install-key", key: parseGossipKey(key) };
    case "use":
    case "remove":
      return { query: `${action}-key`, key: keyOf(key, keyring, others) };
    default:
      throw refused(HOW);
  }
}

function keyOf(
  fingerprint: string,
  keyring: Keyring,
  others: Readonly<Record<string, string>>,
): Uint8Array {
  const base64 = Object.hasOwn(others, fingerprint) ? others[fingerprint] : undefined;
  return base64 === undefined ? keyring.byFingerprint(fingerprint) : parseGossipKey(base64);
}

function answersOf({ answers, silent, dead }: Asked): Answers {
  const groups = new Map<string, KeyAnswerGroup & { names: string[]; count: number }>();
  const base64: Record<string, string> = {};
  for (const [name, payload] of [...answers].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const answer = readAnswer(payload, base64);
    const group = groups.get(JSON.stringify(answer)) ?? { names: [], count: 0, ...answer };
    groups.set(JSON.stringify(answer), group);
    group.count += 1;
    if (group.names.length < NAMES_MAX) group.names.push(name);
  }
  return {
    groups: [...groups.values()],
    silent: [...silent].sort().slice(0, NAMES_MAX),
    silent_count: silent.length,
    dead: [...dead].sort().slice(0, NAMES_MAX),
    dead_count: dead.length,
    base64,
  };
}

/** Adds the keys of the answer to `base64`. */
function readAnswer(
  payload: Uint8Array,
  base64: Record<string, string>,
): Omit<KeyAnswerGroup, "names" | "count"> {
  try {
    const { done, message, keys, inFile } = decodeKeyResponse(payload);
    if (!done) return failed(printable(message) || "it refused");
    if (keys.length > GOSSIP_KEYS_MAX || (inFile?.length ?? 0) > GOSSIP_KEYS_MAX) {
      return failed(`it has more than ${GOSSIP_KEYS_MAX} keys`);
    }
    if (inFile?.every(isFingerprint) === false) return failed("it names keys by no fingerprints");
    const parsed = keys.map(parseGossipKey);
    for (const key of parsed) base64[fingerprintOf(key)] = Buffer.from(key).toString("base64");
    return { keys: parsed.map(fingerprintOf), in_file: inFile, error: "" };
  } catch (error) {
    if (!(error instanceof WireError) && !(error instanceof ConfigError)) throw error;
    return failed(printable(error.message));
  }
}

function failed(error: string): Omit<KeyAnswerGroup, "names" | "count"> {
  return { keys: [], in_file: null, error };
}
