/**
 * What the package @ramster/client has to do on every runtime, against a real node. Plain
 * JavaScript, so that Node, Deno and Bun run it as it is, from a folder where the package is
 * installed:
 *
 *     RUNTIME client-suite.mjs ADDRESS [KEY_FILE OTHER_KEY_FILE]
 *
 * Prints a line for each test, and "passed: N" at the end. Ends with 1 when one fails.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import * as tls from "node:tls";
import { connect, FIGURES, PageError, RamsterError, RemoteMap } from "@ramster/client";

const [address, keyPath, otherKeyPath] = process.argv.slice(2);
const key = keyPath === undefined ? undefined : readFileSync(keyPath, "utf8");
const PAGE_BYTES = 4096;
const OID = [1n, 2n, 2n ** 64n - 1n];
/** Longer than any step takes: a call that hangs fails. */
const HANG_MS = 20_000;

/** A page of text, and no two the same. */
function pageOf(number) {
  const text = `page ${number} of a test; `.repeat(400);
  return new TextEncoder().encode(text).slice(0, PAGE_BYTES);
}

function same(one, other) {
  assert.ok(one instanceof Uint8Array && other instanceof Uint8Array);
  assert.equal(Buffer.compare(one, other), 0);
}

function codeOf(promise) {
  return promise.then(
    () => "no error",
    (error) => (error instanceof RamsterError ? error.code : error),
  );
}

