import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { COMMANDS } from "../commands.ts";
import { ConfigError } from "../core/errors.ts";
import { nodeConfig } from "../node/config.ts";
import { parseArgs } from "./args.ts";
import { flagsOf } from "./flag-spec.ts";

const MACHINE = {
  hostName: "pebble",
  environment: {},
  readText: (path: string): string => {
    throw new Error(`ENOENT: no such file or directory, open '${path}'`);
  },
};

/** Arguments as a shell would split them, no quotes. */
function parse(line: string) {
  return parseArgs(line.split(" ").filter(Boolean), MACHINE, COMMANDS);
}

function refusal(argv: string | readonly string[]): string {
  try {
    parseArgs(typeof argv === "string" ? argv.split(" ").filter(Boolean) : argv, MACHINE, COMMANDS);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).not.toContain("\n");
    return (error as ConfigError).message;
  }
  throw new Error(`nothing was refused in ${argv}`);
}

describe("parseArgs() of a node", () => {
  test("fills in the defaults, which are those of the limits", () => {
    expect(parse("node --number 3")).toEqual({
      command: "node",
      options: nodeConfig({
        number: 3,
        name: "pebble",
        gossip: { kind: "tcp", host: "127.0.0.1", port: 7946 },
      }),
    });
  });

  test.each([
    ["node", "off"],
    ["node --swap", "on"],
    ["node --swap --seal", "on"],
    ["node --swap=strict", "strict"],
    ["node --swap off", "off"],
    ["node --no-swap", "off"],
  ])("reads swap mode of %p as %s", (line, swap) => {
    expect(parse(`${line} --number 1`)).toMatchObject({ options: { swap } });
  });

  test("takes the earlier name of the codec", () => {
    expect(parse("node --number 1 --codec lz4")).toMatchObject({ options: { codec: "auto" } });
  });

  test("reads every flag", () => {
    const line = `node --number 1 --name left --cluster blue --listen 0.0.0.0:0
      --peers 0@10.0.0.1:7777,2@[::1]:7778 --memory 128MiB --lend 1GiB --target 0
      --client unix:/run/r.sock,tcp:127.0.0.1:7779 --high-mark 95 --low-mark 85
      --remotify-eph on --remotify-pers off --trickle 100 --trickle-period 2s
      --trickle-first 0ms --pers-zpage-max 4000 --pers-zpage-mean 2000 --put-wait 0ms
      --request-timeout 1.5s --keepalive 1s --idle 10s --reconnect 5s --selfshrink off
      --selfshrink-interval 1m --selfshrink-hysteresis 10 --selfshrink-inertia 0 --codec raw
      --cold-codec none --cold-share 50
      --selfshrink-pages 50 --reserve 5%
      --gossip 10.0.0.9:0 --join 10.0.0.1:7946,seeds:7946 --join-timeout 90s --network wan
      --advertise 10.0.0.8:7777 --gossip-advertise 10.0.0.8:7946 --insecure
      --quota 1GiB --foreign-grace 1m --drain-timeout 5s --http 127.0.0.1:9100
      --gossip-tune probe-timeout=1s,gossip-nodes=5
      --zone rack7 --replicas 2 --seal --spill /var/spill --spill-size 2GiB --replicas-on-disk
      --nbd unix:/run/n.sock --export swap=4GiB,a=b=64KiB --io-timeout 10s --warn-at 70%
      --device-timeout 7s --dead-timeout 1m
      --max-clients 20 --placement blocks --order fifo --keep /dev/shm/k --standby on
      --gossip-label blue --unused 2m --swap strict --log warn,net=debug --log-format json`;
    expect(parse(line.replaceAll("\n", " "))).toEqual({
      command: "node",
      options: {
        role: "node",
        number: 1,
        name: "left",
        cluster: "blue",
        listen: { kind: "tcp", host: "0.0.0.0", port: 0 },
        peers: [
          { number: 0, address: { kind: "tcp", host: "10.0.0.1", port: 7777 } },
          { number: 2, address: { kind: "tcp", host: "::1", port: 7778 } },
        ],
        memoryBytes: 134_217_728,
        lendBytes: 1_073_741_824,
        placement: "blocks",
        keepPath: "/dev/shm/k",
        standby: "on",
        order: "fifo",
        target: 0,
        replicas: 2,
        spillPath: "/var/spill",
        spillBytes: 2_147_483_648,
        replicasOnDisk: true,
        swap: "strict",
        nbd: [{ kind: "unix", path: "/run/n.sock" }],
        exports: [
          { name: "swap", byteCount: 4_294_967_296 },
          { name: "a=b", byteCount: 65_536 },
        ],
        ioTimeoutMs: 10_000,
        deviceTimeoutMs: 7000,
        deadTimeoutMs: 60_000,
        warnAtPercent: 70,
        coldCodec: "none",
        coldSharePercent: 50,
        zone: "rack7",
        clients: [
          { kind: "unix", path: "/run/r.sock" },
          { kind: "tcp", host: "127.0.0.1", port: 7779 },
        ],
        highMarkPercent: 95,
        lowMarkPercent: 85,
        remotifyEph: true,
        remotifyPers: false,
        trickleFrames: 100,
        tricklePeriodMs: 2000,
        trickleFirstMs: 0,
        persZpageBytesMax: 4000,
        persZpageMeanBytes: 2000,
        putWaitMs: 0,
        maxClients: 20,
        requestTimeoutMs: 1500,
        keepaliveMs: 1000,
        idleMs: 10_000,
        unusedMs: 120_000,
        reconnectMs: 5000,
        selfshrink: false,
        selfshrinkIntervalMs: 60_000,
        selfshrinkHysteresis: 10,
        selfshrinkInertia: 0,
        selfshrinkPages: 50,
        reserve: { percent: 5 },
        codec: "raw",
        gossip: { kind: "tcp", host: "10.0.0.9", port: 0 },
        seeds: [
          { kind: "tcp", host: "10.0.0.1", port: 7946 },
          { kind: "tcp", host: "seeds", port: 7946 },
        ],
        joinTimeoutMs: 90_000,
        network: "wan",
        gossipTuning: { probeTimeoutMs: 1000, gossipNodes: 5 },
        gossipLabel: "blue",
        log: [
          { areas: ["cluster", "net", "ramster", "doors"], level: "warn" },
          { areas: ["net"], level: "debug" },
        ],
        logFormat: "json",
        advertise: { kind: "tcp", host: "10.0.0.8", port: 7777 },
        gossipAdvertise: { kind: "tcp", host: "10.0.0.8", port: 7946 },
        keyPath: null,
        http: { kind: "tcp", host: "127.0.0.1", port: 9100 },
        insecure: true,
        seal: true,
        quotaBytes: 1_073_741_824,
        foreignGraceMs: 60_000,
        drainTimeoutMs: 5000,
      },
    });
  });

  test("joins a list from commas and from repeated flags", () => {
    const clients = ["/a", "/b", "/c"].map((path) => ({ kind: "unix", path }));
    expect(parse("node --number=1 --client unix:/a --client unix:/b,unix:/c")).toMatchObject({
      options: { clients },
    });
  });

  test("keeps text that looks like a number or a flag", () => {
    expect(parse("node --number 1 --name 007 --cluster 1e3")).toMatchObject({
      options: { name: "007", cluster: "1e3" },
    });
    expect(parse("node --number 1 --name=--verbose --cluster=a=b")).toMatchObject({
      options: { name: "--verbose", cluster: "a=b" },
    });
    expect(parse("node --number 1 --name :x --cluster true")).toMatchObject({
      options: { name: ":x", cluster: "true" },
    });
  });
});

