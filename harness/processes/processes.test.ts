/**
 * Real processes of this program: how they start, end, refuse and survive. Tests under virtual time
 * cover what happens to pages (scenarios.test.ts). Here is what only an operating system can do:
 * ports, paths, signals, processes that die or are stopped.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { PageError } from "../../src/client/errors.ts";
import { VERSION } from "../../src/core/build.ts";
import { PROTOCOL_VERSION } from "../../src/core/limits.ts";
import { clientHello, encodeHello, HELLO_BYTES_MAX, ROLE } from "../../src/wire/handshake.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { frameBytes } from "../sim/channel-pair.ts";
import type { NodeProcess } from "./node-process.ts";
import {
  answerTo,
  counter,
  countRight,
  ended,
  fill,
  isPage,
  keys,
  logged,
  OID,
  PROGRAM,
  ProcessWorld,
  pageOf,
  until,
} from "./process-world.ts";

const TEST_MS = 30_000;
/** Three times as many pages as a node with 1 MiB keeps. */
const PAGES = 1500;

/** A server, and a node with little memory that sends to it. */
async function pair(world: ProcessWorld, flags: readonly string[] = []) {
  const server = await world.start("server", 0, ["--memory=32MiB"]);
  const node = await world.start("node", 1, ["--memory=1MiB", ...wires(server), ...flags]);
  const client = await world.connect(node);
  const pool = await client.newPool({ persistent: true });
  return { server, node, client, pool };
}

function wires(server: NodeProcess): string[] {
  return [`--peers=0@${server.listen}`, "--target=0", "--selfshrink=off"];
}

