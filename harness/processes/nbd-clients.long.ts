/**
 * NBD clients that others wrote, against a node with a lender behind it: how they read the
 * handshake, and whether their data comes back. A test whose tool is not installed is skipped, and
 * its title says why.
 */
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { ADMISSION_SHARE_PART, NBD_HANDSHAKES_MAX } from "../../src/core/admission-limits.ts";
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { parseAddress } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { parseKeyFile } from "../../src/security/key-file.ts";
import { BareClient, bytesOf, greetingOf, READ, request, WRITE } from "../nbd/bare-client.ts";
import { memoryOf, type NodeProcess } from "./node-process.ts";
import { counter, ended, ProcessWorld, until } from "./process-world.ts";
import { areToolsRequired, TOOL_ENVIRONMENT, which } from "./tools.ts";

const MIB = 1024 * 1024;

/** Declares the test, or skips it and says why. */
function withTools(tools: readonly string[], title: string, run: () => Promise<void>): void {
  const missing = areToolsRequired ? [] : tools.filter((tool) => which(tool) === null);
  const why = missing.length === 0 ? "" : ` (skipped: no ${missing.join(", ")} here)`;
  test.skipIf(missing.length > 0)(`${title}${why}`, run);
}

interface Run {
  stdout: string;
  stderr: string;
  code: number;
}