describe("parseArgs() of a server", () => {
  test("lends its memory and has none of its own", () => {
    expect(parse("server --number 0")).toMatchObject({
      command: "server",
      options: { role: "server", memoryBytes: 0, lendBytes: 1_073_741_824, target: null },
    });
    expect(parse("server --number 0 --memory 2MiB")).toMatchObject({
      options: { memoryBytes: 0, lendBytes: 2_097_152 },
    });
  });

  test("has defaults that are those of the limits", () => {
    const gossip = { kind: "tcp", host: "127.0.0.1", port: 7946 } as const;
    const options = nodeConfig({ number: 0, name: "pebble", role: "server", gossip });
    expect(parse("server --number 0")).toEqual({ command: "server", options });
  });
});

describe("parseArgs() of stress, stats and version", () => {
  test("fills in the defaults of stress", () => {
    expect(parse("stress")).toEqual({
      command: "stress",
      options: {
        nodes: 8,
        servers: 2,
        topology: "auto",
        replicas: "auto",
        placement: "blocks",
        order: "lru",
        seal: false,
        spillBytes: null,
        memoryBytes: 4_194_304,
        workingSetBytes: 50_331_648,
        durationMs: 20_000,
        mix: { put: 40, get: 50, flush: 10 },
        data: { kind: "mixed" },
        seed: null,
        jsonPath: null,
        htmlPath: null,
        connect: [],
        join: [],
        keyPath: null,
        insecure: false,
        lossPercent: 0,
        delayMs: 0,
        chaos: [],
        chaosEveryMs: 2000,
        verbose: false,
      },
    });
  });

  test.each([
    [16, 4],
    [32, 2],
    [64, 1],
    [128, 1],
  ])("stress with %i nodes has %i MiB a node by default", (nodes, mib) => {
    expect(parse(`stress --nodes ${nodes}`)).toMatchObject({
      options: { memoryBytes: mib * 1_048_576, workingSetBytes: mib * 12 * 1_048_576 },
    });
    expect(parse(`stress --nodes ${nodes} --memory 8MiB`)).toMatchObject({
      options: { memoryBytes: 8_388_608 },
    });
  });

  test("reads every flag of stress", () => {
    const line = `stress --nodes 4 --topology server --servers 2 --memory 1MiB --working-set 3MiB
      --duration 10s --mix 1:2:3 --data pid:77 --seed 4294967295 --json out.json
      --html out.html --verbose
      --loss 50 --delay 500ms`;
    expect(parse(line.replaceAll("\n", " "))).toMatchObject({
      options: {
        nodes: 4,
        servers: 2,
        memoryBytes: 1_048_576,
        workingSetBytes: 3_145_728,
        durationMs: 10_000,
        mix: { put: 1, get: 2, flush: 3 },
        data: { kind: "pid", pid: 77 },
        seed: 4_294_967_295,
        jsonPath: "out.json",
        htmlPath: "out.html",
        lossPercent: 50,
        delayMs: 500,
        verbose: true,
      },
    });
    expect(parse("stress --topology ring --data ./pages.bin")).toMatchObject({
      options: { topology: "ring", servers: 0, data: { kind: "file", path: "./pages.bin" } },
    });
    expect(parse("stress --connect unix:/a,127.0.0.1:9")).toMatchObject({
      options: { nodes: 0, servers: 0, connect: [{ path: "/a" }, { port: 9 }] },
    });
    expect(parse("stress --join a:1,b:2 --key k --memory 8MiB --seal")).toMatchObject({
      options: { nodes: 0, servers: 0, join: [{ host: "a" }, { host: "b" }], keyPath: "k" },
    });
  });

  test("reads stats and version", () => {
    expect(parse("stats --json --client unix:/a")).toEqual({
      command: "stats",
      options: { client: { kind: "unix", path: "/a" }, keyPath: null, json: true, explain: false },
    });
    expect(parse("stats --explain --client unix:/a")).toMatchObject({ options: { explain: true } });
    const door = { client: { kind: "unix", path: "/a" }, keyPath: "k" } as const;
    expect(parse("status --check --client unix:/a --key k")).toEqual({
      command: "status",
      options: { ...door, json: false, check: true },
    });
    expect(parse("get --client unix:/a --key k")).toEqual({
      command: "get",
      options: { ...door, knob: null, json: false },
    });
    expect(parse("set a -1 --client unix:/a --key k")).toEqual({
      command: "set",
      options: { ...door, knob: "a", value: "-1", json: false },
    });
    expect(parse("key use 12 --client unix:/a --key k")).toEqual({
      command: "key",
      options: { ...door, action: "use", key: "12", force: false, json: false },
    });
    expect(parse("keygen --out k --days 30")).toEqual({
      command: "keygen",
      options: { outPath: "k", days: 30, renew: null, pem: null, json: false },
    });
    for (const line of ["version", "--version", "-V", "-v"]) {
      expect(parse(line)).toEqual({ command: "version", options: { json: false } });
    }
  });

  test("reads requests for help", () => {
    for (const line of ["--help", "-h", "help"]) {
      expect(parse(line)).toEqual({ command: "help", about: null });
    }
    expect(parse("")).toEqual({ command: "help", about: null });
    for (const line of ["node --help", "node -h", "help node", "node --memory 1x --help"]) {
      expect(parse(line)).toEqual({ command: "help", about: "node" });
    }
  });
});

