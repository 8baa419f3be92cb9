import { beforeEach, describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { ConfigError } from "../core/errors.ts";
import { SERF_RELAYS_MAX } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { fingerprintOf, Keyring } from "../gossip/keyring.ts";
import { GOSSIP } from "../gossip/messages.ts";
import { decodeMsgpack, encodeMsgpack, msgpackEnd } from "../gossip/msgpack.ts";
import { SERF } from "../gossip/serf-messages.ts";
import { decodeQuery } from "../gossip/serf-queries.ts";
import { encodeTags } from "../gossip/serf-tags.ts";
import { formatAddress } from "../net/address.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { ClusterCounters } from "./counters.ts";
import { Members } from "./members.ts";
import { matches, SerfAnswers } from "./serf-answers.ts";
import { LAN } from "./settings.ts";
import { OWN_VERSIONS } from "./versions.ts";

const ASKER = Uint8Array.of(10, 0, 0, 2);
const KEYS = [1, 2].map((byte) => new Uint8Array(32).fill(byte));

let members: Members;
let keyring: Keyring | null;
let sent: Array<{ to: string; bytes: Uint8Array }>;
let notices: string[];
let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
  members = new Members(
    {
      clock,
      counters: new ClusterCounters(),
      awareness: new Awareness(8),
      queue: new BroadcastQueue(),
      isLeaving: () => false,
      events: {
        onJoin: () => {},
        onUpdate: () => {},
        onLeave: () => {},
        onConflict: () => {},
        onNotice: () => {},
      },
    },
    { ...LAN, bind: { kind: "tcp", host: "10.0.0.1", port: 7946 }, advertise: null, label: "" },
    {
      name: "self",
      addr: Uint8Array.of(10, 0, 0, 1),
      port: 7946,
      meta: encodeTags({ role: "node" }),
    },
  );
  for (let i = 2; i < 6; i += 1) add(`m${i}`, i);
  keyring = new Keyring(KEYS.slice(0, 1), new SeededRandom(1), () => KEYS.slice(0, 1));
  sent = [];
  notices = [];
});

function add(node: string, last: number): void {
  const addr = Uint8Array.of(10, 0, 0, last);
  const meta = encodeTags({ role: node });
  const facts = { kind: "alive", node, incarnation: 1, addr, port: 7946, meta } as const;
  members.onAlive({ ...facts, vsn: OWN_VERSIONS });
}

function open(): SerfAnswers {
  return new SerfAnswers({
    clock,
    members,
    keyring,
    random: new SeededRandom(1),
    send: (to, bytes) => void sent.push({ to: formatAddress(to), bytes }),
    onNotice: (_, line) => void notices.push(line),
  });
}

function ask(fields: Record<string, unknown>, answers = open()): void {
  const query = { LTime: 7, ID: 3, Addr: ASKER, Port: 7946, Name: "_serf_ping", ...fields };
  answers.answer(decodeQuery(encodeMsgpack(query)));
}

/** The message that was sent: a user message with an answer, whose payload is decoded too. */
function answers() {
  return sent.map(({ to, bytes }) => {
    expect([bytes[0], bytes[1]]).toEqual([GOSSIP.USER, SERF.QUERY_RESPONSE]);
    const fields = decodeMsgpack(bytes.subarray(2)) as Record<string, unknown>;
    const payload = fields["Payload"];
    if (!(payload instanceof Uint8Array)) return { to, ...plain(fields) };
    const inside = decodeMsgpack(payload.subarray(1)) as Record<string, unknown> | null;
    const body = inside === null ? null : plain(inside);
    return { to, ...plain({ ...fields, Payload: null }), id: payload[0], body };
  });
}

function plain(fields: Record<string, unknown>): Record<string, unknown> {
  const text = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return new TextDecoder().decode(value);
    if (Array.isArray(value)) return value.map(text);
    return value;
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, text(value)]));
}

function filterOf(id: number, body: unknown): Uint8Array {
  return Uint8Array.from([id, ...encodeMsgpack(body)]);
}