describe("a node", () => {
  test("prints one line with the addresses and ports that it listens on", async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 3, ["--memory=1MiB"]);
    expect(node.listen).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(node.client).toBe(`unix:${world.path("3.sock")}`);
    const { node: reported } = await (await world.connect(node)).stats();
    expect(reported).toMatchObject({ number: 3, name: "n3", listen: node.listen });
  });

  test("exits with 3 and one line when its port is in use", async () => {
    await using world = new ProcessWorld();
    const first = await world.start("node", 0);
    const second = await world.run([
      "node",
      "--number=1",
      "--gossip=none",
      `--listen=${first.listen}`,
    ]);
    expect(second).toEqual({
      stdout: "",
      stderr: `ramster: Cannot use --listen "${first.listen}": the address is in use\n`,
      code: 3,
    });
  });

  test("exits with 3 when another process listens on its client socket, and leaves it alone", async () => {
    await using world = new ProcessWorld();
    const first = await world.start("node", 0);
    const second = world.startUnready("node", 1, [`--client=${first.client}`]);
    await expect(second.ready()).rejects.toThrow("another process listens there");
    expect(await second.child.exited).toBe(3);
    expect(second.stderr.length).toBe(1);
    await (await world.connect(first)).stats();
  });

  test("takes over a socket file that nobody listens on any more", async () => {
    await using world = new ProcessWorld();
    const first = await world.start("node", 0);
    await first.kill();
    expect(existsSync(world.path("0.sock"))).toBe(true);
    const second = await world.start("node", 1, [`--client=${first.client}`]);
    expect((await world.connect(second)).nodeNumber).toBe(1);
  });

  test("exits with 3 when its socket path is a file, and keeps the file", async () => {
    await using world = new ProcessWorld();
    writeFileSync(world.path("file"), "precious");
    const flags = ["--listen=127.0.0.1:0", `--client=unix:${world.path("file")}`];
    const { stderr, code } = await world.run(["node", "--number=1", "--gossip=none", ...flags]);
    expect(stderr).toMatch(
      /^ramster: Cannot use --client "[^\n]+": the path exists and is not a socket\n$/,
    );
    expect(code).toBe(3);
    expect(readFileSync(world.path("file"), "utf8")).toBe("precious");
  });

  test("removes its sockets when another one cannot be opened", async () => {
    await using world = new ProcessWorld();
    const door = ["--export=a=1MiB", `--nbd=unix:${world.path("nowhere/nbd.sock")}`, "--no-swap"];
    const flags = ["--listen=127.0.0.1:0", `--client=unix:${world.path("client.sock")}`, ...door];
    const { stderr, code } = await world.run(["node", "--number=1", "--gossip=none", ...flags]);
    expect(stderr).toMatch(
      /^ramster: Cannot use --nbd [^\n]+: there is no directory [^\n]+: create it, or name another\n$/,
    );
    expect(code).toBe(3);
    expect(existsSync(world.path("client.sock"))).toBe(false);
  });

  test.each([
    ["--memry=1MiB", "did you mean --memory"],
    ["--memory=64MB", 'write "64MiB"'],
    ["--memory=1KiB", "at least 1MiB"],
    ["--listen=nowhere", "no port"],
    ["--listen=127.0.0.1:65536", "is not a port"],
    ["--client=unix:", "the socket path is empty"],
    ["--client=/tmp/a.sock", "it is a path"],
    ["--peers=127.0.0.1:1", "write number and address"],
    ["--target=1", "it is the number of this node"],
  ])("exits with 2 and one line for %s", async (flag, reason) => {
    await using world = new ProcessWorld();
    const { stdout, stderr, code } = await world.run(["node", "--number=1", flag]);
    expect(stderr).toMatch(/^ramster: Cannot use [^\n]+\n$/);
    expect(stderr).toContain(reason);
    expect([stdout, code]).toEqual(["", 2]);
  });

  test("logs that its target has no address", async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, ["--memory=1MiB", "--target=5"]);
    await logged(node, /DEGRADED: pages have nowhere to go; node 5 of --target is not known/);
  });

  test("ignores signals that have no meaning for it", async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1);
    const others = ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGXCPU"];
    for (const name of [...others, "SIGPIPE", "SIGXFSZ", "SIGPWR"]) {
      await ended(world.spawnCommand(["kill", `-${name.slice(3)}`, String(node.pid)]));
    }
    for (const name of others) await logged(node, new RegExp(`ignored signal ${name}:`));
    expect((await (await world.connect(node)).stats()).node.number).toBe(1);
    expect(await node.stop()).toBe(0);
  });

  test.each(["SIGTERM", "SIGINT", "SIGQUIT"] as const)(
    "exits with 0 on %s, and removes its socket",
    async (name) => {
      await using world = new ProcessWorld();
      const { node, pool } = await pair(world);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await node.stop(name)).toBe(0);
      expect(existsSync(world.path("1.sock"))).toBe(false);
    },
  );

  test("outlives its terminal, and reads its configuration again at SIGHUP", async () => {
    await using world = new ProcessWorld();
    const path = world.path("node.toml");
    await Bun.write(path, "memory = 1MiB\nwarn-at = 80\n".replace("1MiB", '"1MiB"'));
    const node = await world.start("node", 1, [`--config=${path}`]);
    const client = await world.connect(node);
    await client.setKnob("put-wait", "7s");
    await Bun.write(path, 'memory = "2MiB"\nwarn-at = 70\n');
    node.child.kill("SIGHUP");
    await logged(node, /set "warn-at" to "70"/);
    await logged(node, /warn: Cannot set "memory" to "2MiB": it is read at the start only/);
    expect(await client.getKnob("warn-at")).toBe("70");
    expect(await client.getKnob("put-wait")).toBe("7s");
    await Bun.write(path, "memory = nonsense\n");
    node.child.kill("SIGHUP");
    await logged(node, /error: Cannot read the configuration again, so nothing has changed: /);
    expect(await client.getKnob("warn-at")).toBe("70");
    rmSync(path);
    expect(Bun.spawnSync(["mkfifo", path]).success).toBe(true);
    node.child.kill("SIGHUP");
    await logged(node, /so nothing has changed: [^\n]*it is no regular file/);
    expect(await node.stop("SIGTERM")).toBe(0);
  });

  test("that seals pages gets them back unchanged from its holder", async () => {
    await using world = new ProcessWorld();
    const { server, client, pool } = await pair(world, ["--seal"]);
    expect(await fill(pool, PAGES)).toBe(PAGES);
    for (let round = 0; round < 2; round += 1) expect(await countRight(pool, PAGES)).toBe(PAGES);
    expect(await counter(client, "remote_pers_pages_succ_get")).toBeGreaterThan(PAGES / 2);
    expect(await counter(client, "fetch_seal_broken")).toBe(0);
    const holder = await world.connect(server);
    expect(await counter(holder, "foreign_pers_pages")).toBeGreaterThan(PAGES / 2);
    expect(await counter(holder, "foreign_corrupt_pages")).toBe(0);
  });

  test("exits at once on a second signal", async () => {
    await using world = new ProcessWorld();
    const { server, node, pool } = await pair(world);
    await fill(pool, PAGES);
    // A peer that does not answer delays a clean shutdown by a second.
    server.child.kill("SIGSTOP");
    node.child.kill("SIGTERM");
    await until("it is stopping", () => !existsSync(world.path("1.sock")));
    node.child.kill("SIGTERM");
    await node.child.exited;
    expect(node.child.signalCode).toBe("SIGTERM");
  });
});

