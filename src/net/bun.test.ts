import { afterEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { datagramContract } from "../../harness/contract/datagrams.ts";
import { transportContract } from "../../harness/contract/transport.ts";
import { RamsterError } from "../core/errors.ts";
import { makeKey } from "../security/make-key.ts";
import type { Address } from "./address.ts";
import { BunClock, BunRandom, BunTransport } from "./bun.ts";
import { secured } from "./secured.ts";
import { NO_EVENTS } from "./transport.ts";

const DEADLINE_MS = 10_000;

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > limit) throw new Error("it never happened");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const directories: string[] = [];

function freshDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ramster-test-"));
  directories.push(directory);
  return directory;
}

afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

/**
 * Waits several turns of the loop. What loopback carries has arrived by then, or is kept on
 * purpose.
 */
async function quiet(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

transportContract("BunTransport on TCP", async () => ({
  transport: new BunTransport(),
  address: () => ({ kind: "tcp", host: "127.0.0.1", port: 0 }),
  deadAddress: () => ({ kind: "tcp", host: "127.0.0.1", port: 1 }),
  until,
  quiet,
  close: async () => {},
}));

const { tls } = await makeKey({ nowMs: Date.now(), days: 1 });

transportContract("BunTransport under TLS", async () => ({
  transport: secured(new BunTransport(), tls),
  address: () => ({ kind: "tcp", host: "127.0.0.1", port: 0 }),
  deadAddress: () => ({ kind: "tcp", host: "127.0.0.1", port: 1 }),
  until,
  quiet,
  close: async () => {},
}));

transportContract("BunTransport on unix sockets", async () => {
  const directory = freshDirectory();
  return {
    transport: new BunTransport(),
    address: () => ({ kind: "unix", path: path.join(directory, "listen.sock") }),
    deadAddress: () => ({ kind: "unix", path: path.join(directory, "dead.sock") }),
    until,
    quiet,
    close: async () => {},
  };
});

async function failureOf(promise: Promise<unknown>): Promise<RamsterError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(RamsterError);
    return error as RamsterError;
  }
  throw new Error("it did not fail");
}

