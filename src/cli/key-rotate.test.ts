import { beforeEach, expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { SeededRandom } from "../core/random.ts";
import { fingerprintOf, Keyring } from "../gossip/keyring.ts";
import type { KeyAnswerGroup, KeyReport } from "../wire/key-report.ts";
import { type KeyDoor, rotate } from "./key-rotate.ts";
import { newKeyOf, nextStep } from "./key-rotation.ts";

const OLD = new Uint8Array(32).fill(1);

/** A member with a key file, whose answers may be lost. */
class FakeMember {
  readonly name: string;
  ring: Keyring;
  /** Null: an agent of Serf. */
  file: Uint8Array[] | null = [OLD];
  isSilent = false;

  constructor(name: string) {
    this.name = name;
    this.ring = new Keyring([OLD], new SeededRandom(1));
  }

  restart(): void {
    this.ring = new Keyring(this.file ?? [], new SeededRandom(1));
  }

  answer(action: string, key: Uint8Array): KeyAnswerGroup {
    let error = "";
    try {
      if (action === "add" || action === "use" || action === "remove") this.ring[action](key);
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      error = thrown.message;
    }
    const isList = action === "list";
    return {
      names: [this.name],
      count: 1,
      keys: isList ? this.ring.fingerprints() : [],
      in_file: isList ? (this.file?.map(fingerprintOf) ?? null) : null,
      latest: this.ring.latest === null ? "" : fingerprintOf(this.ring.latest),
      error,
    };
  }
}

class FakeCluster implements KeyDoor {
  readonly members = ["a", "b", "c"].map((name) => new FakeMember(name));
  readonly actions: string[] = [];
  private report: KeyReport = {
    is_done: true,
    groups: [],
    silent: [],
    silent_count: 0,
    base64: {},
  };

  async getKnob(): Promise<string> {
    return JSON.stringify(this.report);
  }

  async setKnob(_: string, value: string): Promise<string> {
    const [action = "", word = ""] = value.split(" ");
    if (action !== "list") this.actions.push(action);
    const all = this.members.flatMap(({ ring }) => ring.keys());
    const key =
      action === "add" ? Buffer.from(word, "base64") : all.find((it) => fingerprintOf(it) === word);
    const answering = this.members.filter((it) => !it.isSilent);
    const groups = answering.map((it) => it.answer(action, key ?? new Uint8Array(0)));
    const silent = this.members.filter((it) => it.isSilent).map(({ name }) => name);
    const base64 = Object.fromEntries(
      all.map((it) => [fingerprintOf(it), Buffer.from(it).toString("base64")]),
    );
    this.report = { is_done: true, groups, silent, silent_count: silent.length, base64 };
    return JSON.stringify(this.report);
  }
}

let cluster: FakeCluster;
let lines: string[];

beforeEach(() => {
  cluster = new FakeCluster();
  lines = [];
});

/** `onPause` is what happens while the command waits. */
async function run(onPause: (stop: AbortController) => void = writeFiles) {
  const stop = new AbortController();
  const show = {
    line: (text: string) => void lines.push(text),
    pause: async () => onPause(stop),
    stop: stop.signal,
  };
  return rotate(cluster, show);
}

/** A person puts the printed line before the other one in all files. */
function writeFiles(): void {
  const key = printedKey();
  for (const member of cluster.members) {
    if (member.file !== null && !member.file.includes(key)) member.file = [key, ...member.file];
  }
}

let printed: Uint8Array | null = null;

function printedKey(): Uint8Array {
  const base64 = /^gossip-key = (.+)$/.exec(lines[0] ?? "")?.[1] ?? "";
  const key = new Uint8Array(Buffer.from(base64, "base64"));
  if (printed === null || Buffer.compare(printed, key) !== 0) printed = key;
  return printed;
}

function expectRotated(): void {
  const key = fingerprintOf(printedKey());
  for (const { ring } of cluster.members) expect(ring.fingerprints()).toEqual([key]);
}

test("gives all members a new key, and takes the old one away", async () => {
  const { text, json } = await run();
  expectRotated();
  expect(cluster.actions).toEqual(["add", "use", "remove"]);
  const key = fingerprintOf(printedKey());
  expect(lines).toEqual([
    expect.stringMatching(/^gossip-key = [\w+/]{43}=$/),
    `the new key is ${key}`,
    expect.stringMatching(/^put the first line above before the other gossip-key line of the key/),
    'waiting for the key files of: "a", "b", "c"',
  ]);
  const where = '"a", "b", "c"';
  expect(text).toBe(
    `done: 3 members use the key ${key}, and no other\nremove the other gossip-key lines from: ${where}`,
  );
  expect(json).toMatchObject({
    key,
    removed: [fingerprintOf(OLD)],
    files_to_clean: ["a", "b", "c"],
  });
});

test("does not use the key while one file lacks it, or has it behind the old one", async () => {
  let pauses = 0;
  await run((stop) => {
    pauses += 1;
    writeFiles();
    const b = cluster.members[1] as FakeMember;
    const key = printedKey();
    b.file = pauses < 4 ? [OLD, key] : [key, OLD];
    expect(cluster.actions).toEqual(["add"]);
    if (pauses > 9) stop.abort("SIGINT");
  });
  expect(pauses).toBe(4);
  expectRotated();
});

test("does not wait for agents of Serf, which have no such file", async () => {
  for (const member of cluster.members) member.file = null;
  const { text } = await run();
  expect(lines).toHaveLength(2);
  expect(text).not.toContain("gossip-key lines");
  expectRotated();
});

test.each([1, 2, 3])("goes on after it was stopped at pause %p", async (at) => {
  let pauses = 0;
  const stopped = run((stop) => {
    pauses += 1;
    if (pauses === at) stop.abort("SIGINT");
    if (pauses > 1) writeFiles();
  });
  const why = "stopped by SIGINT; ramster key rotate goes on from here";
  if (at < 3) await expect(stopped).rejects.toThrow(`Cannot rotate the gossip key: ${why}`);
  else await stopped;
  const before = lines[0];
  lines = [];
  if (at < 3) {
    await run();
    expect(lines[0]).toBe(before as string);
  } else {
    lines = [before as string];
  }
  expectRotated();
});

test("goes on after nodes were restarted with the new file, or with the old one", async () => {
  await run((stop) => stop.abort("SIGINT")).catch(() => {});
  const [a, b] = cluster.members as [FakeMember, FakeMember];
  b.restart();
  a.file = [printedKey(), OLD];
  a.restart();
  const before = lines[0] as string;
  lines = [];
  await run();
  expect(lines[0]).toBe(before);
  expectRotated();
});

test("finishes the removal of a key that came back with a file", async () => {
  await run();
  const [a] = cluster.members as [FakeMember];
  a.restart();
  expect(a.ring.fingerprints()).toHaveLength(2);
  const before = lines[0] as string;
  lines = [];
  await run();
  expect(lines[0]).toBe(before);
  expectRotated();
});

test("stops before a step that would cut a member off", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  b.isSilent = true;
  await expect(run()).rejects.toThrow('Cannot rotate the gossip key: "b" did not answer; ');
  expect(cluster.actions).toEqual([]);
  for (const { ring } of cluster.members) expect(ring.fingerprints()).toHaveLength(1);
});