function helloBytes(version: number): Uint8Array {
  const body = new Uint8Array(HELLO_BYTES_MAX);
  const hello = { ...clientHello(), role: ROLE.PEER, node: 7, clusterName: "ramster" };
  const bodyBytes = encodeHello(hello, new DataView(body.buffer), 0);
  const bytes = frameBytes({ type: MESSAGE.HELLO, request: 1024, body: body.slice(0, bodyBytes) });
  bytes[2] = version;
  return bytes;
}

describe("a connection that is not a peer", () => {
  test.each([
    ["another protocol", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "magic"],
    ["another version", helloBytes(99), "protocol version is 99"],
    [
      "a length of 4 GiB",
      frameBytes({ type: MESSAGE.HELLO, request: 1024, declared: 0xffff_ffff }),
      "4294967295",
    ],
    ["no HELLO", frameBytes({ type: MESSAGE.KEEPALIVE, request: 1024 }), "HELLO"],
    ["garbage", Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) >> 3), "magic"],
  ])(
    "with %s is closed with a reason, and does not affect other peers",
    async (_name, bytes, reason) => {
      await using world = new ProcessWorld();
      const { server, node, client, pool } = await pair(world);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      const reading = countRight(pool, PAGES);
      for (const target of [server, node]) {
        expect(await answerTo(target.listen, bytes)).toContain(reason);
        await logged(target, new RegExp(`Closed a connection from "[^"]+": .*${reason}`));
      }
      expect(await reading).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      expect(await counter(client, "remote_pers_pages")).toBeGreaterThan(500);
    },
  );

  test("of another cluster is refused in one line on both sides", async () => {
    await using world = new ProcessWorld();
    const { server, pool } = await pair(world);
    expect(await fill(pool, PAGES)).toBe(PAGES);
    const flags = ["--cluster=blue", "--memory=1MiB", "--put-wait=0ms", ...wires(server)];
    const stranger = await world.start("node", 2, flags);
    const its = await (await world.connect(stranger)).newPool({ persistent: true });
    const stored = await fill(its, PAGES);
    expect(stored).toBeLessThan(PAGES);
    expect(stored).toBeGreaterThan(0);
    await logged(stranger, /Cannot link to node 0 at "[^"]+": .*cluster is "(ramster|blue)"/);
    await logged(server, /Closed a connection from "[^"]+": cluster is "blue" there/);
    const kept = await its.getMany(keys(PAGES));
    expect(kept.filter((page, i) => isPage(page, i)).length).toBe(stored);
    expect(await countRight(pool, PAGES)).toBe(PAGES);
    expect(await stranger.stop()).toBe(0);
  });

  test("at the target's address is logged once, however often it is dialled", async () => {
    await using world = new ProcessWorld();
    let dials = 0;
    using impostor = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          dials += 1;
          socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        },
        data: () => {},
      },
    });
    const target = [`--peers=0@127.0.0.1:${impostor.port}`, "--target=0", "--put-wait=0ms"];
    const node = await world.start("node", 1, ["--memory=1MiB", "--reconnect=50ms", ...target]);
    const pool = await (await world.connect(node)).newPool({ persistent: true });
    await fill(pool, PAGES);
    await until("it was dialled again", () => dials > 2);
    const lines = node.stderr.filter((line) => line.includes("Cannot link to node 0"));
    expect(lines.length).toBe(1);
    expect(lines[0]).toContain("magic is 0x4854");
    expect(await pool.put(OID, 0, pageOf(0))).toEqual({ stored: true });
    expect(isPage(await pool.get(OID, 0), 0)).toBe(true);
    expect(await node.stop()).toBe(0);
  });
});

