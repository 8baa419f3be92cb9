/**
 * Nodes on unusual addresses: wildcards, link-local addresses, names that do not resolve yet, ports
 * in use. Each test makes a network namespace, which needs root.
 */
import { expect, test } from "bun:test";
import { NodeProcess } from "./node-process.ts";
import { countRight, ended, fill, logged, PROGRAM, ProcessWorld, until } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const TEST_MS = 30_000;
const PAGES = 1000;

const canMakeNetworks =
  which("ip") !== null && which("nsenter") !== null && process.getuid?.() === 0;
const networkTest = test.skipIf(!canMakeNetworks && !areToolsRequired);

/** Makes a namespace with two devices on one wire. @returns the command prefix that enters it. */
async function network(world: ProcessWorld, commands: readonly string[]): Promise<string[]> {
  const holder = world.spawnCommand(["unshare", "--net", "sh", "-c", "echo up; exec sleep 600"]);
  const reader = holder.stdout.getReader();
  await reader.read();
  const inside = ["nsenter", "--net", "--target", String(holder.pid)];
  const first = ["link set lo up", "link add va type veth peer name vb"];
  const last = ["link set va up", "link set vb up"];
  for (const command of [...first, ...commands, ...last]) {
    const done = await ended(world.spawnCommand([...inside, "ip", ...command.split(" ")]));
    if (done.code !== 0) throw new Error(`ip ${command}: ${done.stderr}`);
  }
  return inside;
}

/** Starts a node in that network without waiting for it. */
function startIn(
  world: ProcessWorld,
  inside: readonly string[],
  name: string,
  flags: readonly string[],
): NodeProcess {
  const own = [`--name=${name}`, "--insecure", `--client=unix:${world.path(name)}`];
  const argv = [...inside, ...PROGRAM, ...flags, ...own, "--reserve=0"];
  const node = new NodeProcess(0, argv, { verbose: false });
  world.onEnd(() => node.child.kill("SIGKILL"));
  return node;
}

/** A server and a node exchange pages. @returns the lender's address as the node knows it. */
async function pagesBetween(
  world: ProcessWorld,
  inside: readonly string[],
  { lender, owner, join, gossip }: { lender: string; owner: string; join: string; gossip: string },
): Promise<string | undefined> {
  const server = startIn(world, inside, "lender", ["server", `--listen=${lender}`]);
  await server.ready();
  const small = ["--memory=1MiB", "--selfshrink=off"];
  const node = startIn(world, inside, "owner", [
    "node",
    `--listen=${owner}`,
    `--gossip=${gossip}`,
    `--join=${join}`,
    ...small,
  ]);
  await node.ready();
  const client = await world.connect(node);
  await until("it knows the lender", async () => (await client.stats()).peers.length === 1);
  const pool = await client.newPool({ persistent: true });
  await until("all are stored", async () => (await fill(pool, PAGES)) === PAGES);
  expect(await countRight(pool, PAGES)).toBe(PAGES);
  const { members, counters } = await client.stats();
  expect(counters.remote_pers_pages_succ_get).toBeGreaterThan(0);
  return members.find(({ name }) => name === "lender")?.address;
}

networkTest.each(["0.0.0.0", "[::]"])(
  "a lender on %s tells the address that others can use",
  async (all) => {
    await using world = new ProcessWorld();
    const inside = await network(world, [
      "addr add 10.9.0.1/24 dev va",
      "addr add 10.9.0.2 dev lo",
    ]);
    const addresses = {
      lender: `${all}:7777`,
      owner: "10.9.0.2:7778",
      join: "10.9.0.1:7946",
      gossip: "10.9.0.2:7947",
    };
    expect(await pagesBetween(world, inside, addresses)).toBe("10.9.0.1:7946");
  },
  TEST_MS,
);