test("waits for a member that answers late", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  b.isSilent = true;
  let pauses = 0;
  await run(() => {
    pauses += 1;
    if (pauses === 3) b.isSilent = false;
    if (pauses > 3) writeFiles();
  });
  expectRotated();
});

test("stops when a member refuses a key", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  b.ring.add = () => {
    throw new ConfigError("BAD_CONFIG", "no more keys");
  };
  await expect(run()).rejects.toThrow('Cannot rotate the gossip key: "b": no more keys; ');
  expect(cluster.actions).toEqual(["add"]);
});

test("removes keys that are in no file first, before it makes a new one", async () => {
  const [a, b] = cluster.members as [FakeMember, FakeMember];
  for (const { ring } of [a, b]) {
    ring.add(new Uint8Array(32).fill(7));
    ring.latest = null; // As after a restart with two keys in the file.
  }
  const { text } = await run();
  expect(lines[1]).toBe(`the new key is ${fingerprintOf(OLD)}`);
  expect(text).toEndWith(
    "this has ended an earlier rotation: run ramster key rotate again for a new key",
  );
  expect(cluster.actions).toEqual(["remove"]);
});

test("newKeyOf() and nextStep() do not guess between two rotations", async () => {
  const group = { count: 1, in_file: null, error: "" };
  const groups = [
    { ...group, names: ["a"], keys: ["k", "x"], latest: "x" },
    { ...group, names: ["b"], keys: ["k", "y"], latest: "y" },
  ];
  const report = { is_done: true, groups, silent: [], silent_count: 0, base64: {} };
  expect(newKeyOf(report)).toBeNull();
  expect(nextStep(report, null)).toEqual({
    kind: "blocked",
    reason:
      "members have 3 keys (k, x, y), and none is the newest: " +
      "remove what is not needed with ramster key remove",
  });
});