describe("a holder", () => {
  test(
    "that was killed: gets of its pages fail by the deadline, other gets are served",
    async () => {
      await using world = new ProcessWorld();
      const { server, node, client, pool } = await pair(world, ["--request-timeout=500ms"]);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      await until("nothing is on its way", async () => {
        return (await counter(client, "frames_in_flight")) === 0;
      });
      const remote = await counter(client, "remote_pers_pages");
      await server.kill();
      const error = (await pool.getMany(keys(PAGES)).catch((e: unknown) => e)) as PageError;
      expect(error).toBeInstanceOf(PageError);
      expect(error.code).toBe("UNREACHABLE");
      const failed = error.results.filter((result) => typeof result === "string");
      expect(failed.length).toBe(remote);
      const here = error.results.filter((result, i) => isPage(result, i));
      expect(here.length).toBe(PAGES - remote);
      expect(await node.stop()).toBe(0);
    },
    TEST_MS,
  );

  test(
    "that is stopped and continued: no page is lost",
    async () => {
      await using world = new ProcessWorld();
      const { server, node, pool } = await pair(world, ["--request-timeout=20s"]);
      const watcher = await world.connect(node);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      server.child.kill("SIGSTOP");
      const reading = countRight(pool, PAGES);
      await until("gets wait", async () => (await counter(watcher, "fetches_in_flight")) > 0);
      server.child.kill("SIGCONT");
      expect(await reading).toBe(PAGES);
    },
    TEST_MS,
  );

  test("of two owners keeps their pages apart, and holds none when both have flushed", async () => {
    await using world = new ProcessWorld();
    const { server, pool } = await pair(world);
    const other = await world.start("node", 2, ["--memory=1MiB", ...wires(server)]);
    const its = await (await world.connect(other)).newPool({ persistent: true });
    expect(its.id).toBe(pool.id);
    expect(await Promise.all([fill(pool, PAGES, 1), fill(its, PAGES, 2)])).toEqual([PAGES, PAGES]);
    const right = await Promise.all([countRight(pool, PAGES, 1), countRight(its, PAGES, 2)]);
    expect(right).toEqual([PAGES, PAGES]);
    const holder = await world.connect(server);
    const { peers } = await holder.stats();
    expect(peers.map((peer) => peer.foreign_pages > 500)).toEqual([true, true]);
    await pool.flush();
    expect(await countRight(its, PAGES, 2)).toBe(PAGES);
    await its.flush();
    await until("the holder is empty", async () => {
      return (await counter(holder, "foreign_pers_pages")) === 0;
    });
  });
});

describe("a disk for pages", () => {
  test(
    "takes what memory does not, gives all of it back, and shows no file",
    async () => {
      await using world = new ProcessWorld();
      const directory = world.path("spill");
      mkdirSync(directory);
      const spill = [`--spill=${directory}`, "--spill-size=16MiB", "--selfshrink=off"];
      const node = await world.start("node", 0, ["--memory=1MiB", ...spill]);
      expect(readdirSync(directory)).toEqual([]);
      const client = await world.connect(node);
      const pool = await client.newPool({ persistent: true });
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      expect(await counter(client, "spilled_pages")).toBeGreaterThan(PAGES / 2);
      const { stdout } = await world.run(["status", "--client", node.client]);
      expect(stdout).toMatch(/^spilled: \d+ pages, \S+[KM]iB of 16MiB$/m);
      await pool.flush();
      await until("the disk is empty", async () => (await counter(client, "spill_bytes")) === 0);
      expect(await fill(pool, PAGES)).toBe(PAGES);
      expect(await countRight(pool, PAGES)).toBe(PAGES);
      expect(await node.stop()).toBe(0);
      expect(readdirSync(directory)).toEqual([]);
    },
    TEST_MS,
  );

  test("that cannot be made ends the node with 3 and one line, and changes no file", async () => {
    await using world = new ProcessWorld();
    const file = world.path("mine");
    writeFileSync(file, "mine");
    const flags = ["--number=0", "--gossip=none", "--listen=127.0.0.1:0", "--spill-size=1MiB"];
    for (const path of [file, world.path("no/such")]) {
      const ended = await world.run(["node", ...flags, `--spill=${path}`]);
      expect(ended).toMatchObject({ stdout: "", code: 3 });
      expect(ended.stderr).toMatch(/^ramster: Cannot use --spill "[^"]+": [^\n]+\n$/);
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
  });
});

describe("ramster stats", () => {
  test("shows the counters as text and as JSON", async () => {
    await using world = new ProcessWorld();
    const { node, pool } = await pair(world);
    await fill(pool, 10);
    const text = await world.run(["stats", "--client", node.client]);
    expect(text).toMatchObject({ stderr: "", code: 0 });
    expect(text.stdout).toStartWith('node 1 "n1" of cluster "ramster", boot id ');
    expect(text.stdout).toMatch(/^pers_zpages +10$/m);
    const json = await world.run(["stats", "--client", node.client, "--json"]);
    expect(json).toMatchObject({ stderr: "", code: 0 });
    expect(JSON.parse(json.stdout)).toMatchObject({
      node: { number: 1, listen: node.listen },
      counters: { pers_zpages: 10 },
      peers: [{ node: 0 }],
    });
  });

  test.each([
    ["unix:/nowhere/ramster.sock", "no such file or directory"],
    ["127.0.0.1:1", "connection refused"],
  ])("ends with 3 and one line when nobody is at %s", async (address, reason) => {
    await using world = new ProcessWorld();
    expect(await world.run(["stats", "--client", address])).toEqual({
      stdout: "",
      stderr: `ramster: Cannot connect to "${address}": ${reason}\n`,
      code: 3,
    });
  });

  test("of a peer's port exits with 3 and says that the port is for peers", async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1);
    const { stderr, code } = await world.run(["stats", "--client", node.listen]);
    expect(stderr).toMatch(/^ramster: Cannot connect to [^\n]+ for peers, not for clients\n$/);
    expect(code).toBe(3);
  });

  test.each([["stats"], ["version"], ["help"]])(
    "%s exits quietly when its pipe is closed",
    async (word) => {
      await using world = new ProcessWorld();
      const node = await world.start("node", 1);
      const flags = word === "stats" ? `--client ${node.client}` : "";
      const line = `{ ${PROGRAM.join(" ")} ${word} ${flags}; echo "code $?" >&2; } | :`;
      const shell = Bun.spawn(["sh", "-c", line], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      expect((await ended(shell)).stderr).toBe("code 0\n");
    },
  );
});