async function until(condition) {
  const endMs = performance.now() + HANG_MS;
  while (!condition()) {
    assert.ok(performance.now() < endMs, "it never happened");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A relay whose connections the test cuts. `close` ends it, with all of them. */
async function relayTo(target) {
  const [, host, port] = /^(?:tcp:)?(.*):(\d+)$/.exec(target) ?? [];
  const where = target.startsWith("unix:")
    ? { path: target.slice(5) }
    : { host, port: Number(port) };
  const sockets = new Set();
  let isDeaf = false;
  const server = net.createServer((near) => {
    if (isDeaf) return void near.destroy();
    const far = net.connect(where);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(socket);
      socket.on("data", (bytes) => other.write(bytes));
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  const path = join(tmpdir(), `relay-${randomBytes(6).toString("hex")}.sock`);
  const isUnix = target.startsWith("unix:");
  await new Promise((resolve) => {
    if (isUnix) server.listen(path, resolve);
    else server.listen(0, "127.0.0.1", resolve);
  });
  return {
    address: isUnix ? `unix:${path}` : `tcp:127.0.0.1:${server.address().port}`,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    setDeaf: (value) => {
      isDeaf = value;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(path, { force: true });
    },
  };
}

const tests = {
  async "pages are put and got, one at a time and in batches"(client) {
    const pool = await client.newPool({ persistent: true });
    assert.deepEqual(await pool.put(OID, 1, pageOf(1)), { stored: true });
    same(await pool.get(OID, 1), pageOf(1));
    assert.equal(await pool.get(OID, 2), null);
    const numbers = Array.from({ length: 700 }, (_, i) => i);
    const puts = numbers.map((index) => ({ oid: OID, index, page: pageOf(index) }));
    const results = await pool.putMany(puts);
    assert.ok(results.every(({ stored }) => stored));
    const pages = await pool.getMany([...puts, { oid: OID, index: 9999 }]);
    assert.equal(pages.length, 701);
    for (const number of numbers) same(pages[number], pageOf(number));
    assert.equal(pages[700], null);
    // Results belong to the caller: they do not change with what comes later.
    await pool.getMany(puts.map(({ oid, index }) => ({ oid, index: 699 - index })));
    same(pages[0], pageOf(0));
    assert.equal(await pool.flushPage(OID, 1), true);
    assert.equal(await pool.flushPage(OID, 1), false);
    assert.equal(await pool.flushObject(OID), true);
    assert.equal(await pool.get(OID, 5), null);
    await pool.destroy();
    assert.equal(await codeOf(pool.get(OID, 5)), "POOL_GONE");
    assert.equal(await codeOf(pool.put(OID, 5, pageOf(5))), "POOL_GONE");
  },

  async "texts and numbers are keys"(client) {
    const pool = await client.newPool({ persistent: true });
    await pool.put("user:42", pageOf(42));
    await pool.put(7, pageOf(7));
    await pool.putMany([
      { key: "ключ", page: pageOf(1) },
      { oid: "user:42", index: 1, page: pageOf(43) },
    ]);
    same(await pool.get("user:42"), pageOf(42));
    same(await pool.get("user:42", 0), pageOf(42));
    same(await pool.get({ oid: "user:42", index: 1 }), pageOf(43));
    same(await pool.get([0n, 0n, 0n], 7), pageOf(7));
    const pages = await pool.getMany(["ключ", 7, "nobody"]);
    same(pages[0], pageOf(1));
    same(pages[1], pageOf(7));
    assert.equal(pages[2], null);
    assert.equal(await pool.flushObject("user:42"), true);
    assert.equal(await pool.get("user:42"), null);
    for (const bad of ["\ud800", -1, 2 ** 53, { oid: [1n, 2n], index: 0 }, null, undefined]) {
      assert.equal(await codeOf(pool.get(bad)), "BAD_CONFIG");
    }
    assert.equal(await codeOf(pool.put("a", new Uint8Array(5))), "BAD_CONFIG");
    await pool.destroy();
  },

  async "a page that hardly compresses is refused, or stored whole"(client) {
    const noise = new Uint8Array(randomBytes(PAGE_BYTES));
    const pool = await client.newPool({ persistent: true });
    assert.deepEqual(await pool.put(1, noise), { stored: false, reason: "compress_poor" });
    const whole = await client.newPool({ persistent: true, storeWhole: true });
    assert.deepEqual(await whole.put(1, noise), { stored: true });
    same(await whole.get(1), noise);
    await pool.destroy();
    await whole.destroy();
  },

  async "a get takes the page of a pool that is not persistent"(client) {
    const pool = await client.newPool({ persistent: false });
    await pool.put("a", pageOf(1));
    same(await pool.get("a", { remove: "never" }), pageOf(1));
    same(await pool.get("a"), pageOf(1));
    assert.equal(await pool.get("a"), null);
    await pool.destroy();
  },

  async "a pool is opened with its token, and disposed of by who made it"(client) {
    const pool = await client.newPool({ persistent: true });
    await pool.put("a", pageOf(1));
    const other = await connect(address, { key });
    const opened = await other.openPool(pool.id, await pool.token());
    same(await opened.get("a"), pageOf(1));
    assert.equal(await codeOf(other.openPool(pool.id, "0".repeat(32))), "REFUSED");
    assert.equal(await codeOf(other.openPool(pool.id, "x")), "BAD_CONFIG");
    await opened[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose](); // Its token is known elsewhere.
    same(await opened.get("a"), pageOf(1));
    await opened.destroy();
    const own = await client.newPool({ persistent: true });
    await own[Symbol.asyncDispose]();
    assert.equal(await codeOf(own.get("a")), "POOL_GONE");
    await other[Symbol.asyncDispose]();
    assert.equal(await codeOf(other.stats()), "CLOSED");
  },

  async "a signal ends a call at once"(client) {
    const pool = await client.newPool({ persistent: true });
    const reason = new Error("enough");
    assert.equal(await codeOf(pool.get("a", { signal: AbortSignal.abort(reason) })), reason);
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [
      pool.put("a", pageOf(1), { signal }),
      pool.getMany(["a", "b"], { signal }),
      pool.flush({ signal }),
      client.stats({ signal }),
      connect(address, { key, signal }),
    ].map(codeOf);
    controller.abort(reason);
    for (const outcome of await Promise.all(calls)) assert.equal(outcome, reason);
    assert.equal(await pool.get("b", { signal: AbortSignal.timeout(HANG_MS) }), null);
    await pool.destroy();
  },

  async "many requests and calls share a signal without a warning"(client) {
    const warnings = [];
    const onWarning = (warning) => warnings.push(warning.message);
    process.on("warning", onWarning);
    const pool = await client.newPool({ persistent: true });
    const map = new RemoteMap(pool);
    const { signal } = new AbortController();
    const keys = Array.from({ length: 5000 }, (_, i) => i);
    await pool.getMany(keys, { signal });
    await Promise.all(keys.slice(0, 20).map((key) => pool.get(key, { signal })));
    await Promise.all(keys.slice(0, 20).map((key) => map.get(`${key}`, { signal })));
    await Promise.all(keys.slice(0, 20).map((key) => map.delete(`${key}`, { signal })));
    process.off("warning", onWarning);
    assert.deepEqual(warnings, []);
    await pool.destroy();
  },

  async "a put stores what was there at the time of the call"(client) {
    const pool = await client.newPool({ persistent: true });
    const many = Array.from({ length: 3000 }, (_, i) => ({ key: 1000 + i, page: pageOf(i) }));
    const all = [pool.putMany(many)]; // So much that what follows waits.
    const [page, sent] = [pageOf(1), pageOf(2)];
    const oid = [...OID];
    all.push(pool.put({ oid, index: 0 }, page), pool.put(1, sent));
    oid[2] = undefined;
    page.fill(9);
    structuredClone(sent.buffer, { transfer: [sent.buffer] });
    assert.ok((await Promise.all(all)).flat().every(({ stored }) => stored));
    same(await pool.get(OID, 0), pageOf(1));
    same(await pool.get(1), pageOf(2));
    await pool.destroy();
  },

  async "a lost connection is dialled again, and the pool is open"() {
    const relay = await relayTo(address);
    const client = await connect(relay.address, { key });
    const pool = await client.newPool({ persistent: true });
    await pool.put("a", pageOf(1));
    for (let round = 0; round < 3; round += 1) {
      relay.setDeaf(round === 1);
      relay.cut();
      await until(() => !client.isConnected);
      const [page, result, late] = await Promise.all([
        round === 1 ? codeOf(pool.get("a", { timeoutMs: 300 })) : pool.get("a"),
        round === 1
          ? codeOf(pool.put("b", pageOf(2), { timeoutMs: 300 }))
          : pool.put("b", pageOf(2)),
        round === 1 ? codeOf(pool.get("a", { signal: AbortSignal.timeout(200) })) : null,
      ]);
      relay.setDeaf(false);
      if (round === 1) {
        assert.deepEqual([page, result], ["ADDRESS_UNREACHABLE", "ADDRESS_UNREACHABLE"]);
        assert.equal(late.name, "TimeoutError");
        same(await pool.get("a"), pageOf(1));
      } else {
        same(page, pageOf(1));
        assert.deepEqual(result, { stored: true });
      }
    }
    const once = await connect(relay.address, { key, redial: false });
    relay.cut();
    await until(() => !once.isConnected);
    assert.equal(await codeOf(once.stats()), "CLOSED");
    await once.close();
    await pool.destroy();
    await client.close();
    await relay.close();
  },

  async "a map has values of any size"(client) {
    const pool = await client.newPool({ persistent: true, storeWhole: true });
    const map = new RemoteMap(pool);
    const values = new Map();
    for (const size of [0, 1, 4000, 4096, 5000, 100_000, 3_000_000]) {
      values.set(`value of ${size}`, new Uint8Array(randomBytes(size)));
    }
    for (const [name, value] of values)
      assert.deepEqual(await map.set(name, value), { stored: true });
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => map.set(`many:${i}`, new TextEncoder().encode(`${i}`))),
    );
    const other = await connect(address, { key });
    const again = new RemoteMap(await other.openPool(pool.id, await pool.token()));
    for (const [name, value] of values) same(await again.get(name), value);
    let listed = 0;
    for await (const [name, value] of again) {
      if (values.has(name)) same(value, values.get(name));
      else assert.equal(`many:${new TextDecoder().decode(value)}`, name);
      listed += 1;
    }
    assert.equal(listed, 307);
    assert.equal(await map.size(), 307);
    assert.equal(await again.delete("value of 100000"), true);
    assert.equal(await again.delete("value of 100000"), false);
    assert.equal(await map.has("value of 100000"), false);
    assert.equal(await map.get("nobody"), undefined);
    // A signal half way leaves the old value, the new one, or none.
    const before = values.get("value of 3000000");
    const after = new Uint8Array(randomBytes(2_000_000));
    const setting = map.set("value of 3000000", after, { signal: AbortSignal.timeout(5) });
    const outcome = await setting.then(
      ({ stored }) => stored,
      (error) => error.name,
    );
    const found = await map.get("value of 3000000");
    if (outcome === true) same(found, after);
    else if (found !== undefined)
      same(found, found.byteLength === before.byteLength ? before : after);
    await map.clear();
    assert.equal(await map.size(), 0);
    await again.pool.destroy();
    await other.close();
  },

  async "settings, counters and their meaning can be read"(client) {
    const stats = await client.stats();
    assert.equal(stats.node.name, client.nodeName);
    assert.equal(stats.counters.client_pages_put > 0, true);
    assert.equal(FIGURES.counters.client_pages_put.kind, "counter");
    assert.equal(await codeOf(client.getKnob("nosuch")), "UNKNOWN_SETTING");
    const lost = new PageError("LOST", "lost", []);
    assert.ok(lost instanceof RamsterError && lost.code === "LOST");
  },

  async "many calls at once are all answered"(client) {
    const pool = await client.newPool({ persistent: true });
    const numbers = Array.from({ length: 3000 }, (_, i) => i);
    await Promise.all(numbers.map((number) => pool.put(number, pageOf(number))));
    const pages = await Promise.all(numbers.map((number) => pool.get(number)));
    for (const number of numbers) same(pages[number], pageOf(number));
    await pool.destroy();
  },

  async "what is no node of this cluster is refused"() {
    assert.equal(await codeOf(connect("tcp:127.0.0.1:1")), "ADDRESS_UNREACHABLE");
    assert.equal(await codeOf(connect("unix:/nonexistent/s")), "ADDRESS_UNREACHABLE");
    assert.equal(await codeOf(connect("nonsense")), "BAD_CONFIG");
    assert.equal(await codeOf(connect(address, { key: "nonsense" })), "BAD_CONFIG");
    const path = await connect(address, { key: "/etc/a.key" }).catch((error) => error);
    assert.match(path.message, /^Cannot use the key: .*; give the text of the file, not its path$/);
    const answers = [
      "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
      Buffer.alloc(64),
      randomBytes(4096),
    ];
    for (const answer of answers) {
      const server = net.createServer((socket) => {
        socket.on("error", () => {});
        socket.write(answer);
      });
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      const stranger = `tcp:127.0.0.1:${server.address().port}`;
      assert.equal(await codeOf(connect(stranger)), "BAD_HANDSHAKE");
      if (key !== undefined) {
        assert.equal(await codeOf(connect(stranger, { key })), "ADDRESS_UNREACHABLE");
      }
      server.close();
    }
    if (key === undefined) return;
    const other = readFileSync(otherKeyPath, "utf8");
    const foreign = await connect(address, { key: other }).catch((error) => error);
    assert.equal(foreign.code, "ADDRESS_UNREACHABLE");
    assert.match(foreign.message, /no secured connection: its certificate is of another cluster/);
    assert.notEqual(await codeOf(connect(address)), "no error");
    const keyless = await connect(address).catch((error) => error);
    assert.match(keyless.message, /may want a key/);
    assert.equal(keyless.code, "BAD_HANDSHAKE");
    const block = /-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g;
    const [authority, certificate, secret] = key.match(block);
    const [, otherCertificate, otherSecret] = other.match(block);
    const head = "gossip-key = AAAAAAAAAAAAAAAAAAAAAA==";
    const mixed = [head, authority, otherCertificate, otherSecret].join("\n");
    assert.equal(await codeOf(connect(address, { key: mixed })), "BAD_CONFIG");
    // Servers with the certificate of another cluster, and with an old version of TLS.
    const shown = [
      { cert: otherCertificate, key: otherSecret },
      { cert: certificate, key: secret, maxVersion: "TLSv1.2" },
    ];
    for (const options of shown) {
      const server = tls.createServer(options, (socket) => socket.on("error", () => {}));
      server.on("tlsClientError", () => {});
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      const dialled = connect(`tcp:127.0.0.1:${server.address().port}`, { key, timeoutMs: 1000 });
      assert.equal(await codeOf(dialled), "ADDRESS_UNREACHABLE");
      server.close();
    }
  },
};

const client = await connect(address, { key, timeoutMs: HANG_MS });
let passed = 0;
let failed = 0;
for (const [name, run] of Object.entries(tests)) {
  let timer;
  const hangs = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), 3 * HANG_MS);
  });
  try {
    await Promise.race([run(client), hangs]);
    passed += 1;
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}: ${error?.stack ?? error}`);
  } finally {
    clearTimeout(timer);
  }
}
await client.close();
console.log(`passed: ${passed}`);
process.exitCode = failed === 0 ? 0 : 1;