networkTest(
  "a node on 0.0.0.0 with two addresses does not start without --advertise",
  async () => {
    await using world = new ProcessWorld();
    const inside = await network(world, [
      "addr add 10.9.0.1/24 dev va",
      "addr add 10.9.1.1/24 dev vb",
    ]);
    const flags = ["server", "--listen=0.0.0.0:7777"];
    const refused = startIn(world, inside, "one", flags);
    await expect(refused.ready()).rejects.toThrow(
      /the addresses 10.9.[01].1, 10.9.[01].1: name the one .*, as in --advertise 10.9.[01].1:7777/,
    );
    expect(await refused.child.exited).toBe(2);
    const advertised = startIn(world, inside, "two", [...flags, "--advertise=10.9.1.1:7777"]);
    await advertised.ready();
    const { members } = await (await world.connect(advertised)).stats();
    expect(members).toEqual([expect.objectContaining({ address: "10.9.1.1:7946" })]);
  },
  TEST_MS,
);

networkTest(
  "nodes on link-local addresses exchange pages, each over its own device",
  async () => {
    await using world = new ProcessWorld();
    const quiet = ["va", "vb"].map((device) => `link set ${device} addrgenmode none`);
    const inside = await network(world, [
      ...[...quiet, "addr add fe80::a/64 dev va nodad", "addr add fe80::b/64 dev vb nodad"],
    ]);
    const [lender, owner] = ["[fe80::a%va]:7777", "[fe80::b%vb]:7778"];
    const addresses = { lender, owner, join: "[fe80::a%vb]:7946", gossip: "[fe80::b%vb]:7946" };
    expect(await pagesBetween(world, inside, addresses)).toBe("[fe80::a]:7946");
  },
  TEST_MS,
);

networkTest(
  "an error explains that another program has the gossip port",
  async () => {
    await using world = new ProcessWorld();
    const inside = await network(world, []);
    await startIn(world, inside, "one", ["server", "--listen=127.0.0.1:7777"]).ready();
    const second = startIn(world, inside, "two", ["server", "--listen=127.0.0.1:7778"]);
    await expect(second.ready()).rejects.toThrow(
      'Cannot use --listen "127.0.0.1:7778": its gossip address 127.0.0.1:7946 is in use: ' +
        "another ramster, Serf, Docker Swarm or MetalLB may gossip there, use another one, as in " +
        "--gossip 127.0.0.1:7947",
    );
    expect(await second.child.exited).toBe(3);
  },
  TEST_MS,
);

test("a node waits for its seeds up to --join-timeout", async () => {
  await using world = new ProcessWorld();
  const flags = ["--gossip=127.0.0.1:0", "--memory=1MiB"];
  const seeds = ["--advertise=10.9.0.1:7777", "--gossip-advertise=10.9.0.1:7946"];
  const absent = [...seeds, "--join=no-such-host.invalid:7946,127.0.0.1:1"];
  const patient = world.startUnready("node", 0, [...flags, ...absent]);
  await logged(patient, /Cannot join the cluster: .*; trying again until a node of --join answers/);
  const hasty = world.startUnready("node", 1, [...flags, ...absent, "--join-timeout=10ms"]);
  await expect(hasty.ready()).rejects.toThrow(
    'Cannot join the cluster: Cannot find the host "no-such-host.invalid": ',
  );
  expect(hasty.stderr.at(-1)).toContain("; 127.0.0.1:1: connection refused");
  expect(await hasty.child.exited).toBe(3);
  expect(patient.child.exitCode).toBeNull();
});

test("a seed that comes up late is found", async () => {
  await using world = new ProcessWorld();
  const gossip = "--gossip=127.0.0.1:0";
  const first = await world.start("server", 0, [gossip, "--memory=1MiB"]);
  const { gossip: seed } = first;
  await first.stop();
  const early = world.startUnready("node", 1, [gossip, `--join=${seed}`, "--memory=1MiB"]);
  await logged(early, /Cannot join the cluster: .*connection refused/);
  await world.start("server", 0, [`--gossip=${seed}`, "--memory=1MiB"]);
  await early.ready();
});
