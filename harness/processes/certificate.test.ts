/** The certificate of a cluster of real processes: warnings before it expires, and its renewal. */
import { expect, test } from "bun:test";
import { copyFileSync, readFileSync } from "node:fs";
import type { Client } from "../../src/client/client.ts";
import { parseAddress } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { secured } from "../../src/net/secured.ts";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { parseKeyFileReport } from "../../src/wire/key-file-report.ts";
import { counter, countRight, fill, logged, ProcessWorld, until } from "./process-world.ts";

const TEST_MS = 60_000;
const PAGES = 1000;
/** The number of the oldest pages, which are away. */
const SOME = 50;
const GOSSIP = "--gossip=127.0.0.1:0";

/** @returns the line that says what to do with the key. */
async function keygen(world: ProcessWorld, ...flags: string[]): Promise<string> {
  const { stdout, stderr, code } = await world.run(["keygen", ...flags]);
  expect([stderr, code]).toEqual(["", 0]);
  expect(stdout).toMatch(/^the (key|certificate) is in ".*": .*\n$/);
  return stdout;
}

/** A server and a node with one key file, `key`, and a client of the node. */
async function startCluster(world: ProcessWorld) {
  const flags = [GOSSIP, `--key=${world.path("key")}`, "--unused=100ms", "--keepalive=100ms"];
  const server = await world.start("server", 0, [...flags, "--memory=32MiB"]);
  const small = ["--memory=1MiB", "--selfshrink=off", "--http=127.0.0.1:0"];
  const node = await world.start("node", 1, [...flags, ...small, `--join=${server.gossip}`]);
  const client = await world.connect(node);
  await until("it knows the server", async () => (await client.stats()).peers.length === 1);
  return { server, node, client };
}

/** Dials a node with a key file. @returns "open", or the reason of the failure. */
function outcomeOf(address: string, path: string): Promise<string> {
  const { tls } = parseKeyFile(readFileSync(path, "utf8"), null);
  const { promise, resolve } = Promise.withResolvers<string>();
  const stream = secured(new BunTransport(), tls).connect(parseAddress(address), {
    onOpen: () => resolve("open"),
    onData: () => {},
    onDrain: () => {},
    onClose: (_stream, reason) => resolve(reason),
  });
  return promise.finally(() => stream.terminate());
}

function unlinked(client: Client): Promise<void> {
  return until("the link is given up", async () => {
    return (await client.stats()).peers.every((peer) => !peer.connected);
  });
}

test(
  "that expires soon is reported in the log, in status and in metrics",
  async () => {
    await using world = new ProcessWorld();
    await keygen(world, `--out=${world.path("key")}`, "--days=20");
    const { node, server } = await startCluster(world);
    await logged(server, /net warn: The certificate of the cluster ends on .*Z, in (19|20) days; /);
    const status = await world.run(["status", `--client=${node.client}`]);
    expect(status.stdout).toMatch(
      /^DEGRADED: the certificate ends on .*Z, (19|20) days left; renew it/m,
    );
    const metrics = await (await fetch(`http://${node.http}/metrics`)).text();
    expect(metrics).toMatch(/^# TYPE ramster_certificate_days_left gauge$/m);
    expect(metrics).toMatch(/^ramster_certificate_days_left (19|20)$/m);
  },
  TEST_MS,
);

test(
  "is renewed node by node while all run, and any two can exchange pages",
  async () => {
    await using world = new ProcessWorld();
    const key = world.path("key");
    await keygen(world, `--out=${key}`);
    copyFileSync(key, world.path("old"));
    const { server, node, client } = await startCluster(world);
    const pool = await client.newPool({ persistent: true });
    await until("all are stored", async () => (await fill(pool, PAGES)) === PAGES);
    const doors = [await world.connect(server), client];
    for (const step of ["add", "use", "remove"]) {
      const renew = [`--renew=${key}`, `--step=${step}`, `--out=${world.path(step)}`];
      expect(await keygen(world, ...renew)).toBe(
        `the key is in "${world.path(step)}": put it in place of "${key}" on every node, ` +
          "and run ramster key reload for each before the next step\n",
      );
      copyFileSync(world.path(step), key);
      for (const door of step === "use" ? doors.toReversed() : doors) {
        expect(parseKeyFileReport(await door.setKnob("key_file", "reload"))).toMatchObject({
          file: key,
          changed: true,
        });
        await unlinked(client);
        const fetched = await counter(client, "remote_pers_pages_succ_get");
        expect(await countRight(pool, SOME)).toBe(SOME);
        expect(await counter(client, "remote_pers_pages_succ_get")).toBeGreaterThan(fetched);
      }
    }
    expect(await outcomeOf(server.listen, key)).toBe("open");
    expect(await outcomeOf(server.listen, world.path("old"))).toContain("of another cluster");
    const reload = (...flags: string[]) => {
      return world.run(["key", "reload", `--client=${node.client}`, ...flags]);
    };
    const again = await reload();
    expect(again).toMatchObject({ code: 0, stderr: "" });
    expect(again.stdout).toStartWith(
      `read the key file "${key}": its certificates are the same as before, valid until 20`,
    );
    expect(JSON.parse((await reload("--json")).stdout)).toEqual({
      file: key,
      changed: false,
      valid_until: expect.stringMatching(/^20.*Z$/),
    });
    copyFileSync(world.path("old"), key);
    const { stderr, code } = await reload();
    expect([stderr, code]).toEqual([
      expect.stringMatching(/ it belongs to another cluster: .*\n$/),
      1,
    ]);
    expect(await countRight(pool, PAGES)).toBe(PAGES);
  },
  TEST_MS,
);