describe("acknowledgement", () => {
  const ack = { to: "10.0.0.2:7946", LTime: 7, ID: 3, From: "self", Flags: 1, Payload: null };

  test("goes to the member that asks for it", () => {
    ask({ Flags: 1 });
    expect(answers()).toEqual([ack]);
    ask({ Flags: 1, Name: "uptime" });
    expect(answers()).toEqual([ack, ack]);
    ask({ Flags: 0 });
    expect(sent.length).toBe(2);
  });

  test("goes to members only", () => {
    ask({ Flags: 1, Addr: Uint8Array.of(10, 9, 9, 9) });
    ask({ Flags: 1, Port: 53 });
    ask({ Flags: 1, Addr: Uint8Array.of(1) });
    members.onDead({ kind: "dead", incarnation: 1, node: "m2", from: "m3" });
    ask({ Flags: 1 });
    expect(sent).toEqual([]);
  });

  test("comes only from members that pass all filters", () => {
    const tag = (expression: string) => filterOf(1, { Tag: "role", Expr: expression });
    for (const [filters, isAnswered] of [
      [[filterOf(0, ["self", "a"])], true],
      [[filterOf(0, ["a"])], false],
      [[tag("^node$")], true],
      [[tag("^web$")], false],
      [[filterOf(0, ["self"]), tag("^web$")], false],
      [[filterOf(9, {})], false],
      [[new Uint8Array(0)], false],
    ] as const) {
      sent = [];
      ask({ Flags: 1, Filters: filters });
      expect(sent.length).toBe(isAnswered ? 1 : 0);
    }
  });

  test("goes through as many relays as the query asks for, within bounds", () => {
    ask({ Flags: 1, RelayFactor: 2 });
    const [direct, ...relayed] = sent;
    expect(direct?.to).toBe("10.0.0.2:7946");
    expect(relayed.length).toBe(2);
    for (const { to, bytes } of relayed) {
      expect(["10.0.0.3:7946", "10.0.0.4:7946", "10.0.0.5:7946"]).toContain(to);
      expect([bytes[0], bytes[1]]).toEqual([GOSSIP.USER, SERF.RELAY]);
      const end = msgpackEnd(bytes, 2);
      // As an agent of Serf wrote it.
      const header = decodeMsgpack(bytes.subarray(2, end));
      const DestAddr = { IP: ASKER, Port: 7946, Zone: new Uint8Array(0) };
      expect(header).toEqual({ DestAddr, DestName: new TextEncoder().encode("m2") });
      expect(bytes.subarray(end)).toEqual(direct?.bytes.subarray(1) ?? new Uint8Array(0));
    }
    for (let i = 6; i < 40; i += 1) add(`m${i}`, i);
    sent = [];
    ask({ Flags: 1, RelayFactor: 30 });
    expect(sent.length).toBe(1 + SERF_RELAYS_MAX);
  });
});

test("this node relays to members only", () => {
  const forward = (last: number): void => {
    const parts = { clock, members, keyring, random: new SeededRandom(1), onNotice: () => {} };
    const send = (to: Parameters<typeof formatAddress>[0], bytes: Uint8Array): void => {
      sent.push({ to: formatAddress(to), bytes });
    };
    const addr = Uint8Array.of(10, 0, 0, last);
    new SerfAnswers({ ...parts, send }).forward({ addr, port: 7946, message: Uint8Array.of(5, 1) });
  };
  forward(3);
  forward(99);
  expect(sent).toEqual([{ to: "10.0.0.3:7946", bytes: Uint8Array.of(GOSSIP.USER, 5, 1) }]);
});

