/**
 * Membership in simulation: the time until all members know each other, the time until all know of
 * a death, and the traffic of an idle cluster. It runs under virtual time, so the figures depend on
 * the protocol alone and not on this machine.
 */
import {
  type ClusterSettings,
  pushPullMs,
  retransmitLimit,
  suspicionMinMs,
} from "../../src/cluster/settings.ts";
import { GossipWorld } from "../sim/gossip-world.ts";
import type { Bench, Figure } from "./bench.ts";

/** An alive message with the tags of a ramster node, in a compound. */
const ALIVE_BYTES = 350;
const TAGS = {
  role: "node",
  cluster: "ramster",
  protocol: "2",
  page_bytes: "4096",
  page_port: "7777",
  boot_id: "0123456789abcdef",
  number: "1000",
  codecs: "7",
  target: "auto",
  lend_frames: "262144",
  free_frames: "131072",
  granted_frames: "65536",
  pressure: "40",
};
const STEP_MS = 50;
const PUSH_PULLS = 200;
/** A member times its first push/pull while it knows nobody: after four intervals at most. */
const QUIET_MS = 4 * 30_000;
const PER_NODE_BUDGET_RATIO = 1.5;

export const gossipBench: Bench = {
  name: "gossip",
  about: "Simulated members: convergence beside its computed bound, and idle bytes a node.",
  run: async ({ quick }) => {
    const sizes = quick ? [8, 64] : [8, 64, 256, 1024];
    const figures: Figure[] = [];
    const idle = new Map<number, Idle>();
    for (const count of sizes) {
      const measured = await measure(count);
      figures.push(...measured.figures);
      idle.set(count, measured.idle);
    }
    const few = idle.get(8);
    if (few === undefined) return figures;
    for (const [count, { packets, streams }] of idle) {
      const total = packets + streams;
      const ratio = total / (few.packets + few.streams);
      figures.push(
        { name: `idle, ${count} nodes, datagrams`, value: packets, unit: "B/s a node" },
        { name: `idle, ${count} nodes, push/pull`, value: streams, unit: "B/s a node" },
        {
          name: `idle, ${count} nodes, all`,
          value: total,
          unit: "B/s a node",
          ratio,
          target: `at most ${PER_NODE_BUDGET_RATIO}x of 8 nodes`,
          pass: ratio <= PER_NODE_BUDGET_RATIO,
        },
      );
    }
    return figures;
  },
};

/** Bytes sent, a second and node. */
interface Idle {
  readonly packets: number;
  readonly streams: number;
}

async function measure(count: number): Promise<{ figures: Figure[]; idle: Idle }> {
  const world = new GossipWorld({ tags: TAGS });
  await world.grow(count);
  const startMs = world.untilStepwise("all know each other", () => world.allCount(world.nodes), {
    ms: spreadAllMs(world.settings, count) + 60_000,
    stepMs: STEP_MS,
  });
  // Traffic of news that still spreads must not count as idle.
  world.run(spreadAllMs(world.settings, count) + QUIET_MS);
  const idle = idleBytes(world);
  const victim = world.node(count - 1);
  victim.crash();
  const rest = world.nodes.slice(0, -1);
  const isDead = (): boolean => rest.every((node) => node.member(victim.name)?.state === "dead");
  const deathMs = world.untilStepwise("all know of the death", isDead, {
    ms: 10 * deathBoundMs(world.settings, count),
    stepMs: STEP_MS,
  });
  await world.stop();
  const falseDeaths = rest.flatMap((it) => it.events).filter((it) => isFalse(it, victim.name));
  if (falseDeaths.length > 0) throw new Error(`false deaths: ${falseDeaths.join(", ")}`);
  const bounded = (name: string, value: number, boundMs: number): Figure => ({
    name: `${name}, ${count} nodes`,
    value,
    unit: "ms",
    reference: { name: "bound", value: boundMs, unit: "ms" },
    ratio: value / boundMs,
    target: "within the bound",
    pass: value <= boundMs,
  });
  const figures = [
    bounded(
      "all know each other after the last start",
      startMs,
      spreadAllMs(world.settings, count),
    ),
    bounded("all know of a death", deathMs, deathBoundMs(world.settings, count)),
  ];
  return { figures, idle };
}

function isFalse(event: string, victim: string): boolean {
  return event.startsWith("leave") && event !== `leave ${victim} dead`;
}

/** Measures long enough for several push/pulls, which come at random times. */
function idleBytes(world: GossipWorld): Idle {
  const totals = (): Idle => {
    const counters = world.nodes.map((node) => node.cluster.counters);
    return {
      packets: counters.reduce((sum, it) => sum + it.packet_bytes_sent, 0),
      streams: counters.reduce((sum, it) => sum + it.stream_bytes_sent, 0),
    };
  };
  const before = totals();
  const count = world.nodes.length;
  const idleMs = (PUSH_PULLS * pushPullMs(world.settings, count)) / count;
  world.run(idleMs);
  const after = totals();
  const perNode = (bytes: number): number => bytes / count / (idleMs / 1000);
  return {
    packets: perNode(after.packets - before.packets),
    streams: perNode(after.streams - before.streams),
  };
}

/**
 * The bound when `count` members start at once. Each member sends each alive message
 * `retransmitLimit` times, and packs as many into a packet as fit. It sends `gossipNodes` packets
 * in each `gossipIntervalMs`. So the last message is sent when all are sent. Push/pulls may spread
 * it earlier.
 */
function spreadAllMs(settings: ClusterSettings, count: number): number {
  const perPacket = Math.floor(settings.packetBytesMax / ALIVE_BYTES);
  const sends = Math.ceil((count * retransmitLimit(settings, count)) / perPacket);
  return Math.ceil(sends / settings.gossipNodes) * settings.gossipIntervalMs;
}

/**
 * The bound of the time until all know of a death, in three parts:
 *
 *   - Each member probes in its own order. In an interval, nobody probes the dead member with
 *     probability 1/e. After five intervals, somebody has in 149 cases of 150. The probe itself
 *     takes one more.
 *   - The suspicion. By then two more members suspect the dead one, so it lasts its shortest time.
 *   - The spread of the news.
 */
function deathBoundMs(settings: ClusterSettings, count: number): number {
  const spreadMs = retransmitLimit(settings, count) * settings.gossipIntervalMs;
  return (5 + 1) * settings.probeIntervalMs + suspicionMinMs(settings, count) + spreadMs;
}
