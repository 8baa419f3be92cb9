import { beforeEach, describe, expect, test } from "bun:test";
import { ConfigError } from "../core/errors.ts";
import { SeededRandom } from "../core/random.ts";
import { fingerprintOf, Keyring } from "../gossip/keyring.ts";
import { type KeyAnswerGroup, type KeyReport, NO_KEY_ANSWERS } from "../wire/key-report.ts";
import { type KeyDoor, type RotationOrder, rotate } from "./key-rotate.ts";

const OLD = new Uint8Array(32).fill(1);

/** A member with a key file, whose answers may be lost. */
class FakeMember {
  readonly name: string;
  ring: Keyring;
  /** Null: an agent of Serf. */
  file: Uint8Array[] | null = [OLD];
  isSilent = false;
  isDead = false;

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
      error,
    };
  }
}

class FakeCluster implements KeyDoor {
  readonly members = ["a", "b", "c"].map((name) => new FakeMember(name));
  readonly actions: string[] = [];
  /** Called before each action. */
  onAction: (action: string) => void = () => {};
  report: KeyReport = { id: 0, is_done: true, ...NO_KEY_ANSWERS };

  async getKnob(): Promise<string> {
    return JSON.stringify(this.report);
  }

  async setKnob(_: string, value: string): Promise<string> {
    const [action = "", word = ""] = value.split(" ");
    this.onAction(action);
    if (this.report.id > 200) throw new Error("the rotation has no end");
    if (action !== "list") this.actions.push(action);
    const all = this.members.flatMap(({ ring }) => ring.keys());
    const key =
      action === "add" ? Buffer.from(word, "base64") : all.find((it) => fingerprintOf(it) === word);
    const answering = this.members.filter((it) => !it.isSilent && !it.isDead);
    const groups = answering.map((it) => it.answer(action, key ?? new Uint8Array(0)));
    const silent = this.members.filter((it) => it.isSilent).map(({ name }) => name);
    const dead = this.members.filter((it) => it.isDead).map(({ name }) => name);
    const base64 = Object.fromEntries(
      all.map((it) => [fingerprintOf(it), Buffer.from(it).toString("base64")]),
    );
    const id = this.report.id + 1;
    const missing = { silent, silent_count: silent.length, dead, dead_count: dead.length };
    this.report = { id, is_done: true, groups, ...missing, base64 };
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
async function run(
  onPause: (stop: AbortController) => void = writeFiles,
  order: Partial<RotationOrder> = {},
) {
  const stop = new AbortController();
  const show = {
    line: (text: string) => void lines.push(text),
    pause: async () => onPause(stop),
    stop: stop.signal,
  };
  return rotate(cluster, show, { key: null, force: false, ...order });
}

/** Goes on with the key that was printed. */
function goOn() {
  const key = fingerprintOf(printedKey());
  lines = [];
  return run(writeFiles, { key });
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

test("does not wait for files that nobody can look at, and names who has them", async () => {
  for (const member of cluster.members) member.file = null;
  const { text } = await run();
  expect(lines.slice(2)).toEqual([
    'the key files of "a", "b", "c" cannot be seen from here, ' +
      "and need the first line above before the next start",
  ]);
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
  if (at === 3) {
    await stopped;
    return expectRotated();
  }
  const error = await stopped.catch((it) => it);
  const key = fingerprintOf(printedKey());
  expect(error).toMatchObject({ code: "REFUSED" });
  expect(error.message).toBe(
    `Cannot rotate the gossip key: stopped by SIGINT; ramster key rotate ${key} goes on from here`,
  );
  const before = lines[0];
  const { text } = await goOn();
  expect(lines.slice(0, 2)).toEqual([
    before as string,
    `goes on with the key ${key}, which "a", "b", "c" have`,
  ]);
  expect(text).toStartWith(`done: 3 members use the key ${key}, and no other\n`);
  expectRotated();
});

test("takes up no key that it has not made, unless it is told which", async () => {
  const [a, b] = cluster.members as [FakeMember, FakeMember];
  const chosen = new Uint8Array(32).fill(7);
  chosen[0] = 1;
  const [key, old] = [fingerprintOf(chosen), fingerprintOf(OLD)];
  b.ring.add(chosen);
  await expect(run()).rejects.toThrow(
    `Cannot rotate the gossip key: members have 2 keys, ${old} ("a", "b", "c", encrypts); ` +
      `${key} ("b"): ramster key rotate FINGERPRINT goes on with the new one, and removes the others`,
  );
  expect([cluster.actions, lines]).toEqual([[], []]);
  await run(writeFiles, { key });
  expectRotated();
  expect(a.ring.keys()).toEqual([chosen]);
});

test("takes up no key that nobody has, that is another, or that can be guessed", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  await expect(run(writeFiles, { key: "0123456789ab" })).rejects.toThrow(
    "Cannot rotate the gossip key: no member has the key 0123456789ab",
  );
  await expect(run(writeFiles, { key: "constructor" })).rejects.toThrow("no member has the key");
  const zero = new Uint8Array(16);
  b.ring.add(zero);
  await expect(run(writeFiles, { key: fingerprintOf(zero) })).rejects.toThrow(
    `the key ${fingerprintOf(zero)} can be guessed: all its bytes are the same`,
  );
  const { setKnob } = cluster;
  cluster.setKnob = async (name, value) => {
    const report = JSON.parse(await setKnob.call(cluster, name, value));
    return JSON.stringify({ ...report, base64: { "0123456789ab": "AAAAAAAAAAAAAAAAAAAAAQ==" } });
  };
  await expect(run(writeFiles, { key: "0123456789ab" })).rejects.toThrow("another key is sent");
  expect([cluster.actions, lines]).toEqual([[], []]);
});

test("goes on after nodes were restarted with the new file, or with the old one", async () => {
  await run((stop) => stop.abort("SIGINT")).catch(() => {});
  const [a, b] = cluster.members as [FakeMember, FakeMember];
  b.restart();
  a.file = [printedKey(), OLD];
  a.restart();
  await goOn();
  expectRotated();
});

test("finishes the removal of a key that came back with a file", async () => {
  await run();
  const [a] = cluster.members as [FakeMember];
  a.restart();
  expect(a.ring.fingerprints()).toHaveLength(2);
  await goOn();
  expectRotated();
});

test("stops before a step that would cut a member off", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  b.isSilent = true;
  await expect(run()).rejects.toThrow(/^Cannot rotate the gossip key: "b" did not answer$/);
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

describe("a dead member", () => {
  const CUT_OFF =
    '"c" is dead, and would be cut off when back: start what is dead, or wait until the cluster ' +
    "forgets it, or let it be cut off with --force";

  test("stops a rotation before it begins", async () => {
    const [, , c] = cluster.members as [FakeMember, FakeMember, FakeMember];
    c.isDead = true;
    await expect(run()).rejects.toThrow(`Cannot rotate the gossip key: ${CUT_OFF}`);
    expect([cluster.actions, lines]).toEqual([[], []]);
  });

  test.each(["use", "remove"])(
    "stops it before %p, and not while files are waited for",
    async (at) => {
      const [, , c] = cluster.members as [FakeMember, FakeMember, FakeMember];
      let pauses = 0;
      cluster.onAction = () => {
        if (cluster.actions.at(-1) === "use" && at === "remove") c.isDead = true;
      };
      const stopped = run(() => {
        pauses += 1;
        if (at === "use") c.isDead = true;
        if (pauses > 9) writeFiles();
      });
      const error = await stopped.catch((it) => it);
      const key = fingerprintOf(printedKey());
      expect(error.message).toBe(
        `Cannot rotate the gossip key: ${CUT_OFF}; ramster key rotate ${key} goes on from here`,
      );
      expect(cluster.actions).toEqual(at === "use" ? ["add"] : ["add", "use"]);
      // It is back with the keys that it had, and can be heard.
      c.isDead = false;
      cluster.onAction = () => {};
      await goOn();
      expectRotated();
    },
  );

  test("may be cut off with --force, and is named", async () => {
    const [a, b, c] = cluster.members as [FakeMember, FakeMember, FakeMember];
    c.isDead = true;
    const { text } = await run(writeFiles, { force: true });
    expect(text).toEndWith('\n"c" is dead: put the new line into the key file before a start');
    expect(c.ring.keys()).toEqual([OLD]);
    for (const { ring } of [a, b]) expect(ring.keys()).toEqual([printedKey()]);
  });
});

test("stops when a member refuses a key", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  b.ring.add = () => {
    throw new ConfigError("BAD_CONFIG", "no more keys");
  };
  await expect(run()).rejects.toThrow('Cannot rotate the gossip key: "b": no more keys; ');
  expect(cluster.actions).toEqual(["add"]);
});

describe("another rotation", () => {
  const OTHER = new Uint8Array(32).fill(9);

  test("that brings a new key stops this one", async () => {
    const [, b] = cluster.members as [FakeMember, FakeMember];
    const stopped = run(() => b.ring.add(OTHER));
    const error = await stopped.catch((it) => it);
    const [key, other] = [fingerprintOf(printedKey()), fingerprintOf(OTHER)];
    expect(error).toMatchObject({ code: "REFUSED" });
    expect(error.message).toBe(
      `Cannot rotate the gossip key: "b" got the key ${other} meanwhile, which this command ` +
        `did not make: ramster key rotate ${key} goes on with its own, and removes that`,
    );
    expect(cluster.actions).toEqual(["add"]);
    await goOn();
    expectRotated();
  });

  test("that removes the new key stops this one, and it does not come back", async () => {
    const stopped = run(() => {
      for (const { ring } of cluster.members) ring.remove(printedKey());
    });
    const error = await stopped.catch((it) => it);
    expect(error.message).toBe(
      `Cannot rotate the gossip key: no member has the key ${fingerprintOf(printedKey())} ` +
        "any more: another command has removed it",
    );
    expect(cluster.actions).toEqual(["add"]);
    for (const { ring } of cluster.members) expect(ring.keys()).toEqual([OLD]);
  });

  test("with another of the old keys ends, too, and does not go on for ever", async () => {
    for (const { ring } of cluster.members) ring.add(OTHER);
    cluster.onAction = (action) => {
      if (action !== "list" || cluster.actions.at(-1) !== "remove") return;
      for (const { ring } of cluster.members) {
        ring.add(OTHER);
        ring.use(OTHER);
      }
    };
    const key = new Uint8Array(32).fill(1);
    key[0] = 2;
    for (const member of cluster.members) {
      member.ring.add(key);
      member.file = null;
    }
    await expect(run(writeFiles, { key: fingerprintOf(key) })).rejects.toThrow(
      'members do not take the step "use", or do not keep to it',
    );
  });

  test("through the same node does not give this one its answers", async () => {
    const { setKnob } = cluster;
    cluster.setKnob = async (name, value) => {
      const report = JSON.parse(await setKnob.call(cluster, name, value));
      cluster.report = { ...report, id: report.id + 1 };
      return JSON.stringify({ ...report, is_done: false });
    };
    await expect(run()).rejects.toThrow("another command asks the members through this node");
    expect([cluster.actions, lines]).toEqual([[], []]);
  });
});

test("prints what other members have sent on one line, and takes no other report", async () => {
  const [, b] = cluster.members as [FakeMember, FakeMember];
  b.ring.add = () => {
    throw new ConfigError("BAD_CONFIG", "no\u001b[31m\nmore\u009b");
  };
  await expect(run()).rejects.toThrow('"b": no [31m more ; ');
  cluster.getKnob = async () => "\u001b[31mEVIL";
  await expect(run()).rejects.toMatchObject({
    code: "BAD_FRAME",
    message: "Cannot read the answer of the node: it is not a report about gossip keys",
  });
});
