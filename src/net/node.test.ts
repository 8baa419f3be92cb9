import { afterEach } from "bun:test";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { transportContract } from "../../harness/contract/transport.ts";
import { makeKey } from "../security/make-key.ts";
import { BunTransport } from "./bun.ts";
import { NodeDialler } from "./node.ts";
import { secured, securedDialler } from "./secured.ts";
import type { Dialler, Transport } from "./transport.ts";

const DEADLINE_MS = 10_000;
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > limit) throw new Error("it never happened");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function quiet(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** The dialler with what it lacks of a Transport. The listening side is a node's. */
function withListener(dialler: Dialler, transport: Transport): Transport {
  return {
    listen: (address, accept) => transport.listen(address, accept),
    connect: (address, events) => dialler.connect(address, events),
    bind: (address, onDatagram) => transport.bind(address, onDatagram),
    lookup: (host) => transport.lookup(host),
  };
}

const bench = { until, quiet, close: async () => {} };

const onTcp = {
  address: () => ({ kind: "tcp", host: "127.0.0.1", port: 0 }) as const,
  deadAddress: () => ({ kind: "tcp", host: "127.0.0.1", port: 1 }) as const,
};

transportContract("NodeDialler on TCP", async () => ({
  transport: withListener(new NodeDialler(), new BunTransport()),
  ...onTcp,
  ...bench,
}));

const { tls } = await makeKey({ nowMs: Date.now(), days: 1 });

transportContract("NodeDialler under TLS", async () => ({
  transport: withListener(securedDialler(new NodeDialler(), tls), secured(new BunTransport(), tls)),
  ...onTcp,
  ...bench,
}));

transportContract("NodeDialler on unix sockets", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ramster-test-"));
  directories.push(directory);
  return {
    transport: withListener(new NodeDialler(), new BunTransport()),
    address: () => ({ kind: "unix", path: path.join(directory, "listen.sock") }),
    deadAddress: () => ({ kind: "unix", path: path.join(directory, "dead.sock") }),
    ...bench,
  };
});
