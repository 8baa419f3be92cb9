/**
 * A cluster that Serf is part of: real nodes of ours and a real agent of HashiCorp's Serf see each
 * other come, fail and leave. Skipped where there is no serf; .ci/run installs it.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { counter, fill, logged, ProcessWorld, until } from "../process-world.ts";
import { SerfAgent } from "./serf-agent.ts";

const TEST_MS = 60_000;
const GOSSIP = "--gossip=127.0.0.1:0";

const cases = ["in clear", "with the key"] as const;

test.skipIf(!SerfAgent.isInstalled).each(cases)(
  "serf and ramster see each other come, fail and leave, %s",
  async (how) => {
    await using world = new ProcessWorld();
    const flags = [GOSSIP, "--memory=8MiB"];
    let key: string | undefined;
    if (how === "with the key") {
      const path = world.path("key");
      await world.run(["keygen", `--out=${path}`]);
      flags.push(`--key=${path}`);
      const [first] = parseKeyFile(readFileSync(path, "utf8"), Date.now()).gossipKeys;
      key = Buffer.from(first ?? []).toString("base64");
    }
    const seed = await world.start("server", 0, flags);
    const join = [...flags, `--join=${seed.gossip}`];
    const node = await world.start("node", 1, [...join, "--target=auto"]);
    const killed = await world.start("server", 2, join);
    const left = await world.start("server", 3, join);
    const agent = await SerfAgent.start("ops", {
      ...(key === undefined ? {} : { key }),
      ...{ join: seed.gossip, tags: ["role=web"] },
    });
    try {
      const isAlive = async (name: string) => (await agent.statusOf(name)) === "alive";
      for (const name of ["n0", "n1", "n2", "n3"]) {
        await until(`serf sees ${name}`, () => isAlive(name));
      }
      const tags = (await agent.members()).find(({ name }) => name === "n0")?.tags;
      expect(tags).toMatchObject({ role: "server", cluster: "ramster" });
      expect(tags?.["number"]).toBe(String((await world.connect(seed)).nodeNumber));

      // What is no node of ours never gets a page.
      const client = await world.connect(node);
      const pool = await client.newPool({ persistent: true });
      await until("it knows the servers", async () => (await client.stats()).peers.length === 3);
      expect(await fill(pool, 500)).toBe(500);
      expect(await counter(client, "remote_pers_pages_unsucc_get")).toBe(0);

      await killed.kill();
      expect(await left.stop()).toBe(0);
      await until("serf sees one fail", async () => (await agent.statusOf("n2")) === "failed");
      await until("serf sees one leave", async () => (await agent.statusOf("n3")) === "left");
      await agent.leave();
      await logged(seed, /member "ops" has left/);
    } finally {
      await agent.kill();
    }
  },
  TEST_MS,
);