describe("keys", () => {
  const request = (key: Uint8Array | undefined) => filterOf(SERF.KEY_REQUEST, { Key: key });
  const [old = new Uint8Array(0), next = new Uint8Array(0)] = KEYS;
  const base64 = (key: Uint8Array): string => Buffer.from(key).toString("base64");

  test("are added, used, removed and listed as Serf does", () => {
    for (const name of ["install-key", "use-key", "remove-key", "list-keys"]) {
      const Payload = request(name === "remove-key" ? old : next);
      ask({ Name: `_serf_${name}`, Payload });
    }
    expect(keyring?.keys()).toEqual([next]);
    const done = { Result: true, Message: "", Keys: [], PrimaryKey: "" };
    const listed = { Keys: [base64(next)], PrimaryKey: base64(next) };
    const ofRamster = { KeyFile: [fingerprintOf(old)] };
    expect(answers().map((it) => ("body" in it ? it.body : null))).toEqual([
      done,
      done,
      done,
      { ...done, ...listed, ...ofRamster },
    ]);
    expect(answers().map((it) => ("id" in it ? it.id : null))).toEqual([8, 8, 8, 8]);
    expect(notices.length).toBe(3);
    expect(notices[0]).toMatch(
      /^gossip key [0-9a-f]{12} is added by member "m2": change the key file/,
    );
  });

  test("of a file that cannot be read are none", () => {
    keyring = new Keyring([old], new SeededRandom(1), () => {
      throw new ConfigError("BAD_CONFIG", "no such file");
    });
    ask({ Name: "_serf_list-keys", Payload: request(undefined) });
    const [answer] = answers();
    expect(answer).toMatchObject({ body: { Result: true, KeyFile: [] } });
  });

  test("that cannot be changed are refused with a reason", () => {
    ask({ Name: "_serf_install-key", Payload: request(new Uint8Array(5)) });
    ask({ Name: "_serf_use-key", Payload: request(next) });
    ask({ Name: "_serf_remove-key", Payload: request(old) });
    keyring = null;
    ask({ Name: "_serf_install-key", Payload: request(next) });
    ask({ Name: "_serf_list-keys", Payload: request(undefined) });
    const bodies = answers().map((it) => ("body" in it ? it.body : null));
    expect(bodies.map((it) => it?.["Result"])).toEqual([false, false, false, false, false]);
    expect(bodies.map((it) => it?.["Message"])).toEqual([
      "Cannot use a key of 5 bytes: it must be 16, 24 or 32 bytes long",
      "Cannot use a key that is not in the keyring: add it first",
      "Cannot remove the key that encrypts: use another key first",
      "No keyring to modify (encryption not enabled)",
      "Keyring is empty (encryption not enabled)",
    ]);
    expect(notices).toEqual([]);
  });
});

describe("queries about keys above the rate", () => {
  const Payload = filterOf(SERF.KEY_REQUEST, { Key: undefined });
  const list = { Name: "_serf_list-keys", Payload };
  const from = (last: number) => ({ ...list, Addr: Uint8Array.of(10, 0, 0, last) });

  test("of one member are not answered, and those of others are", () => {
    const node = open();
    for (let i = 0; i < 40; i += 1) ask(from(2), node);
    expect(sent.length).toBe(16);
    expect(new Set(notices)).toEqual(
      new Set([
        'ignored queries about gossip keys of member "m2": it, or all members, ask too often',
      ]),
    );
    ask(from(3), node);
    expect(sent.length).toBe(17);
    ask({ Flags: 1 }, node);
    expect(sent.length).toBe(18);
    clock.run(clock.now() + 1000);
    ask(from(2), node);
    expect(sent.length).toBe(19);
  });

  test("of all members together are not answered", () => {
    for (let i = 6; i < 106; i += 1) add(`m${i}`, i);
    const node = open();
    for (let i = 6; i < 106; i += 1) ask(from(i), node);
    expect(sent.length).toBe(64);
  });
});

test("a query about a claimed name is answered, except about this node", () => {
  const about = (name: string) => ({
    Name: "_serf_conflict",
    Payload: new TextEncoder().encode(name),
  });
  ask(about("self"));
  expect(sent).toEqual([]);
  ask(about("m3"));
  ask(about("nobody"));
  const [known, unknown] = answers();
  expect(known).toMatchObject({
    id: SERF.CONFLICT_RESPONSE,
    body: { Name: "m3", Port: 7946, Status: 1 },
  });
  expect(unknown).toMatchObject({ id: SERF.CONFLICT_RESPONSE, body: null });
});

test("expressions of words match as in Go, and no others match", () => {
  for (const [expression, text, is] of [
    ["", "node", true] as const,
    ["od", "node", true] as const,
    ["^od", "node", false] as const,
    ["no$", "node", false] as const,
    ["de$", "node", true] as const,
    ["^node$", "node", true] as const,
    ["web|node", "node", true] as const,
    ["^web$|^db$", "node", false] as const,
    ["n.de", "node", true] as const,
    ["node.", "node", false] as const,
    ["^$", "", true] as const,
    ["(a+)+$", "aaaa", false] as const,
    [".*", "node", false] as const,
    ["n$o", "n$o", false] as const,
  ]) {
    expect({ expression, text, is: matches(expression, text) }).toEqual({ expression, text, is });
  }
});