describe("BunTransport.listen()", () => {
  const transport = new BunTransport();
  const listen = (address: Address) => transport.listen(address, () => NO_EVENTS);

  test("fills in the real port and frees it on close", async () => {
    const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
    expect(listener.address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    listener.close();
  });

  test("makes a unix socket that only its owner may open, and unlinks it on close", async () => {
    const address: Address = { kind: "unix", path: path.join(freshDirectory(), "s") };
    const maskBefore = process.umask();
    const listener = await listen(address);
    expect(fs.statSync(address.path).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(maskBefore);
    listener.close();
    expect(fs.existsSync(address.path)).toBe(false);
  });

  test("removes a socket file that nobody answers on", async () => {
    const address: Address = { kind: "unix", path: path.join(freshDirectory(), "stale") };
    const script = "Bun.listen({unix:process.argv[1],socket:{data(){}}});console.log('up')";
    const child = Bun.spawn([process.execPath, "-e", script, address.path], { stdout: "pipe" });
    await child.stdout.getReader().read();
    child.kill("SIGKILL");
    await child.exited;
    expect(fs.lstatSync(address.path).isSocket()).toBe(true);
    const listener = await listen(address);
    expect(listener.address).toBe(`unix:${address.path}`);
    listener.close();
  });

  test("never removes a file that is not a socket", async () => {
    const file = path.join(freshDirectory(), "precious");
    fs.writeFileSync(file, "data");
    const link = `${file}-link`;
    fs.symlinkSync(file, link);
    for (const taken of [file, link, path.dirname(file)]) {
      const error = await failureOf(listen({ kind: "unix", path: taken }));
      expect(error.code).toBe("ADDRESS_IN_USE");
      expect(error.message).toBe(
        `Cannot listen on "unix:${taken}": the path exists and is not a socket`,
      );
    }
    expect(fs.readFileSync(file, "utf8")).toBe("data");
  });

  test("says what to do about a socket that it may not connect to, and leaves it", async () => {
    const address: Address = { kind: "unix", path: path.join(freshDirectory(), "s") };
    const first = await listen(address);
    fs.chmodSync(address.path, 0);
    fs.chmodSync(path.dirname(address.path), 0o755);
    const { uid } = fs.statSync(address.path);
    const isRoot = uid === 0;
    if (isRoot) process.seteuid?.(65_534);
    const error = await failureOf(listen(address)).finally(() => {
      if (isRoot) process.seteuid?.(0);
    });
    expect(error.code).toBe("ADDRESS_IN_USE");
    expect(error.message).toBe(
      `Cannot listen on "unix:${address.path}": a socket of user ${uid} is there, ` +
        "which this user may not connect to: remove it if no process listens there, or name " +
        "another path",
    );
    expect(fs.lstatSync(address.path).isSocket()).toBe(true);
    first.close();
  });

  test("does not remove a socket that replaced its own", async () => {
    const address: Address = { kind: "unix", path: path.join(freshDirectory(), "s") };
    const first = await listen(address);
    fs.unlinkSync(address.path);
    const second = await listen(address);
    first.close();
    expect(fs.lstatSync(address.path).isSocket()).toBe(true);
    let opened = false;
    const stream = transport.connect(address, { ...NO_EVENTS, onOpen: () => (opened = true) });
    await until(() => opened);
    stream.terminate();
    second.close();
    expect(fs.readdirSync(path.dirname(address.path))).toEqual([]);
  });

  test("closes a socket although its path is no longer accessible", async () => {
    const parent = path.join(freshDirectory(), "d");
    fs.mkdirSync(parent);
    const first = await listen({ kind: "unix", path: path.join(parent, "s") });
    fs.renameSync(parent, `${parent}-old`);
    fs.writeFileSync(parent, "");
    first.close();

    const taken = path.join(freshDirectory(), "s");
    const second = await listen({ kind: "unix", path: taken });
    fs.unlinkSync(taken);
    fs.mkdirSync(taken);
    fs.mkdirSync(path.join(`${taken}~`, "full"), { recursive: true }); // No socket can move there.
    second.close();
    expect(fs.statSync(taken).isDirectory()).toBe(true);
  });

  test("reports in one line what is wrong with an address", async () => {
    const elsewhere = await failureOf(listen({ kind: "tcp", host: "192.0.2.1", port: 0 }));
    expect(elsewhere.code).toBe("CANNOT_LISTEN");
    expect(elsewhere.message).toBe(
      'Cannot listen on "192.0.2.1:0": not an address of this machine',
    );
    const nowhere = await failureOf(listen({ kind: "unix", path: "/nonexistent/dir/s" }));
    expect(nowhere.code).toBe("CANNOT_LISTEN");
    expect(nowhere.message).toEndWith(
      'there is no directory "/nonexistent/dir": create it, or name another',
    );
    const file = path.join(freshDirectory(), "file");
    fs.writeFileSync(file, "");
    const below = await failureOf(listen({ kind: "unix", path: path.join(file, "s") }));
    expect(below.code).toBe("CANNOT_LISTEN");
    expect(below.message).toContain("part of the path is not a directory");
  });
});

describe("BunClock", () => {
  test("after() never fires early, cancel() stops it, soon() comes after microtasks", async () => {
    const clock = new BunClock();
    const order: string[] = [];
    const start = clock.now();
    let firedAfterMs = -1;
    clock.after(2.5, () => (firedAfterMs = clock.now() - start));
    clock.cancel(clock.after(1, () => order.push("cancelled")));
    clock.soon(() => order.push("soon"));
    void Promise.resolve().then(() => order.push("microtask"));
    await until(() => firedAfterMs >= 0);
    expect(firedAfterMs).toBeGreaterThanOrEqual(2.5);
    expect(order).toEqual(["microtask", "soon"]);
  });
});

test("BunRandom.u32() gives unsigned 32-bit integers that do not repeat in blocks", () => {
  const random = new BunRandom();
  const seen = new Set<number>();
  for (let i = 0; i < 256; i += 1) seen.add(random.u32());
  expect(seen.size).toBeGreaterThan(250);
  for (const value of seen) expect(value).toBe(value >>> 0);
});

datagramContract("BunTransport", () => ({
  transport: new BunTransport(),
  address: { kind: "tcp", host: "127.0.0.1", port: 0 },
  until,
}));

test("lookup() of an unknown name is a ConfigError", async () => {
  const error = await failureOf(new BunTransport().lookup("no-such-host.invalid"));
  expect(error.message).toBe('Cannot find the host "no-such-host.invalid": unknown host name');
});
