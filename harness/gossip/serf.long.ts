/**
 * A cluster of real nodes and real agents of HashiCorp's Serf. Each kind sees the other join, fail
 * and leave. It is skipped where `serf` is not installed. .ci/run installs it.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { counter, fill, logged, ProcessWorld, until } from "../processes/process-world.ts";
import { SerfAgent } from "./serf-agent.ts";

const TEST_MS = 120_000;
/** A command that misses an answer waits for it for ten seconds. So there is time for several. */
const COMMAND_MS = 60_000;
const GOSSIP = "--gossip=127.0.0.1:0";
const EVENTS = 24;
/**
 * Each member sends an event four times, to members that it draws (memberlist `gossip`: each target
 * counts as a transmission). So one member may miss an event, about one in a thousand times.
 */
const LOST_MAX = 2;

const cases = ["in clear", "with the key"] as const;

test.skipIf(!SerfAgent.isInstalled).each(cases)(
  "serf and ramster see each other join, fail and leave, %s",
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
      join: seed.gossip,
      tags: ["role=web"],
    });
    try {
      const isAlive = async (name: string) => (await agent.statusOf(name)) === "alive";
      for (const name of ["n0", "n1", "n2", "n3"]) {
        await until(`serf sees ${name}`, () => isAlive(name));
      }
      const tags = (await agent.members()).find(({ name }) => name === "n0")?.tags;
      expect(tags).toMatchObject({ role: "server", cluster: "ramster" });
      expect(tags?.["number"]).toBe(String((await world.connect(seed)).nodeNumber));

      // A member that is no node of ramster never gets a page.
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

test.skipIf(!SerfAgent.isInstalled)(
  "ramster passes on the events and queries of Serf's agents, and the answers come back",
  async () => {
    await using world = new ProcessWorld();
    const path = world.path("key");
    await world.run(["keygen", `--out=${path}`]);
    const [first] = parseKeyFile(readFileSync(path, "utf8"), Date.now()).gossipKeys;
    const key = Buffer.from(first ?? []).toString("base64");
    // A member that has failed is known for long enough to be taken out of the cluster.
    const tune = "probe-interval=200ms,probe-timeout=100ms,reconnect-interval=500ms,reap=8s";
    const flags = [GOSSIP, "--memory=8MiB", `--key=${path}`, `--gossip-tune=${tune}`];
    const seed = await world.start("server", 0, flags);
    const join = [...flags, `--join=${seed.gossip}`];
    const others = await Promise.all([1, 2].map((it) => world.start("server", it, join)));
    const agents = await Promise.all(
      ["asker", "hearer"].map((name) => SerfAgent.start(name, { key, join: seed.gossip })),
    );
    const [asker, hearer] = agents;
    if (asker === undefined || hearer === undefined) throw new Error("no agents");
    try {
      const alive = async (agent: SerfAgent): Promise<number> => {
        return (await agent.members()).filter(({ status }) => status === "alive").length;
      };
      await until("all are there", async () => (await alive(asker)) + (await alive(hearer)) === 10);

      using heard = hearer.monitor();
      await until("the monitor is running", async () => {
        await asker.run("event", "-coalesce=false", "ready");
        return heard.text.includes("ready");
      });
      const events = Array.from({ length: EVENTS }, (_, i) => `event-${i}.`);
      for (const event of events) await asker.run("event", "-coalesce=false", event);
      await until("the events are heard", () => {
        return events.filter((it) => heard.text.includes(it)).length >= EVENTS - LOST_MAX;
      });

      await succeeds(asker, "reachability");
      await until("how far two nodes are from each other is known", async () => {
        return /n0 <-> n1 rtt: \d/.test((await asker.run("rtt", "n0", "n1")).text);
      });

      const next = Buffer.alloc(32, 9).toString("base64");
      // All members must change the key together, or they cannot read each other. A datagram may be
      // lost, so each step is repeated until it succeeds.
      for (const [flag, value] of [
        ["-install", next] as const,
        ["-use", next] as const,
        ["-remove", key] as const,
      ]) {
        await succeeds(asker, "keys", flag, value);
      }
      await until("all have this key alone", async () => {
        const { text } = await asker.run("keys", "-list");
        return text.match(/\S+=\s+\[\d+\/\d+\]/g)?.join() === `${next}  [5/5]`;
      });
      await logged(seed, /gossip key \w+ is used to encrypt by member "asker"/);

      // A rotation that a node leads takes the agents along. They have no key file.
      const rotation = world.spawn(["key", "rotate", "--client", seed.client]);
      let rotated = "";
      for await (const part of rotation.stdout.pipeThrough(new TextDecoderStream())) {
        rotated += part;
        const [line = ""] = rotated.split("\n");
        const keys = readFileSync(path, "utf8");
        if (!rotated.includes("waiting for") || keys.includes(line)) continue;
        writeFileSync(path, keys.replace("gossip-key", `${line}\ngossip-key`));
      }
      expect(await rotation.exited).toBe(0);
      expect(rotated).toContain('waiting for the key files of: "n0", "n1", "n2"\n');
      expect(rotated).toContain("\ndone: 5 members use the key ");
      const { text } = await asker.run("keys", "-list");
      const fresh = /^gossip-key = (.*)\n/.exec(rotated)?.[1];
      expect(text.match(/\S+=\s+\[\d+\/\d+\]/g)?.join()).toBe(`${fresh}  [5/5]`);

      await others[0]?.kill();
      await until("it has failed", async () => (await asker.statusOf("n1")) === "failed");
      await until("it has left for all", async () => {
        await asker.run("force-leave", "n1");
        return (await hearer.statusOf("n1")) === "left";
      });
      await logged(seed, /member "n1" has left/);

      // A paused agent is dead after a while, and is then forgotten.
      hearer.pause();
      await logged(seed, /member "hearer" is dead/);
      const isListed = async (): Promise<boolean> => {
        const { stdout } = await world.run(["status", `--client=${seed.client}`]);
        return stdout.includes("hearer");
      };
      await until("it is forgotten", async () => !(await isListed()));
    } finally {
      for (const agent of agents) await agent.kill();
    }
  },
  TEST_MS,
);

/** Repeats a command of Serf until it succeeds: a datagram may be lost. */
async function succeeds(agent: SerfAgent, command: string, ...flags: string[]): Promise<void> {
  let answer = "";
  const isDone = async (): Promise<boolean> => {
    const { code, text } = await agent.run(command, ...flags);
    answer = text;
    return code === 0;
  };
  await until(`serf ${command} succeeds`, isDone, COMMAND_MS).catch((error: Error) => {
    throw new Error(`${error.message}: ${answer}`);
  });
}