test("key add takes the line that key add prints", () => {
  const base64 = "O5XwSONh+s82LfTLCro98sRnvLF/mrjka0m65H+9C0c=";
  for (const key of [base64, `gossip-key = ${base64}`, `gossip-key=${base64}`]) {
    const argv = ["key", "add", key, "--client", "unix:/a"];
    expect(parseArgs(argv, MACHINE, COMMANDS)).toMatchObject({
      options: { action: "add", key: base64 },
    });
  }
});

describe("parseArgs() refuses", () => {
  test.each([
    [
      "stres",
      'Cannot run "stres": there is no such command, did you mean "stress"? ramster help lists all',
    ],
    [
      "--number 1",
      'Cannot run "--number": there is no such command, take one of node, server, stress, status, top, monitor, stats, get, set, drain, undrain, estimate, keygen, key, swap, completion, version',
    ],
    ["node --gossip none", 'Cannot use --gossip "none": without gossip a node needs --number'],
    [
      "node --gossip-tune probe-intervall=1s",
      'Cannot use --gossip-tune "probe-intervall=1s": did you mean "probe-interval"?',
    ],
    [
      "node --gossip-tune gossip-nodes",
      'Cannot use --gossip-tune "gossip-nodes": write NAME=VALUE, as in "probe-interval=1s"',
    ],
    [
      "node --gossip-tune gossip-nodes=0",
      'Cannot use --gossip-tune "gossip-nodes=0": it must be at least 1',
    ],
    [
      "node --gossip-tune probe-interval=100ms",
      'Cannot use --gossip-tune "probe-timeout=200ms": it must be below probe-interval, ' +
        "which is 100ms",
    ],
    ["node --number 1 --gossip none --join a:1", 'Cannot use --gossip "none": --join needs gossip'],
    ["node --join a:0", 'Cannot use --join "a:0": port 0 is no address to connect to'],
    [
      "key burn --client unix:/a",
      'Cannot run key "burn": take one of list, add, use, remove, rotate, reload',
    ],
    [
      "key reload k --client unix:/a",
      'Cannot run "key reload" with a KEY: the node reads its own key file',
    ],
    ["keygen --step add", "Cannot use --step without --renew FILE: say which key it is for"],
    ["keygen --pem d", "Cannot use --pem without --from FILE: say which key it is for"],
    ["keygen --from k", "Cannot use --from without --pem DIR: say where to write"],
    ["keygen --from k --pem d --out o", "Cannot use --out with --pem, which makes no key"],
    ["keygen --renew k", "Cannot use --renew without --step: write --step add, use or remove"],
    [
      "key use --client unix:/a",
      'Cannot run "key use" without KEY: write a fingerprint, see ramster key list',
    ],
    ["set a --client unix:/a", 'Cannot run "set" without VALUE: write ramster set NAME VALUE'],
    ["get a b --client unix:/a", 'Cannot use argument "b": "get" takes NAME and no more'],
    [
      "node --memmory 1MiB",
      'Cannot use --memmory: "node" has no such flag, did you mean --memory?',
    ],
    [
      "node --frobnicate",
      'Cannot use --frobnicate: "node" has no such flag, see ramster node --help',
    ],
    ["server --target 1", 'Cannot use --target: "server" has no such flag, it belongs to "node"'],
    [
      "node --constructor x",
      'Cannot use --constructor: "node" has no such flag, see ramster node --help',
    ],
    [
      "node --__proto__=x",
      'Cannot use --__proto__: "node" has no such flag, see ramster node --help',
    ],
    [
      "node --no-selfshrink",
      'Cannot use --no-selfshrink: "node" has no such flag, did you mean --selfshrink?',
    ],
    ["node --memory.x 1", 'Cannot use --memory.x: "node" has no such flag, did you mean --memory?'],
    ["node --number 1 --", 'Cannot use --: "node" has no such flag, see ramster node --help'],
    ["node --number 1 --memory", "Cannot use --memory without a value: write --memory SIZE"],
    ["node --number --memory 1MiB", "Cannot use --number without a value: write --number N"],
    ["node --number 1 --number 2", 'Cannot use --number twice: it is "1" and "2"'],
    ["stats --json --json --client unix:/a", "Cannot use --json twice"],
    ["stats --json=yes --client unix:/a", "Cannot use --json with a value"],
    ["node 7", 'Cannot use argument "7": "node" takes flags only'],
    ["node -n 7", 'Cannot use argument "-n": flags begin with "--", see ramster node --help'],
    ["node --number 1024", 'Cannot use --number "1024": it must be at most 1022'],
    ["node --number -1", 'Cannot use --number "-1": it must be at least 0'],
    [
      "node --number 1 --memory 64MB",
      'Cannot use --memory "64MB": there is no unit "MB", write "64MiB"',
    ],
    ["node --number 1 --memory 512KiB", 'Cannot use --memory "512KiB": it must be at least 1MiB'],
    [
      "node --number 1 --memory=",
      'Cannot use --memory "": write a size, such as "64MiB" or "4096"',
    ],
    ["node --number 1 --lend 4KiB", 'Cannot use --lend "4KiB": it must be 0 or at least 1MiB'],
    [
      "node --number 1 --idle 30",
      'Cannot use --idle "30": the unit is missing, write "30ms" or "30s"',
    ],
    ["node --number 1 --idle 25h", 'Cannot use --idle "25h": it must be at most 24h'],
    [
      "node --number 1 --codec zstd",
      'Cannot use --codec "zstd": take one of auto, native, wasm, raw',
    ],
    ["node --number 1 --selfshrink yes", 'Cannot use --selfshrink "yes": take one of on, off'],
    [
      "node --number 1 --target all",
      'Cannot use --target "all": write the number of a node, "auto" or "none"',
    ],
    ["swap", 'Cannot run "swap" without ACTION: write ramster swap ACTION'],
    ["swap out", 'Cannot run swap "out": take one of on, off, rotate, status'],
    ["node --swap maybe", 'Cannot use --swap "maybe": take one of off, on, strict'],
    ["node --swap --no-swap", 'Cannot use --swap twice: it is "on" and "off"'],
    ["node --no-swap=on", 'Cannot use --no-swap: "node" has no such flag, see ramster node --help'],
    ["node --no-seal", 'Cannot use --no-seal: "node" has no such flag, see ramster node --help'],
    ["node --spill /x", 'Cannot use --spill "/x": it needs a size, add --spill-size'],
    ["node --spill-size 1MiB", 'Cannot use --spill-size "1048576": it needs a file, add --spill'],
    ["node --export swap", 'Cannot use --export "swap": write NAME=SIZE, as in "swap=4GiB"'],
    ["node --export swap=1K", 'Cannot use --export "swap=1K": there is no unit "K", write "1KiB"'],
    ["node --replicas-on-disk", "Cannot use --replicas-on-disk: it needs a disk, add --spill"],
    [
      "node --spill /x --spill-size 1KiB",
      'Cannot use --spill-size "1KiB": it must be at least 1MiB',
    ],
    ["server --spill /x", 'Cannot use --spill: "server" has no such flag, it belongs to "node"'],
    ["node --number 1 --target 1", 'Cannot use --target "1": it is the number of this node'],
    ["node --number 1 --high-mark 101", 'Cannot use --high-mark "101": it must be at most 100'],
    [
      "node --number 1 --low-mark 95",
      'Cannot use --low-mark "95": it must not be above --high-mark "90"',
    ],
    [
      "node --number 1 --keepalive 30s",
      'Cannot use --keepalive "30s": it must be below --idle "30s"',
    ],
    ["node --number 1 --listen 7777", 'Cannot use --listen "7777": no port, write "HOST:PORT"'],
    [
      "node --number 1 --listen unix:/a",
      'Cannot use --listen "unix:/a": nodes talk over TCP, write "HOST:PORT"',
    ],
    [
      "node --number 1 --listen h:70000",
      'Cannot use --listen "h:70000": "70000" is not a port: use 0 to 65535',
    ],
    [
      "node --number 1 --peers h:1",
      'Cannot use --peers "h:1": write number and address, as in "0@10.0.0.1:7777"',
    ],
    ["node --number 1 --peers 2@h:1,2@h:2", 'Cannot use --peers "2@h:2": node 2 occurs twice'],
    ["node --number 1 --peers 2@h:1,,", 'Cannot use --peers "": a member of the list is empty'],
    [
      "node --number 1 --peers 9999@h:1",
      'Cannot use --peers "9999@h:1": the number before "@" must be 0 .. 1022',
    ],
    [
      "node --number 1 --peers 2@unix:/a",
      'Cannot use --peers "2@unix:/a": nodes talk over TCP, write "HOST:PORT"',
    ],
    ["node --number 1 --client unix:", 'Cannot use --client "unix:": the socket path is empty'],
    ["stress --nodes 1", 'Cannot use --nodes "1": it must be at least 2'],
    [
      "stress --chaos kill,burn",
      'Cannot use --chaos "burn": take one of kill, pause, cut, slow, restart, rolling',
    ],
    [
      "stress --chaos kill,rolling",
      'Cannot use --chaos "rolling" with others: it restarts all nodes in order',
    ],
    [
      "stress --chaos kill --nodes 4",
      "Cannot use --chaos with one copy of a page: it takes two servers and two copies",
    ],
    [
      "stress --chaos kill --replicas 1",
      "Cannot use --chaos with one copy of a page: it takes two servers and two copies",
    ],
    [
      "stress --chaos kill --topology ring",
      'Cannot use --chaos with --topology "ring": pages have one holder there',
    ],
    [
      "stress --replicas 2 --topology ring",
      'Cannot use --replicas with --topology "ring": all pages of a node go to one',
    ],
    [
      "node --number 1 --target 2 --replicas 2",
      'Cannot use --replicas "2": with --target "2" all pages go to one node',
    ],
    ["node --replicas 4", 'Cannot use --replicas "4": it must be at most 3'],
    ["node --zone=", 'Cannot use --zone "": it is empty'],
    ["stress --nodes 2 --servers 2", 'Cannot use --servers "2": it must be below --nodes "2"'],
    [
      "stress --topology ring --servers 1",
      'Cannot use --servers with --topology "ring": it has none',
    ],
    [
      "stress --topology pair --nodes 3",
      'Cannot use --nodes "3": topology "pair" needs an even number',
    ],
    [
      "stress --connect unix:/a --nodes 2",
      "Cannot use --nodes with --connect: those nodes run already",
    ],
    ["stress --join a:1 --nodes 2", "Cannot use --nodes with --join: those nodes run already"],
    [
      "stress --join a:1 --connect unix:/a",
      "Cannot use --join with --connect: those nodes run already",
    ],
    ["completion tcsh", 'Cannot write completion for "tcsh": take one of bash, zsh, fish'],
    ["stress --loss 51", 'Cannot use --loss "51": it must be at most 50'],
    ["stress --delay 501ms", 'Cannot use --delay "501ms": it must be at most 500ms'],
    ["stress --delay 20", 'Cannot use --delay "20": the unit is missing, write "20ms" or "20s"'],
    [
      "stress --connect unix:/a --loss 1",
      "Cannot use --loss with --connect: those nodes run already",
    ],
    ["stress --mix 1:2", 'Cannot use --mix "1:2": write 3 whole numbers as "put:get:flush"'],
    ["stress --mix 0:1:1", 'Cannot use --mix "0:1:1": without puts there is nothing to check'],
    [
      "stress --data pid:0",
      'Cannot use --data "pid:0": "0" is no process id, it must be 1 .. 4194304',
    ],
    ["stress --seed 4294967296", 'Cannot use --seed "4294967296": it must be at most 4294967295'],
    ["estimate", 'Cannot run "estimate" without --pid, --file or --sample: write one of them'],
    [
      "estimate --sample --pid 7",
      'Cannot run "estimate" with more than one of --pid, --file or --sample: write one of them',
    ],
    ["stress --json=", 'Cannot use --json "": the path is empty'],
  ])("%p", (line, message) => {
    expect(refusal(line)).toBe(message);
  });

  test("an empty name and a name that cannot be printed", () => {
    expect(refusal(["node", "--number", "1", "--name", ""])).toBe(
      'Cannot use --name "": it is empty',
    );
    expect(refusal(["node", "--number", "1", "--name", "a\nb"])).toBe(
      'Cannot use --name "a\\nb": it has a character that cannot be printed',
    );
    // The first one turns the direction of writing.
    for (const odd of ["\u202e", "\u200b", "\u2028"]) {
      const words = ["node", "--number", "1", "--name", `a${odd}b`];
      expect(refusal(words)).toContain("it has a character that cannot be printed");
    }
  });

  test("any wrong line with one clear error and nothing else", () => {
    const words = COMMANDS.flatMap((spec) => flagsOf(spec).map((flag) => `--${flag.name}`));
    const token = fc.oneof(fc.constantFrom(...words, "on", "1", "64MiB", "2s", "--"), fc.string());
    const command = fc.constantFrom(...COMMANDS.map((spec) => spec.name));
    fc.assert(
      fc.property(command, fc.array(token, { maxLength: 6 }), (name, tokens) => {
        try {
          parseArgs([name, ...tokens], MACHINE, COMMANDS);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as ConfigError).message).toMatch(/^Cannot [^\n]+[^.]$/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