describe("--json", () => {
  test("gives each result as one document", async () => {
    await using world = new ProcessWorld();
    const node = await world.start("node", 1, ["--idle=7s"]);
    const json = async (...argv: string[]): Promise<unknown> => {
      const client = argv[0] === "version" || argv[0] === "keygen" ? [] : ["--client", node.client];
      const { stdout, stderr, code } = await world.run([...argv, "--json", ...client]);
      expect([stderr, code]).toEqual(["", 0]);
      return JSON.parse(stdout);
    };
    expect(await json("version")).toMatchObject({ version: VERSION, protocol: PROTOCOL_VERSION });
    expect(await json("get")).toMatchObject({ idle_timeout_ms: "7000", draining: "0" });
    expect(await json("get", "idle")).toEqual({ idle: "7s" });
    expect(await json("set", "idle", "8s")).toEqual({ idle: "8s" });
    expect(await json("drain")).toEqual({
      is_drained: true,
      moved_away: 0,
      came_home: 0,
      left: { foreign: 0, own: 0 },
    });
    expect(await json("undrain")).toEqual({ was_drained: true });
    expect(await json("key", "list")).toEqual({ keys: [] });
    const file = world.path("cluster.key");
    expect(await json("keygen", "--out", file)).toEqual({ file });
    const { key } = (await json("keygen")) as { key: string };
    expect(key).toContain("gossip-key = ");
    const pki = world.path("pki");
    const files = ["ca-cert.pem", "client-cert.pem", "client-key.pem"];
    const made = { directory: pki, files };
    expect(await json("keygen", "--from", file, "--pem", pki)).toEqual(made);
  });
});

describe("a node without --client", () => {
  const flags = ["--gossip=none", "--listen=127.0.0.1:0", "--memory=1MiB", "--reserve=0"];
  const startNamed = async (world: ProcessWorld, name: string) => {
    const child = world.spawn(["node", "--number=1", `--name=${name}`, ...flags]);
    const { value } = await child.stdout.getReader().read();
    expect(Buffer.from(value ?? []).toString()).toContain(
      ` client=unix:${world.path(name)}.sock\n`,
    );
    return child;
  };

  test("is found by commands without an address, and by its name", async () => {
    await using world = new ProcessWorld();
    const one = await startNamed(world, "one");
    expect((await world.run(["status"])).stdout).toContain('node 1 "one" of cluster');
    const two = await startNamed(world, "two");
    expect((await world.run(["get", "draining", "--client=two"])).stdout).toBe("0\n");
    expect(await world.run(["stats"])).toMatchObject({ code: 2, stdout: "" });
    one.kill("SIGKILL");
    await one.exited;
    expect((await world.run(["stats"])).stdout).toContain('node 1 "two" of cluster');
    two.kill("SIGTERM");
    expect(await two.exited).toBe(0);
  });

  test("runs without a socket when its name is taken, and says so", async () => {
    await using world = new ProcessWorld();
    await startNamed(world, "one");
    const child = world.spawn(["node", "--number=2", "--name=one", ...flags]);
    const { value } = await child.stdout.getReader().read();
    expect(Buffer.from(value ?? []).toString()).toMatch(/^ready node=2 name=one listen=\S+\n$/);
    child.kill("SIGTERM");
    const why = "another process listens there";
    expect(await child.stderr.text()).toContain(`so commands need --client: ${why}\n`);
    expect(await child.exited).toBe(0);
  });
});
