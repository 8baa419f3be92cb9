import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Log } from "../core/log.ts";
import { BunTransport } from "../net/bun.ts";
import { formatKeyFile } from "../security/key-file.ts";
import { makeKey } from "../security/make-key.ts";
import { renewKey } from "../security/renew-key.ts";
import { keyReader } from "./door.ts";
import { openOwnKey } from "./own-key.ts";

let folder: string;
let writers: Bun.Subprocess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ramster-test-"));
  writers = [];
});

afterEach(async () => {
  await endWriters();
  rmSync(folder, { recursive: true });
});

async function endWriters(): Promise<void> {
  for (const writer of writers) writer.kill();
  await Promise.all(writers.map((it) => it.exited));
}

/** A pipe into which the text is written as soon as somebody reads it. */
function pipe(name: string): string {
  const path = join(folder, name);
  expect(Bun.spawnSync(["mkfifo", "-m", "600", path]).success).toBe(true);
  return path;
}

function writeInto(path: string, text: string): void {
  const command = ["sh", "-c", 'printf %s "$1" > "$2"', "sh", text, path];
  writers.push(Bun.spawn(command));
}

async function keyText(): Promise<string> {
  return formatKeyFile(await makeKey({ nowMs: Date.now(), days: 1 }));
}

function open(path: string) {
  return openOwnKey(path, new BunTransport(null), new Log(() => {}));
}

// A writer waits at the pipe in these tests. So code that opens the pipe again does not hang.

test("a node reads the key in a pipe once, and says that it cannot be read again", async () => {
  const path = pipe("key");
  const text = await keyText();
  writeInto(path, text);
  const key = open(path);
  expect(key.gossipKeys).toHaveLength(1);
  writeInto(path, text);
  expect(key.readGossipKeys()).toBeNull();
  expect(() => key.certificate.reload()).toThrow(
    `Cannot use --key "${path}": it is no regular file, which cannot be read again`,
  );
});

test("a node reads a key file again, and never one that is not whole", async () => {
  const path = join(folder, "key");
  writeFileSync(path, await keyText(), { mode: 0o600 });
  const key = open(path);
  expect(key.readGossipKeys()).toEqual(key.gossipKeys);
  expect(key.certificate.reload()).toBe(false);
  writeFileSync(path, "");
  expect(() => key.certificate.reload()).toThrow("it is empty");
  rmSync(path);
  expect(() => key.certificate.reload()).toThrow("there is no such file");
});

test("a node says whether its certificates have changed, and where they are", async () => {
  const path = join(folder, "key");
  const old = await makeKey({ nowMs: Date.now(), days: 1 });
  writeFileSync(path, formatKeyFile(old), { mode: 0o600 });
  const { certificate } = open(relative(process.cwd(), path));
  expect(certificate.path).toBe(path);
  const fresh = () => makeKey({ nowMs: Date.now(), days: 1 });
  const added = await renewKey(old, "add", fresh);
  for (const key of [added, await renewKey(added, "use", fresh)]) {
    writeFileSync(path, formatKeyFile(key));
    expect([certificate.reload(), certificate.reload()]).toEqual([true, false]);
  }
});

test("a command that connects again keeps the key of a pipe, and reads a file again", async () => {
  const client = { kind: "unix", path: "/none" } as const;
  const path = pipe("key");
  writeInto(path, "first");
  const read = keyReader({ client, keyPath: path });
  expect(read()).toBe("first");
  writeInto(path, "second");
  expect(read()).toBe("first");
  await endWriters();
  rmSync(path);
  writeFileSync(path, "third", { mode: 0o600 });
  expect(read()).toBe("third");
  expect(keyReader({ client, keyPath: null })()).toBeUndefined();
});
