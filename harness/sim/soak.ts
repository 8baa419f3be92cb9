/**
 * `bun harness/sim/soak.ts [--seeds N] [--hours H] [--nodes N] [--loss P]`: a cluster without any
 * events for hours of virtual time, on a network that loses P percent of its datagrams. The event
 * loop of one node stops for up to 200 ms every second. No node may be declared dead.
 *
 * `bun harness/sim/soak.ts churn [--seeds N]`: whole nodes that come and go (churn.ts).
 *
 * `bun harness/sim/soak.ts hostile [--minutes M] [--only ATTACK] [--swap]`: real processes under
 * attack (hostile/soak.ts).
 *
 * Exit codes: 0 all rules held, 1 one did not (the line names the seed), 2 bad usage.
 */
import { parseArgs } from "node:util";
import { COPIES_MAX } from "../../src/core/limits.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { soakHostile } from "../hostile/soak.ts";
import { churn, type Trouble } from "./churn.ts";
import { GossipWorld } from "./gossip-world.ts";

export interface SoakOptions {
  readonly seed: number;
  readonly hours: number;
  readonly nodes: number;
  readonly lossPercent: number;
}

export interface SoakResult {
  /** "n2: leave n5 dead at 61 s", in order. */
  readonly deaths: readonly string[];
  readonly suspicions: number;
  readonly probes: number;
}

const PAUSE_MS_MAX = 200;
const SECONDS_PER_HOUR = 3600;

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { seed, hours, nodes: count, lossPercent } = options;
  const world = new GossipWorld({ seed, network: { lossPercent } });
  const random = new SeededRandom(seed);
  await world.grow(count);
  world.until("all know all", () => world.agreeOn(world.nodes), 60_000);
  const deaths: string[] = [];
  for (let second = 0; second < hours * SECONDS_PER_HOUR; second += 1) {
    world.node(below(random, count)).pauses.pause(below(random, PAUSE_MS_MAX + 1));
    world.run(1000);
    for (const node of world.nodes) {
      for (const event of node.events.splice(0)) {
        if (event.startsWith("leave")) deaths.push(`${node.name}: ${event} at ${second} s`);
      }
    }
  }
  const counters = world.nodes.map((node) => node.cluster.counters);
  const suspicions = counters.reduce((sum, it) => sum + it.suspicions, 0);
  const probes = counters.reduce((sum, it) => sum + it.probes, 0);
  await world.stop();
  return { deaths, suspicions, probes };
}

const ALL_TROUBLES: readonly Trouble[] = ["crash", "stop", "partition"];
/** Longer than any partition, and shorter than some. */
const GRACES_MS = [600_000, 20_000];

async function soakChurn(seeds: number): Promise<number> {
  let failures = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    for (const troubles of [...ALL_TROUBLES.map((trouble) => [trouble]), ALL_TROUBLES]) {
      for (const foreignGraceMs of GRACES_MS) {
        const replicas = 1 + (seed % COPIES_MAX);
        const disks = seed % 4 > 1;
        const kind = `${troubles.join(" ")}, grace ${foreignGraceMs} ms, ${replicas} copies`;
        const what = `seed ${seed}, ${kind}${disks ? ", disks" : ""}`;
        try {
          const lost = await churn({ seed, troubles, foreignGraceMs, replicas, disks });
          console.log(`${what}: ${lost} pages lost with nodes that were gone`);
        } catch (error) {
          failures += 1;
          console.log(`${what}: FAILED: ${error}`);
        }
      }
    }
  }
  return failures === 0 ? 0 : 1;
}

async function main(args: string[]): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    args,
    options: {
      hours: text,
      seeds: text,
      nodes: text,
      loss: text,
      minutes: text,
      only: text,
      swap: { type: "boolean" },
    },
    allowPositionals: true,
  });
  const [hours, seeds, nodes, lossPercent] = [
    values.hours ?? "24",
    values.seeds ?? "20",
    values.nodes ?? "8",
    values.loss ?? "5",
  ].map(Number);
  const [kind = "network", ...more] = positionals;
  if (more.length > 0 || !["network", "churn", "hostile"].includes(kind)) {
    const words = '"churn", "hostile", or nothing';
    console.error(`Cannot soak ${positionals.join(" ")}: write ${words}`);
    return 2;
  }
  const minutes = Number(values.minutes ?? "10");
  if (
    !(
      minutes > 0 &&
      Number(hours) > 0 &&
      Number(seeds) >= 1 &&
      Number(nodes) >= 2 &&
      Number(lossPercent) >= 0
    )
  ) {
    console.error("Cannot soak: --hours, --minutes, --seeds, --nodes and --loss take numbers");
    return 2;
  }
  if (kind === "hostile") {
    return soakHostile(minutes, { only: values.only, swap: values.swap === true });
  }
  if (kind === "churn") return soakChurn(Number(seeds));
  let failures = 0;
  for (let seed = 1; seed <= Number(seeds); seed += 1) {
    const result = await soak({
      seed,
      hours: Number(hours),
      nodes: Number(nodes),
      lossPercent: Number(lossPercent),
    });
    const { deaths, suspicions, probes } = result;
    console.log(
      `seed ${seed}: ${probes} probes, ${suspicions} suspicions, ${deaths.length} deaths`,
    );
    for (const death of deaths) console.log(`  ${death}`);
    if (deaths.length > 0) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