async function run(cmd: readonly string[]): Promise<Run> {
  const env = TOOL_ENVIRONMENT;
  const child = Bun.spawn([...cmd], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const timer = setTimeout(() => child.kill("SIGKILL"), 50_000);
  const result = await ended(child);
  clearTimeout(timer);
  return result;
}

async function succeed(cmd: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(cmd);
  if (code !== 0) throw new Error(`${cmd.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

interface Served {
  world: ProcessWorld;
  node: NodeProcess;
  socket: string;
  uri: (name: string) => string;
}

/** A small node that keeps most of its pages at a server. */
async function serve(flags: readonly string[] = []): Promise<Served> {
  const world = new ProcessWorld();
  const server = await world.start("server", 2, ["--memory=256MiB"]);
  const socket = world.path("nbd.sock");
  const node = await world.start("node", 1, [
    "--memory=16MiB",
    `--peers=2@${server.listen}`,
    "--target=2",
    `--nbd=unix:${socket}`,
    "--export=disk=128MiB,small=1MiB",
    ...flags,
  ]);
  const uri = (name: string): string => `nbd+unix:///${name}?socket=${socket}`;
  return { world, node, socket, uri };
}

/** Distinct blocks, half of whose bytes compress. */
function image(byteCount: number): Buffer {
  const bytes = Buffer.alloc(byteCount, 0x61);
  for (let at = 0; at < byteCount; at += 4096) {
    crypto.getRandomValues(bytes.subarray(at, at + 1800));
  }
  return bytes;
}

describe("clients of NBD", () => {
  withTools(["nbdinfo"], "nbdinfo sees the exports and what they can do", async () => {
    const { world, uri } = await serve();
    await using _ = world;
    const info = JSON.parse(await succeed(["nbdinfo", "--json", uri("disk")]));
    expect(info).toMatchObject({ protocol: "newstyle-fixed", TLS: false, structured: true });
    expect(info.exports[0]).toMatchObject({
      "export-name": "disk",
      "export-size": 128 * MIB,
      contexts: ["base:allocation"],
      can_cache: true,
      can_df: true,
      can_fast_zero: true,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: true,
      can_zero: true,
      is_read_only: false,
      block_size_minimum: 1,
      block_size_preferred: 4096,
      block_size_maximum: 32 * MIB,
    });
    const list = JSON.parse(await succeed(["nbdinfo", "--json", "--list", uri("")]));
    const names = list.exports.map((it: { "export-name": string }) => it["export-name"]);
    expect(names).toEqual(["disk", "small"]);
    expect(await succeed(["nbdinfo", "--map", uri("disk")])).toContain("hole,zero");
    expect((await run(["nbdinfo", uri("none")])).code).not.toBe(0);
  });

  withTools(["nbdcopy", "nbdinfo"], "nbdcopy brings an image there and back", async () => {
    const { world, uri, node } = await serve();
    await using _ = world;
    const bytes = image(96 * MIB);
    bytes.fill(0, 8 * MIB, 24 * MIB);
    writeFileSync(world.path("in"), bytes);
    await succeed(["nbdcopy", "--flush", world.path("in"), uri("disk")]);
    await succeed(["nbdcopy", "--connections=4", uri("disk"), world.path("out")]);
    expect(
      readFileSync(world.path("out"))
        .subarray(0, 96 * MIB)
        .equals(bytes),
    ).toBe(true);
    const client = await world.connect(node);
    const { counters, exports } = await client.stats();
    expect(counters.remote_pers_pages).toBeGreaterThan(5000);
    expect(exports[0]).toMatchObject({ name: "disk", size_bytes: 128 * MIB, connections: 0 });
  });

  withTools(["nbdcopy"], "what many requests of 32 MiB took is given back", async () => {
    const { world, uri, node } = await serve();
    await using _ = world;
    writeFileSync(world.path("in"), Buffer.alloc(128 * MIB, 0x61));
    const before = memoryOf(node.pid).residentBytes;
    const copy = ["nbdcopy", `--request-size=${32 * MIB}`, "--requests=8", "--connections=4"];
    for (let i = 0; i < 3; i += 1) {
      await succeed([...copy, world.path("in"), uri("disk")]);
      await succeed([...copy, uri("disk"), "null:"]);
    }
    expect(memoryOf(node.pid).residentBytes - before).toBeLessThan(128 * MIB);
  });

  withTools(["qemu-io"], "QEMU finds its data after a node was killed that keeps it", async () => {
    const keep = mkdtempSync("/dev/shm/ramster-test-");
    const start = (world: ProcessWorld, socket: string) =>
      world.start("node", 1, [
        "--memory=8MiB",
        "--no-swap",
        `--keep=${keep}/node`,
        `--nbd=unix:${socket}`,
        "--export=disk=64MiB",
      ]);
    await using world = new ProcessWorld();
    world.onEnd(() => rmSync(keep, { recursive: true, force: true }));
    const socket = world.path("nbd.sock");
    const node = await start(world, socket);
    const disk = `driver=nbd,server.type=unix,server.path=${socket},export=disk,reconnect-delay=60`;
    const cmd = ["qemu-io", "--image-opts", disk];
    const env = TOOL_ENVIRONMENT;
    const qemu = Bun.spawn(cmd, { env, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    world.onEnd(() => qemu.kill());
    const output = qemu.stdout.getReader();
    let text = "";
    const tell = (commands: string): void => {
      qemu.stdin.write(commands);
      qemu.stdin.flush();
    };
    const says = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(text)) {
        const { value, done } = await output.read();
        if (done) throw new Error(`qemu-io ended: ${text}`);
        text += new TextDecoder().decode(value);
      }
    };
    tell("write -P 7 0 4M\n");
    await says(/wrote 4194304\/4194304 bytes/);
    await node.kill();
    tell("read -P 7 0 4M\n");
    await start(world, socket);
    await says(/read 4194304\/4194304 bytes/);
    tell("write -P 8 1M 64k\n");
    await says(/wrote 65536\/65536 bytes/);
    qemu.stdin.end();
    expect(await qemu.exited).toBe(0);
    expect(text).not.toContain("failed");
  });

  withTools(["qemu-io"], "qemu-io writes, zeroes and discards ranges of any kind", async () => {
    const { world, uri } = await serve();
    await using _ = world;
    const commands = [
      "write -P 0x11 0 8M",
      "write -P 0x22 1000 70000",
      "write -z 65536 8192",
      "discard 1M 1M",
      "read -P 0x22 1000 500",
      "read -P 0 65536 8192",
      "read -P 0 1M 1M",
      "read -P 0x11 3M 4M",
      "write -f -P 0x33 16M 32M",
      "flush",
      "read -P 0x33 16M 32M",
      "write -u -z 16M 32M",
      "read -P 0 16M 32M",
      "map",
    ];
    const args = commands.flatMap((command) => ["-c", command]);
    const out = await succeed(["qemu-io", "-f", "raw", "-d", "unmap", ...args, uri("disk")]);
    expect(out).not.toContain("failed");
  });

  withTools(["fio"], "fio verifies what it has written at random", async () => {
    const { world, uri } = await serve();
    await using _ = world;
    const common = ["--name=v", "--ioengine=nbd", "--verify=crc32c", "--verify_state_save=0"];
    for (const flags of [
      ["--rw=randwrite", "--bs=4k", "--iodepth=64", "--size=64m"],
      ["--rw=randrw", "--bsrange=512-70k", "--bs_unaligned", "--iodepth=16", "--size=32m"],
    ]) {
      const out = await succeed([
        "fio",
        "--output-format=json",
        ...common,
        ...flags,
        `--uri=${uri("disk")}`,
      ]);
      const [job] = JSON.parse(out.slice(out.indexOf("{"))).jobs;
      expect(job.error).toBe(0);
      expect(job.write.total_ios).toBeGreaterThan(300);
    }
  });

  withTools(
    ["mkfs.ext4", "e2fsck", "nbdcopy"],
    "an ext4 file system is intact when it is read back",
    async () => {
      const { world, uri } = await serve();
      await using _ = world;
      const [made, back] = [world.path("made.img"), world.path("back.img")];
      mkdirSync(world.path("files"));
      for (let i = 0; i < 40; i += 1) writeFileSync(world.path(`files/${i}`), image(MIB));
      await succeed(["mkfs.ext4", "-q", "-d", world.path("files"), made, "100M"]);
      await succeed(["nbdcopy", made, uri("disk")]);
      await succeed(["nbdcopy", uri("disk"), back]);
      await succeed(["e2fsck", "-f", "-n", back]);
      const before = readFileSync(made);
      expect(readFileSync(back).subarray(0, before.length).equals(before)).toBe(true);
    },
  );

  withTools(["nbd-client"], "nbd-client lists the exports", async () => {
    const { world, node } = await serve(["--nbd=127.0.0.1:0"]);
    await using _ = world;
    const address = node.nbd.split(",").find((it) => !it.startsWith("unix:")) ?? "";
    const [host = "", port = ""] = address.split(":");
    const { stdout, stderr } = await run(["nbd-client", "-l", host, port]);
    expect(`${stdout}${stderr}`).toMatch(/disk\s[\s\S]*small/);
  });

  withTools(
    ["nbdsh", "nbdinfo", "qemu-img"],
    "TLS works with the cluster's key alone",
    async () => {
      const world = new ProcessWorld();
      await using _ = world;
      const made = await world.run(["keygen", `--out=${world.path("key")}`]);
      expect(made.code).toBe(0);
      const node = await world.start("node", 1, [
        "--nbd=127.0.0.1:0",
        "--export=disk=1MiB",
        `--key=${world.path("key")}`,
      ]);
      const { tls } = parseKeyFile(readFileSync(world.path("key"), "utf8"), null);
      const certificates = world.path("pki");
      mkdirSync(certificates);
      writeFileSync(`${certificates}/ca-cert.pem`, tls.authority);
      const [host = "", port = ""] = node.nbd.split(":");
      const script = [
        // The name in the certificate belongs to no host.
        "h.set_tls(nbd.TLS_REQUIRE)",
        "h.set_tls_verify_peer(False)",
        `h.set_tls_certificates("${certificates}")`,
        `h.connect_tcp("${host}", "${port}")`,
        'h.pwrite(b"sealed" * 100, 1000)',
        'assert h.pread(600, 1000) == b"sealed" * 100',
        "print(h.get_tls_negotiated(), h.get_size())",
        "h.shutdown()",
      ].flatMap((line) => ["-c", line]);
      const shell = ["/usr/bin/python3", "-m", "nbd", ...script];
      // A client without a certificate of the cluster is refused.
      expect((await run(shell)).code).not.toBe(0);
      writeFileSync(`${certificates}/client-cert.pem`, tls.certificate);
      writeFileSync(`${certificates}/client-key.pem`, tls.key);
      expect((await succeed(shell)).trim()).toBe(`True ${MIB}`);
      // A client that checks the certificate looks for this name.
      const info = (name: string) => [
        "qemu-img",
        "info",
        "--object",
        `tls-creds-x509,id=key,dir=${certificates},endpoint=client`,
        "--image-opts",
        `driver=nbd,host=${host},port=${port},export=disk,tls-creds=key,tls-hostname=${name}`,
      ];
      expect(await succeed(info("ramster"))).toContain("virtual size: 1 MiB");
      expect((await run(info("other"))).stderr).toContain("not match");
      // A connection from the same machine is offered TLS, and does not have to use it.
      const plain = await succeed(["nbdinfo", "--json", `nbd://${node.nbd}/disk`]);
      expect(JSON.parse(plain)).toMatchObject({ TLS: false });
    },
  );

  test("a client that disconnects within a request leaves nothing behind", async () => {
    const { world, socket, node } = await serve();
    await using _ = world;
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await new Promise<void>((resolve) => {
          const stream = connect(socket, () => stream.end(Buffer.alloc(i, i)));
          stream.on("close", () => resolve());
          stream.on("error", () => resolve());
          stream.resume();
        });
      }),
    );
    const client = await world.connect(node);
    const { counters } = await client.stats();
    expect(counters.nbd_waiting_count).toBe(0);
  });

  test("clients that send many requests and disconnect at once are all noticed", async () => {
    const { world, socket, node } = await serve();
    await using _ = world;
    const read = request({ type: READ, cookie: 1n, offset: 0, length: PAGE_BYTES });
    const bytes = bytesOf(...greetingOf({ form: "simple" }), ...Array(2000).fill(read));
    for (let i = 0; i < 60; i += 1) {
      await new Promise<void>((resolve) => {
        const stream = connect(socket, () => stream.write(bytes, () => stream.destroy()));
        stream.on("close", () => resolve());
        stream.on("error", () => resolve());
      });
    }
    const client = await world.connect(node);
    await until("all have gone", async () => (await counter(client, "nbd_connections")) === 0);
    expect((await client.stats()).counters.nbd_waiting_count).toBe(0);
  });

  test("of a thousand clients that choose no export, the oldest are closed and the others served", async () => {
    const { world, node } = await serve();
    await using _ = world;
    const transport = new BunTransport();
    const open = (): BareClient => {
      const client = new BareClient();
      transport.connect(parseAddress(node.nbd), client);
      return client;
    };
    const first = open();
    await first.negotiate({ form: "structured" });
    const page = image(PAGE_BYTES);
    const range = { offset: 0, length: PAGE_BYTES };
    expect(await first.ask({ type: WRITE, ...range, data: page })).toMatchObject({ error: 0 });
    const many: BareClient[] = [];
    const isAnswered = (it: BareClient): boolean => it.isClosed || it.received.length > 0;
    while (many.length < 999) {
      // The kernel itself refuses connections beyond the accept queue.
      many.push(...Array.from({ length: 111 }, open));
      await until("all are greeted or closed", () => many.every(isAnswered));
    }
    const share = NBD_HANDSHAKES_MAX / ADMISSION_SHARE_PART;
    const refused = 999 - share;
    expect(many.filter((it) => it.isClosed).length).toBe(refused);
    const { counters } = await (await world.connect(node)).stats();
    expect(counters).toMatchObject({
      nbd_connections: 1 + share,
      nbd_connections_refused: refused,
    });
    for (const client of [first, ...many.filter((it) => !it.isClosed)]) {
      if (client !== first) await client.negotiate({ form: "structured" });
      const { error, data } = await client.ask({ type: READ, ...range });
      expect([error, Buffer.from(data).equals(page)]).toEqual([0, true]);
      client.stream?.end();
    }
  });
});
